"""A client for WebSocket over HTTP/2 (RFC 8441), out of the packages h2 and wsproto: there is no ready one."""

import asyncio
import contextlib

import h2.config
import h2.connection
import h2.events
import h2.settings
from wsproto.connection import Connection, ConnectionType

from .report import equal, expect


class WebSocket:
    """One WebSocket on an HTTP/2 connection of its own. `async with WebSocket.open(…) as socket`."""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, host, port, path, context=None, fields=()):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection(host, port, ssl=context)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.messages = Connection(ConnectionType.CLIENT)
        self.events = asyncio.Queue()
        self.status, self.ended, self.room = None, False, asyncio.Event()
        self.http.initiate_connection()
        self.http.increment_flow_control_window(1 << 24)
        self.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
        self._flush()
        self.settings, self.answered = asyncio.Event(), asyncio.Event()
        self.receiving = asyncio.create_task(self._receive())
        await asyncio.wait_for(self.settings.wait(), 10)
        equal(self.http.remote_settings.enable_connect_protocol, 1, "SETTINGS_ENABLE_CONNECT_PROTOCOL")
        self.stream = self.http.get_next_available_stream_id()
        scheme = "https" if context else "http"
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", scheme), (":path", path),
                (":authority", f"{host}:{port}"), ("sec-websocket-version", "13"), *fields]  # fmt: skip
        self.http.send_headers(self.stream, head)
        self._flush()
        await asyncio.wait_for(self.answered.wait(), 10)
        try:
            yield self
        finally:
            self.receiving.cancel()
            self.writer.close()

    async def send(self, event):
        await self.send_bytes(self.messages.send(event))

    async def send_bytes(self, data):
        while data:
            expect(not self.ended, "the stream ended while it was written to")
            room = min(self.http.local_flow_control_window(self.stream), self.http.max_outbound_frame_size, len(data))
            if room == 0:
                self.room.clear()
                await asyncio.wait_for(self.room.wait(), 20)
                continue
            self.http.send_data(self.stream, data[:room])
            data = data[room:]
            self._flush()
            await self.writer.drain()

    async def next(self):
        return await asyncio.wait_for(self.events.get(), 20)

    async def _receive(self):
        try:
            while data := await self.reader.read(65536):
                for event in self.http.receive_data(data):
                    self._take(event)
                self._flush()
        finally:
            self._end()

    def _take(self, event):
        match event:
            case h2.events.RemoteSettingsChanged():
                self.settings.set()
                self.room.set()
            case h2.events.ResponseReceived():
                self.status = dict(event.headers)[":status"]
                self.head = dict(event.headers)
                self.answered.set()
            case h2.events.DataReceived():
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if self.status == "200" and event.data:
                    self.messages.receive_data(event.data)
                    for message in self.messages.events():
                        self.events.put_nowait(message)
            case h2.events.WindowUpdated():
                self.room.set()
            case h2.events.StreamEnded() | h2.events.StreamReset() | h2.events.ConnectionTerminated():
                self._end()

    def _end(self):
        self.ended = True
        self.events.put_nowait(None)
        self.answered.set()
        self.room.set()

    def _flush(self):
        self.writer.write(self.http.data_to_send())

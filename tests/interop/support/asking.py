"""Clients that ask for one thing after the other and look closely at what comes: over HTTP/1.1 by hand, over HTTP/2 with h2.

A good client sends again what a GOAWAY refused, and what it sent on a connection that had been idle and ended without a byte: that
is no failure. A request with a body that met the end of a connection to a backend in that very moment gets 502, for it may
have been done; there must be few of them. All else that does not end well is a failure.
"""

import asyncio
import os
import random

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.connection import ConnectionState

PATIENCE = 25
SIZES = [0, 1, 10, 1000, 16384, 100_000, 300_000]


class Crossed(Exception):
    """It was sent to a backend that closed just then, and cannot be sent twice."""


class Ask:
    """One request of the sample backend, and what its answer has to be."""

    def __init__(self, chance):
        size = chance.choice(SIZES)
        self.method, self.path, self.body, self.length = "GET", f"/bytes/{size}", b"", size
        match chance.choice(["bytes", "bytes", "chunked", "delay", "head", "echo", "echo"]):
            case "chunked":
                self.path = f"/chunked/{size}"
            case "delay":
                self.path, self.length = f"/delay/{chance.choice([1, 50, 300])}", None
            case "head":
                self.method, self.length = "HEAD", 0
            case "echo":
                self.method, self.path, self.length = chance.choice(["PUT", "POST"]), "/echo", None
                self.body = os.urandom(max(1, size // 2))
        self.in_chunks = chance.random() < 0.3
        self.closes = chance.random() < 0.05

    def check(self, status, body):
        if status == 502 and self.body and b"closed the connection before it answered" in body:
            raise Crossed
        if status != 200:
            raise ValueError(f"{status} {body[:200]!r}")
        if self.length is not None and len(body) != self.length:
            raise ValueError(f"{len(body)} bytes in place of {self.length}")
        if not body.endswith(self.body):
            raise ValueError("another body than was sent")

    def __str__(self):
        return f"{self.method} {self.path} with {len(self.body)} bytes"


class Asker:
    """A client that asks until it is told to stop."""

    def __init__(self, name, connect, seed):
        self.name, self.connect, self.chance = name, connect, random.Random(seed)
        self.answered, self.crossed, self.failures, self.stopped = 0, 0, [], False

    def failed(self, ask, why):
        if isinstance(why, Crossed):
            self.crossed += 1
            return
        self.failures.append(f"{ask}: {type(why).__name__} {why}")

    async def rest(self):
        long = self.chance.random() < 0.05
        await asyncio.sleep(self.chance.random() * 1.5 if long else 0.01)


class OverHttp1(Asker):
    async def run(self):
        kept = None
        while not self.stopped:
            ask = Ask(self.chance)
            fresh = kept is None
            try:
                reader, writer = kept = kept or await asyncio.wait_for(self.connect(), PATIENCE)
                self.send(writer, ask)
                ends = await asyncio.wait_for(self.answer(reader, ask), PATIENCE)
                self.answered += 1
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError, Crossed) as why:
                is_stale = isinstance(why, ConnectionError) or getattr(why, "partial", None) == b""
                if fresh or not is_stale or getattr(why, "amid", False):
                    self.failed(ask, why)
                ends = True
            if ends and kept:
                kept[1].close()
                kept = None
            await self.rest()

    def send(self, writer, ask):
        head = f"{ask.method} {ask.path} HTTP/1.1\r\nHost: a.example\r\n"
        head += "Connection: close\r\n" if ask.closes else ""
        if not ask.body:
            writer.write(f"{head}\r\n".encode())
        elif not ask.in_chunks:
            writer.write(f"{head}Content-Length: {len(ask.body)}\r\n\r\n".encode() + ask.body)
        else:
            writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            size = self.chance.choice([700, 5000, 40_000])
            for at in range(0, len(ask.body), size):
                piece = ask.body[at : at + size]
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            writer.write(b"0\r\n\r\n")

    async def answer(self, reader, ask):
        """Reads an answer, and tells whether its connection ends with it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if line)
        try:
            body = b"" if ask.method == "HEAD" else await self.body(reader, fields)
        except (OSError, asyncio.IncompleteReadError) as why:
            why.amid = True
            raise
        ask.check(int(head[0].split()[1]), body)
        return ask.closes or fields.get("connection") == "close"

    async def body(self, reader, fields):
        if "content-length" in fields:
            return await reader.readexactly(int(fields["content-length"]))
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return body


class Refused(Exception):
    """A stream that the server did not look at, and says so."""


class OverHttp2(Asker):
    async def run(self):
        while not self.stopped:
            try:
                reader, writer = await asyncio.wait_for(self.connect(), PATIENCE)
            except (OSError, asyncio.TimeoutError) as why:
                self.failed("a connection", why)
                continue
            self.begin(writer)
            reading = asyncio.create_task(self.read(reader))
            for _ in range(self.chance.choice([10, 50])):
                if self.stopped or self.gone or reading.done():
                    break
                await asyncio.gather(*(self.stream(Ask(self.chance)) for _ in range(self.chance.randint(1, 6))))
                await self.rest()
            reading.cancel()
            writer.close()

    def begin(self, writer):
        settings = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.writer, self.streams, self.gone, self.news = writer, {}, False, asyncio.Event()
        self.http2 = h2.connection.H2Connection(settings)
        self.http2.initiate_connection()
        self.http2.increment_flow_control_window(10_000_000)
        writer.write(self.http2.data_to_send())

    async def stream(self, ask):
        if self.gone:
            return
        stream = self.http2.get_next_available_stream_id()
        answer = self.streams[stream] = asyncio.get_running_loop().create_future()
        answer.status, answer.body = 0, bytearray()
        try:
            fields = {":method": ask.method, ":scheme": "http", ":authority": "a.example", ":path": ask.path}
            self.http2.send_headers(stream, list(fields.items()), end_stream=not ask.body)
            await asyncio.wait_for(self.send(stream, ask.body, answer), PATIENCE)
            await asyncio.wait_for(answer, PATIENCE)
            ask.check(answer.status, bytes(answer.body))
            self.answered += 1
        except Refused:
            pass
        except (OSError, asyncio.TimeoutError, ValueError, Crossed, h2.exceptions.ProtocolError) as why:
            self.failed(ask, why)
        finally:
            self.streams.pop(stream, None)

    async def send(self, stream, body, answer):
        at = 0
        while at < len(body) and not answer.done():
            room = min(self.http2.local_flow_control_window(stream), self.http2.max_outbound_frame_size)
            piece = body[at : at + room]
            at += len(piece)
            if piece:
                self.http2.send_data(stream, piece, end_stream=at == len(body))
                self.writer.write(self.http2.data_to_send())
            else:
                self.news.clear()
                await self.news.wait()
        self.writer.write(self.http2.data_to_send())

    async def read(self, reader):
        why = ConnectionResetError("the connection ended")
        try:
            while True:
                head = await reader.readexactly(9)
                rest = await reader.readexactly(int.from_bytes(head[:3], "big"))
                for event in self.http2.receive_data(head + rest):
                    self.take(event)
                # h2 takes what is said after a GOAWAY for a fault, though streams go on (RFC 9113 section 6.8).
                if self.http2.state_machine.state == ConnectionState.CLOSED:
                    self.http2.state_machine.state = ConnectionState.CLIENT_OPEN
                self.writer.write(self.http2.data_to_send())
                self.news.set()
        except (OSError, asyncio.IncompleteReadError, h2.exceptions.ProtocolError) as broken:
            why = ConnectionResetError(f"the connection ended: {broken}")
        finally:
            self.gone = True
            self.news.set()
            self.end(why, behind=0)

    def take(self, event):
        answer = self.streams.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ConnectionTerminated():
                self.gone = True
                self.end(Refused(), behind=event.last_stream_id)
            case h2.events.DataReceived():
                self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if answer:
                    answer.body += event.data
            case h2.events.ResponseReceived() if answer:
                answer.status = int(dict(event.headers)[":status"])
            case h2.events.StreamReset() if answer and not answer.done():
                answer.set_exception(ConnectionResetError(f"stream reset: {event.error_code}"))
            case h2.events.StreamEnded() if answer and not answer.done():
                answer.set_result(None)

    def end(self, why, behind):
        for stream, answer in self.streams.items():
            if stream > behind and not answer.done():
                answer.set_exception(why)

"""A client of HTTP/2 that can say what no well-behaved one would: frames are written as given."""

import socket
import ssl
import struct
import time

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from .report import Failed, expect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CODES = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
    "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()
PATIENCE = 10


class Place:
    """Where and how to connect."""

    def __init__(self, port, context=None):
        self.port, self.context = port, context
        self.scheme = "https" if context else "http"
        self.authority = f"localhost:{port}"

    def socket(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname="localhost") if self.context else plain

    def head(self, path="/", method="GET", *more, **pseudo):
        """Fields of a request. A pseudo-header that is given as None is left out."""
        fields = {"method": method, "scheme": self.scheme, "path": path, "authority": self.authority, **pseudo}
        return [(f":{name}", value) for name, value in fields.items() if value is not None] + list(more)


class Client:
    """One connection. `with Client(place) as client`."""

    def __init__(self, place, settings=None, preface=True):
        self.place = place
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.socket, self.received = place.socket(), b""
        # Whether nothing more comes, and whether nothing more is taken.
        self.over, self.broken = False, False
        self.heads, self.bodies, self.resets, self.ended = {}, {}, {}, set()
        self.trailers, self.goaway, self.pings, self.frames = {}, None, [], []
        self.settings, self.acknowledged = None, 0
        if preface:
            self.write(PREFACE)
            self.send(SettingsFrame(0, settings=settings or {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # What is sent.

    def write(self, data):
        """Writes bytes. Why the other end takes no more is found out by reading."""
        try:
            self.socket.settimeout(PATIENCE)
            self.socket.sendall(data)
        except TimeoutError:
            raise Failed("the balancer reads no more, and does not close the connection") from None
        except OSError:
            self.broken = True

    def send(self, *frames):
        self.write(b"".join(frame.serialize() for frame in frames))

    def raw(self, kind, flags, stream, payload, length=None):
        """A frame of any type, flags and length."""
        self.write(frame(kind, flags, stream, payload, length))

    def request(self, stream, fields=None, end=True, **more):
        """Begins a request, with these fields or those of a GET for `/`."""
        flags = ["END_HEADERS"] + (["END_STREAM"] if end else [])
        self.send(HeadersFrame(stream, self.block(fields or self.place.head()), flags=flags, **more))

    def block(self, fields):
        """A header block as the fields are, without a check."""
        return b"".join(literal(name, value) for name, value in fields)

    def data(self, stream, data=b"", end=False):
        self.send(DataFrame(stream, data, flags=["END_STREAM"] if end else []))

    def settle(self):
        """Exchanges settings, as both ends do at the beginning."""
        self.until(lambda: self.settings is not None and self.acknowledged)

    # What comes.

    def until(self, happened, patience=PATIENCE, grant=True):
        """Reads until it has happened, or the connection is over. Says whether it has."""
        deadline = time.monotonic() + patience
        while not happened():
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left, grant):
                return bool(happened())
        return True

    def answer(self, stream, patience=PATIENCE):
        """The status of an answer that has come as a whole."""
        self.until(lambda: stream in self.ended or stream in self.resets, patience)
        return int(dict(self.heads[stream])[":status"]) if stream in self.ended else None

    def outcome(self, stream, patience=PATIENCE):
        """How a stream ended: `400`, `RST PROTOCOL_ERROR`, `GOAWAY PROTOCOL_ERROR`, `closed`, or `nothing`."""

        def over():
            return stream in self.ended or stream in self.resets or self.goaway not in (None, "NO_ERROR")

        self.until(over, patience)
        if self.goaway not in (None, "NO_ERROR"):
            return f"GOAWAY {self.goaway}"
        if stream in self.ended:
            return dict(self.heads[stream])[":status"]
        if stream in self.resets:
            return f"RST {self.resets[stream]}"
        return "closed" if self.over else "nothing"

    def end(self, patience=PATIENCE):
        """How the connection ended: `GOAWAY code`, `closed`, or `nothing`."""
        self.until(lambda: self.over, patience)
        if self.goaway is not None:
            return f"GOAWAY {self.goaway}" + ("" if self.over else ", but not closed")
        return "closed" if self.over else "nothing"

    def alive(self):
        """Whether another request is answered."""
        stream = 2**31 - 1 - 2 * 1000
        self.request(stream)
        return self.answer(stream) == 200

    def expect_alive(self):
        expect(self.alive(), f"no answer to another request on the connection: {self.outcome(0, 0)}")

    def _read(self, seconds, grant):
        while (got := take_frame(self.received)) is None:
            self.socket.settimeout(max(seconds, 0.001))
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                # The second comes of TLS in place of the first when the time is up to the nanosecond.
                return False
            except OSError:
                data = b""
            if not data:
                self.over = True
                return False
            self.received += data
        found, length = got
        self.received = self.received[length:]
        self._take(found, grant)
        return True

    def _take(self, found, grant):
        self.frames.append(type(found).__name__)
        stream = found.stream_id
        if isinstance(found, SettingsFrame):
            if "ACK" in found.flags:
                self.acknowledged += 1
            else:
                self.settings = dict(found.settings)
                self.send(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(found, (HeadersFrame, ContinuationFrame)):
            expect("END_HEADERS" in found.flags, "a head in several frames")
            fields = self.decoder.decode(found.data)
            # 1xx answers come before the one that counts.
            if not (fields and fields[0][0] == ":status" and fields[0][1].startswith("1")):
                kept = self.trailers if stream in self.heads else self.heads
                kept[stream] = fields
        elif isinstance(found, DataFrame):
            self.bodies[stream] = self.bodies.get(stream, b"") + found.data
            if grant and found.flow_controlled_length:
                windows = [WindowUpdateFrame(n, window_increment=found.flow_controlled_length) for n in (0, stream)]
                self.send(*windows[: 1 if "END_STREAM" in found.flags else 2])
        elif isinstance(found, RstStreamFrame):
            self.resets[stream] = CODES[found.error_code]
        elif isinstance(found, GoAwayFrame):
            self.goaway = CODES[found.error_code]
        elif isinstance(found, PingFrame):
            self.pings.append((found.opaque_data, "ACK" in found.flags))
        if "END_STREAM" in found.flags:
            self.ended.add(stream)


def frame(kind, flags, stream, payload, length=None):
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def take_frame(data):
    if len(data) < 9:
        return None
    found, length = Frame.parse_frame_header(memoryview(data[:9]))
    if len(data) < 9 + length:
        return None
    found.parse_body(memoryview(data[9 : 9 + length]))
    return found, 9 + length


def literal(name, value):
    """A field that no table remembers (RFC 7541, 6.2.2)."""
    name, value = (word if isinstance(word, bytes) else word.encode() for word in (name, value))
    return b"\0" + sized(name) + sized(value)


def sized(word):
    return integer(len(word), 7) + word


def integer(number, bits, first=0):
    """RFC 7541, 5.1."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([first | number])
    out = bytearray([first | most])
    number -= most
    while number >= 128:
        out.append(number % 128 | 128)
        number //= 128
    out.append(number)
    return bytes(out)

"""What RFC 9113 says a server does with what no client should send: each case, in the clear and over TLS."""

import importlib.metadata
import struct

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support import report
from support.certificates import Certificates
from support.frames import PREFACE, Client, Place, integer, literal
from support.programs import Balancer, sample
from support.report import Deviation, case, equal, expect

CASES = []
MALFORMED = ("400", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR")
# Of the crate h2, which reads frames for us.
LIBRARY = "PROTOCOL_ERROR ends the connection: the crate h2 tells most of what it cannot take by that one code"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)


def main():
    for package in ("hyperframe", "hpack"):
        report.version(f"{package} {importlib.metadata.version(package)}")
    certificates = Certificates()
    with sample() as address, Balancer(address, certificates=certificates) as balancer:
        places = {"h2c": Place(balancer.port), "h2": Place(balancer.tls_port, certificates.context("h2"))}
        for name, place in places.items():
            for title, check in CASES:
                with case(f"{name}: {title}"):
                    with Client(place) as client:
                        client.settle()
                        check(client)


def rule(title):
    def add(check):
        CASES.append((title, check))
        return check

    return add


def connection_error(title, code, *others):
    """The connection must end with this code."""

    def decorate(act):
        def check(client):
            act(client)
            found = client.end()
            if found == "GOAWAY PROTOCOL_ERROR" and "PROTOCOL_ERROR" not in (code, *others):
                raise Deviation(LIBRARY)
            expect(found in [f"GOAWAY {known}" for known in (code, *others)], f"{found} in place of {code}")

        CASES.append((title, check))

    return decorate


def stream_error(title, *outcomes, stream=1):
    """The stream must end with one of these; its connection may live on."""

    def decorate(act):
        def check(client):
            act(client)
            found = client.outcome(stream)
            if found == "GOAWAY PROTOCOL_ERROR" and found not in outcomes:
                raise Deviation(LIBRARY)
            expect(found in outcomes, f"{found} in place of {' or '.join(outcomes)}")
            if not found.startswith("GOAWAY"):
                client.expect_alive()

        CASES.append((title, check))

    return decorate


# Section 3.4, the preface.


@rule("3.4: a first frame that is no SETTINGS: PROTOCOL_ERROR")
def _(client):
    with Client(client.place, preface=False) as other:
        other.write(PREFACE)
        other.send(PingFrame(0))
        if other.until(lambda: other.pings):
            raise Deviation("taken: the crate h2 does not wait for SETTINGS; a client that begins otherwise loses nothing")
        expect(other.end() in ("GOAWAY PROTOCOL_ERROR", "closed"), other.end())


@rule("3.4: half a preface and then something else: closed")
def _(client):
    with Client(client.place, preface=False) as other:
        other.write(PREFACE[:18] + b"XX\r\n\r\n" + bytes(9))
        data = read_all(other.socket)
        expect(data is not None, "not closed")


def read_all(socket):
    data = b""
    try:
        while part := socket.recv(65536):
            data += part
    except TimeoutError:
        return None
    except OSError:
        pass
    return data


# Section 4, frames.


@rule("4.1: frames of an unknown type, and unknown flags, are ignored")
def _(client):
    client.raw(0xBB, 0xFF, 0, b"unknown")
    client.raw(0xBB, 0xFF, 1, b"unknown")
    client.raw(PING, 0x16, 0, b"8 bytes!")
    client.raw(SETTINGS, 0, 0x80000000, b"")
    client.expect_alive()
    equal(client.pings, [(b"8 bytes!", True)], "answers to PING")


@connection_error("4.2: HEADERS larger than SETTINGS_MAX_FRAME_SIZE: FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR")
def _(client):
    client.raw(HEADERS, 5, 1, client.block(client.place.head()) + bytes(17000))


@connection_error("4.2: DATA larger than SETTINGS_MAX_FRAME_SIZE: FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    client.raw(DATA, 1, 1, bytes(16385))


@connection_error("4.2: a length of 16 MiB that never comes: FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR")
def _(client):
    client.raw(DATA, 0, 1, b"", length=(1 << 24) - 1)


@connection_error("4.3: a header block that cannot be read: COMPRESSION_ERROR", "COMPRESSION_ERROR")
def _(client):
    client.raw(HEADERS, 5, 1, b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f")


@connection_error("4.3: an index that is in no table: COMPRESSION_ERROR", "COMPRESSION_ERROR")
def _(client):
    client.raw(HEADERS, 5, 1, client.block(client.place.head()) + b"\xff\x80\x01")


@connection_error("4.3: a table larger than was allowed: COMPRESSION_ERROR", "COMPRESSION_ERROR")
def _(client):
    client.raw(HEADERS, 5, 1, integer(1 << 20, 5, 0x20) + client.block(client.place.head()))


@connection_error("4.3: a Huffman code with the end of all words in it: COMPRESSION_ERROR", "COMPRESSION_ERROR")
def _(client):
    client.raw(HEADERS, 5, 1, client.block(client.place.head()) + b"\0\x01a\x84\xff\xff\xff\xff")


@connection_error("4.3: another frame amid a header block: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(HEADERS, 1, 1, client.block(client.place.head()))
    client.send(PingFrame(0))


@connection_error("4.3: a header block that goes on in another stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(HEADERS, 1, 1, client.block(client.place.head()))
    client.raw(CONTINUATION, 4, 3, literal("a", "b"))


@connection_error("4.3: an unknown frame amid a header block: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(HEADERS, 1, 1, client.block(client.place.head()))
    client.raw(0xBB, 0, 1, b"")


@rule("4.3: a header block in pieces of one byte is one")
def _(client):
    block = client.block(client.place.head())
    client.raw(HEADERS, 1, 1, block[:1])
    for index in range(1, len(block)):
        client.raw(CONTINUATION, 4 if index == len(block) - 1 else 0, 1, block[index : index + 1])
    found = client.outcome(1)
    expect(found in ("200", "GOAWAY ENHANCE_YOUR_CALM"), found)


# Section 5.1, states of streams.

for name, kind, payload in (
    ("DATA", DATA, b"words"),
    ("RST_STREAM", RST, bytes(4)),
    ("WINDOW_UPDATE", WINDOW, struct.pack(">I", 100)),
    ("CONTINUATION", CONTINUATION, b""),
):

    @connection_error(f"5.1: {name} on a stream that has not begun: PROTOCOL_ERROR", "PROTOCOL_ERROR")
    def _(client, kind=kind, payload=payload):
        client.raw(kind, 4 if kind == CONTINUATION else 0, 1, payload)


@stream_error("5.1: DATA behind the end of a request: STREAM_CLOSED", "RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED")
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    client.data(1, b"more")


@stream_error(
    "5.1: HEADERS behind the end of a request: STREAM_CLOSED",
    "RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR",
)  # fmt: skip
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    client.request(1)


@rule("5.1: DATA on a stream that was reset is not taken, and counts against the connection's window")
def _(client):
    for stream in range(1, 41, 2):
        client.request(stream, client.place.head("/echo", "POST"), end=False)
        client.send(RstStreamFrame(stream, error_code=8))
        client.data(stream, bytes(16384))
    found = client.outcome(39, 1)
    expect(found in ("nothing", "RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED"), found)
    if not found.startswith("GOAWAY"):
        client.expect_alive()


@connection_error("5.1: HEADERS on a stream that was closed: STREAM_CLOSED", "STREAM_CLOSED", "PROTOCOL_ERROR")
def _(client):
    client.request(1)
    equal(client.answer(1), 200, "status")
    client.request(1)


@connection_error("5.1.1: a stream of an even number: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.request(2)


@connection_error("5.1.1: a stream with a smaller number than the last: PROTOCOL_ERROR", "PROTOCOL_ERROR", "STREAM_CLOSED")
def _(client):
    client.request(5)
    client.request(3)


@rule("5.1.2: more streams than we take: REFUSED_STREAM, and the others are answered")
def _(client):
    most = client.settings[SettingsFrame.MAX_CONCURRENT_STREAMS]
    expect(100 <= most <= 1000, f"{most} streams are let")
    streams = [2 * number + 1 for number in range(most + 20)]
    for stream in streams:
        client.request(stream, client.place.head("/delay/500"))
    found = [client.outcome(stream) for stream in streams]
    expect(set(found) <= {"200", "RST REFUSED_STREAM", "RST PROTOCOL_ERROR"}, set(found))
    expect(found.count("200") >= most, f"{found.count('200')} answers")
    client.expect_alive()


# Section 6, frames of each type.


@connection_error("6.1: DATA without a stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(DATA, 1, 0, b"words")


@connection_error("6.1: padding longer than DATA: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    client.raw(DATA, 0x9, 1, b"\xffwords")


@rule("6.1: padding is no content, and is given back to the window")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    for sent in range(1, 2001):
        client.send(DataFrame(1, b"x", pad_length=255, flags=["PADDED"]))
        if sent % 200 == 0:
            # What has come back was taken by the backend.
            client.until(lambda: client.bodies.get(1, b"").partition(b"\n\n")[2] == b"x" * sent)
    client.data(1, b"", end=True)
    equal(client.answer(1, 20), 200, "status")
    equal(client.bodies[1].partition(b"\n\n")[2], b"x" * 2000, "body")


@rule("6.1: 5000 DATA frames of 30 bytes at once, as gRPC sends messages, within all windows: taken")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    client.write(DataFrame(1, b"x" * 30).serialize() * 5000)
    client.data(1, b"", end=True)
    equal(client.outcome(1), "200", "outcome")
    equal(len(client.bodies[1].partition(b"\n\n")[2]), 150_000, "bytes that came back")


@connection_error("6.2: HEADERS without a stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(HEADERS, 5, 0, client.block(client.place.head()))


@connection_error("6.2: padding longer than HEADERS: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    block = client.block(client.place.head())
    client.raw(HEADERS, 0xD, 1, bytes([min(255, len(block) + 1)]) + block)


@rule("6.2: HEADERS with padding and a priority are taken")
def _(client):
    block = client.block(client.place.head())
    client.raw(HEADERS, 0x2D, 1, bytes([10]) + bytes(4) + bytes([7]) + block + bytes(10))
    equal(client.answer(1), 200, "status")


@connection_error("6.3: PRIORITY without a stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(PRIORITY, 0, 0, bytes(5))


@stream_error("6.3: PRIORITY of a wrong length: FRAME_SIZE_ERROR", "RST FRAME_SIZE_ERROR", "GOAWAY FRAME_SIZE_ERROR")
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    client.raw(PRIORITY, 0, 1, bytes(4))


@connection_error("6.4: RST_STREAM without a stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(RST, 0, 0, bytes(4))


@connection_error("6.4: RST_STREAM of a wrong length: FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR")
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    client.raw(RST, 0, 1, bytes(3))


for title, flags, stream, payload, code in (
    ("an acknowledgement with content: FRAME_SIZE_ERROR", 1, 0, bytes(6), "FRAME_SIZE_ERROR"),
    ("on a stream: PROTOCOL_ERROR", 0, 1, b"", "PROTOCOL_ERROR"),
    ("of a wrong length: FRAME_SIZE_ERROR", 0, 0, bytes(5), "FRAME_SIZE_ERROR"),
    ("ENABLE_PUSH of 2: PROTOCOL_ERROR", 0, 0, struct.pack(">HI", 2, 2), "PROTOCOL_ERROR"),
    ("INITIAL_WINDOW_SIZE of 2^31: FLOW_CONTROL_ERROR", 0, 0, struct.pack(">HI", 4, 1 << 31), "FLOW_CONTROL_ERROR"),
    ("MAX_FRAME_SIZE of 2^14 - 1: PROTOCOL_ERROR", 0, 0, struct.pack(">HI", 5, (1 << 14) - 1), "PROTOCOL_ERROR"),
    ("MAX_FRAME_SIZE of 2^24: PROTOCOL_ERROR", 0, 0, struct.pack(">HI", 5, 1 << 24), "PROTOCOL_ERROR"),
):

    @connection_error(f"6.5: SETTINGS, {title}", code)
    def _(client, flags=flags, stream=stream, payload=payload):
        client.raw(SETTINGS, flags, stream, payload)


@rule("6.5: settings are acknowledged, unknown ones ignored")
def _(client):
    before = client.acknowledged
    client.raw(SETTINGS, 0, 0, struct.pack(">HIHI", 0xFF, 1, 3, 100))
    client.until(lambda: client.acknowledged == before + 1)
    equal(client.acknowledged, before + 1, "acknowledgements")
    client.expect_alive()


@connection_error("6.6: PUSH_PROMISE of a client: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    client.raw(PUSH, 4, 1, struct.pack(">I", 2) + client.block(client.place.head()))


@rule("6.7: PING is answered with the same bytes, an answer to none is not")
def _(client):
    client.send(PingFrame(0, b"answered", flags=["ACK"]), PingFrame(0, b"question"))
    client.until(lambda: client.pings)
    equal(client.pings, [(b"question", True)], "answers to PING")


@connection_error("6.7: PING on a stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(PING, 0, 1, bytes(8))


@connection_error("6.7: PING of a wrong length: FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR")
def _(client):
    client.raw(PING, 0, 0, bytes(6))


@connection_error("6.8: GOAWAY on a stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(GOAWAY, 0, 1, bytes(8))


@rule("6.8: behind a client's GOAWAY what it has begun is answered, then the connection is closed")
def _(client):
    client.request(1, client.place.head("/delay/500"))
    client.send(GoAwayFrame(0, last_stream_id=0, error_code=0))
    equal(client.answer(1), 200, "status")
    expect(client.until(lambda: client.over), "not closed")


@connection_error("6.9: a window of the connection grows by nothing: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(WINDOW, 0, 0, bytes(4))


@stream_error("6.9: a stream's window grows by nothing: PROTOCOL_ERROR", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR")
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    client.raw(WINDOW, 0, 1, bytes(4))


@connection_error("6.9: WINDOW_UPDATE of a wrong length: FRAME_SIZE_ERROR", "FRAME_SIZE_ERROR")
def _(client):
    client.raw(WINDOW, 0, 0, bytes(3))


@connection_error("6.9.1: a window of the connection beyond 2^31 - 1: FLOW_CONTROL_ERROR", "FLOW_CONTROL_ERROR")
def _(client):
    for _ in range(2):
        client.send(WindowUpdateFrame(0, window_increment=(1 << 31) - 1))


@stream_error(
    "6.9.1: a stream's window beyond 2^31 - 1: FLOW_CONTROL_ERROR", "RST FLOW_CONTROL_ERROR", "GOAWAY FLOW_CONTROL_ERROR"
)
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    for _ in range(2):
        client.send(WindowUpdateFrame(1, window_increment=(1 << 31) - 1))


@rule("6.9.1: no more is sent than the window lets, also when it shrinks below nothing and grows again")
def _(client):
    with Client(client.place, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 100}) as other:
        other.settle()
        other.request(1, other.place.head("/bytes/1000"))
        other.until(lambda: len(other.bodies.get(1, b"")) >= 100, grant=False)
        other.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 10}))
        other.send(WindowUpdateFrame(1, window_increment=80), PingFrame(0, b"no more?"))
        other.until(lambda: other.pings, grant=False)
        equal(len(other.bodies[1]), 100, "bytes so far")
        other.send(WindowUpdateFrame(1, window_increment=11))
        other.until(lambda: len(other.bodies[1]) > 100, grant=False)
        equal(len(other.bodies[1]), 101, "bytes so far")
        other.send(WindowUpdateFrame(1, window_increment=5000))
        equal(other.answer(1), 200, "status")


@rule("6.9.1: more DATA than our window lets: FLOW_CONTROL_ERROR")
def _(client):
    # The backend takes nothing, for it waits for nothing: what is sent fills the windows.
    client.request(1, client.place.head("/delay/3000", "POST"), end=False)
    for _ in range(40_000_000 // 16384):
        client.data(1, bytes(16384))
        if client.over:
            break
    found = client.outcome(1)
    expect(found in ("GOAWAY FLOW_CONTROL_ERROR", "RST FLOW_CONTROL_ERROR", "closed"), found)


@connection_error("6.10: CONTINUATION behind the end of a header block: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.request(1, client.place.head("/delay/1000"))
    client.send(ContinuationFrame(1, literal("a", "b"), flags=["END_HEADERS"]))


@connection_error("6.10: CONTINUATION without a stream: PROTOCOL_ERROR", "PROTOCOL_ERROR")
def _(client):
    client.raw(HEADERS, 1, 1, client.block(client.place.head()))
    client.raw(CONTINUATION, 4, 0, literal("a", "b"))


# Section 8, requests that are malformed.

BAD_FIELDS = {
    "8.2: an upper-case name": [("X-Upper", "a")],
    "8.2.1: a name with a space": [("x bad", "a")],
    "8.2.1: a name with a colon": [("x:bad", "a")],
    "8.2.1: an empty name": [("", "a")],
    "8.2.1: a name with a byte above 127": [(b"x-\xff", "a")],
    "8.2.1: a value with NUL": [("x-bad", b"a\0b")],
    "8.2.1: a value with CR LF": [("x-bad", b"a\r\nx-smuggled: b")],
    "8.2.1: a value with LF": [("x-bad", b"a\nb")],
    "8.2.1: a value that begins with a space": [("x-bad", b" a")],
    "8.2.1: a value that ends with a tab": [("x-bad", b"a\t")],
    "8.2.2: connection": [("connection", "keep-alive")],
    "8.2.2: keep-alive": [("keep-alive", "timeout=5")],
    "8.2.2: proxy-connection": [("proxy-connection", "close")],
    "8.2.2: transfer-encoding": [("transfer-encoding", "chunked")],
    "8.2.2: upgrade": [("upgrade", "websocket")],
    "8.2.2: te other than trailers": [("te", "gzip")],
    "8.3: an unknown pseudo-header": [(":unknown", "a")],
    "8.3: :status in a request": [(":status", "200")],
    "8.3.1: two paths": [(":path", "/other")],
    "8.3.1: two methods": [(":method", "GET")],
    "8.3.1: two schemes": [(":scheme", "http")],
    "8.3.1: two authorities": [(":authority", "other")],
    "8.3.1: a host that is not the authority": [("host", "elsewhere.test")],
    "8.1.1: a content-length above nothing, without a body": [("content-length", "5")],
    "8.1.1: a content-length that is no number": [("content-length", "five")],
    "8.1.1: a negative content-length": [("content-length", "-1")],
    "8.1.1: two content-lengths that differ": [("content-length", "0"), ("content-length", "5")],
    "8.1.1: a content-length that is a list": [("content-length", "0, 0")],
}
BAD_PSEUDO = {
    "8.3.1: no method": {"method": None},
    "8.3.1: no scheme": {"scheme": None},
    "8.3.1: no path": {"path": None},
    "8.3.1: an empty path": {"path": ""},
    "8.3.1: a path without /": {"path": "echo"},
    "8.3.1: a path with a space": {"path": "/a b"},
    "8.3.1: a path with CR LF": {"path": "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /b"},
    "8.3.1: a path with NUL": {"path": "/a\0b"},
    "8.3.1: a whole URL as the path": {"path": "http://elsewhere.test/"},
    "8.3.1: a method with a space": {"method": "GET /"},
    "8.3.1: an empty method": {"method": ""},
    "8.3.1: a scheme with a space": {"scheme": "ht tp"},
    "8.3.1: an authority with a user": {"authority": "user@localhost"},
    "8.3.1: an authority with a path": {"authority": "localhost/a"},
    "8.3.1: an authority with CR LF": {"authority": "localhost\r\nx-smuggled: b"},
    "8.3.1: neither authority nor host": {"authority": None},
    "8.5: CONNECT": {"method": "CONNECT", "scheme": None, "path": None},
    "8.5: CONNECT with a path": {"method": "CONNECT"},
    "RFC 8441: CONNECT for an unknown protocol": {"method": "CONNECT", "protocol": "unknown"},
    "RFC 8441: a protocol without CONNECT": {"protocol": "websocket"},
}

for title, fields in BAD_FIELDS.items():

    @stream_error(f"{title}: malformed", *MALFORMED)
    def _(client, fields=fields):
        client.request(1, client.place.head("/echo", "GET", *fields))


for title, pseudo in BAD_PSEUDO.items():
    refused = (*MALFORMED, "405", "501") if "CONNECT" in title else MALFORMED

    @stream_error(f"{title}: malformed", *refused)
    def _(client, pseudo=pseudo):
        client.request(1, client.place.head(**{"path": "/echo", **pseudo}))


@stream_error("8.3: a pseudo-header behind another field: malformed", *MALFORMED)
def _(client):
    client.request(1, [("x-first", "a"), *client.place.head()])


@stream_error("8.1.1: more content than content-length says: malformed", *MALFORMED)
def _(client):
    client.request(1, client.place.head("/echo", "POST", ("content-length", "3")), end=False)
    client.data(1, b"words", end=True)


@stream_error("8.1.1: less content than content-length says: malformed", *MALFORMED)
def _(client):
    client.request(1, client.place.head("/echo", "POST", ("content-length", "10")), end=False)
    client.data(1, b"words", end=True)


@stream_error("8.1: trailers that do not end the stream: malformed", *MALFORMED)
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    client.data(1, b"words")
    client.request(1, [("x-last", "a")], end=False)


@rule("8.1: a pseudo-header among trailers: malformed")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    client.data(1, b"words")
    client.request(1, [(":method", "DELETE")])
    if client.outcome(1) == "200" and client.bodies[1].startswith(b"POST /echo") and not client.trailers:
        raise Deviation("left out by the crate h2, which shows trailers without it")
    expect(client.outcome(1) in MALFORMED, client.outcome(1))


@rule("8.3.1: a path with a fragment: malformed")
def _(client):
    client.request(1, client.place.head("/echo#part"))
    if client.outcome(1) == "200" and client.bodies[1].startswith(b"GET /echo HTTP"):
        raise Deviation("the fragment is left out by the crate http, which reads URLs for h2")
    expect(client.outcome(1) in MALFORMED, client.outcome(1))


@rule("8.2.3: cookies in several fields arrive as one")
def _(client):
    client.request(1, client.place.head("/echo", "GET", ("cookie", "a=1"), ("x-other", "b"), ("cookie", "c=2; d=3")))
    equal(client.answer(1), 200, "status")
    expect(b"\ncookie: a=1; c=2; d=3\n" in client.bodies[1], client.bodies[1])


@rule("8.3.1: a host in place of the authority will do, one of the same name beside it, too")
def _(client):
    client.request(1, client.place.head("/echo", "GET", ("host", "a.test"), authority=None))
    client.request(3, client.place.head("/echo", "GET", ("host", "b.test"), authority="b.test"))
    for stream, name in ((1, b"a.test"), (3, b"b.test")):
        equal(client.answer(stream), 200, "status")
        equal(client.bodies[stream].count(b"\nhost: " + name + b"\n"), 1, "host fields")


@rule("8.3.1: OPTIONS * is passed on, GET * is malformed")
def _(client):
    client.request(1, client.place.head("*", "OPTIONS"))
    expect(client.outcome(1) in ("200", "404"), client.outcome(1))
    client.request(3, client.place.head("*"))
    expect(client.outcome(3) in MALFORMED, client.outcome(3))


@rule("10.5.1: a head larger than --max-header-size: 431 or a reset, and the connection lives on")
def _(client):
    many = [(f"x-{number}", "a" * 1000) for number in range(90)]
    block = client.block(client.place.head("/", "GET", *many))
    pieces = [block[start : start + 16000] for start in range(0, len(block), 16000)]
    for index, piece in enumerate(pieces):
        last = 4 if index == len(pieces) - 1 else 0
        client.raw(CONTINUATION if index else HEADERS, last | (0 if index else 1), 1, piece)
    found = client.outcome(1)
    expect(found in ("431", "RST PROTOCOL_ERROR", "RST ENHANCE_YOUR_CALM", "GOAWAY ENHANCE_YOUR_CALM"), found)
    if not found.startswith("GOAWAY"):
        client.expect_alive()


@rule("10.5.1: more fields than --max-headers: 431")
def _(client):
    client.request(1, client.place.head("/", "GET", *((f"x-{number}", "a") for number in range(200))))
    expect(client.outcome(1) in ("431", "RST PROTOCOL_ERROR"), client.outcome(1))
    client.expect_alive()


if __name__ == "__main__":
    main()

"""What RFC 9113 says a server does with frames that no client should send."""

import struct

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support.frames import PREFACE, Client, integer, literal
from support.report import Deviation, equal, expect
from support.rules import connection_error, play, rule, stream_error

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)


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
        try:
            while other.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass


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
    client.request(1, client.place.head("/delay/9000", "POST"), end=False)
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


if __name__ == "__main__":
    play()

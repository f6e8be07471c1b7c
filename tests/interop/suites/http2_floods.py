"""Clients that flood the balancer by HTTP/2: memory and CPU stay bounded, and others are answered meanwhile."""

import contextlib
import http.client
import importlib.metadata
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support import report
from support.certificates import Certificates
from support.frames import Client, Place, frame, integer, literal
from support.programs import Balancer, sample
from support.pulse import Pulse
from support.report import case, expect

MEGABYTE = 1 << 20
# What one client may cost for a moment: 128 streams whose windows and answers are buffered.
MOST_MEMORY = 48 * MEGABYTE
FLAGS = ["--header-timeout", "2s", "--body-timeout", "3s", "--client-idle-timeout", "5s", "--workers", "2"]
# Seconds for what those timeouts end. A busy machine makes them longer: of a tick that comes late, a worker's clock counts a part.
LONG_ENOUGH = 60
ATTEMPTS = 3
CALM = ("GOAWAY ENHANCE_YOUR_CALM",)
FLOODS = []


def main():
    for package in ("hyperframe", "hpack"):
        report.version(f"{package} {importlib.metadata.version(package)}")
    certificates = Certificates()
    with sample() as address:
        # Each in a thread of its own, for they mostly wait.
        with ThreadPoolExecutor() as threads:
            both = [threads.submit(attack_all, address, certificates, name) for name in ("h2c", "h2")]
        for attacked in both:
            attacked.result()


def attack_all(address, certificates, name):
    with Balancer(address, certificates=certificates, flags=FLAGS) as balancer:
        warm(balancer)
        clear, tls = Place(balancer.port), Place(balancer.tls_port, certificates.context("h2"))
        for title, outcomes, act in FLOODS:
            with case(f"{name}: {title}"):
                attack(balancer, clear if name == "h2c" else tls, outcomes, act)


def flood(title, *outcomes):
    """The connection must end in one of these ways. With none, it may live on: only others and bounds count."""

    def add(act):
        FLOODS.append((title, outcomes, act))
        return act

    return add


def attack(balancer, place, outcomes, act):
    """Once; or again after a machine that stood still, for that tells nothing of the balancer."""
    for _ in range(ATTEMPTS):
        with Pulse() as pulse:
            try:
                return attack_once(balancer, place, outcomes, act)
            except report.Failed as why:
                failed = why
        if not pulse.stood_still():
            break
        print(f"again, for the machine stood still for {pulse.longest:.1f} s: {failed}", flush=True)
        recover(balancer)
    raise failed


def recover(balancer):
    """Waits until requests are answered again."""
    for _ in range(100):
        with contextlib.suppress(OSError), contextlib.closing(ask(balancer)) as kept:
            kept.request("GET", "/")
            if kept.getresponse().status == 200:
                return
        time.sleep(0.1)


def attack_once(balancer, place, outcomes, act):
    before = balancer.memory()
    with Bystander(balancer) as bystander:
        with Client(place) as client:
            client.settle()
            found = act(client) or client.end(1)
        time.sleep(0.2)
    failures = f"{bystander.failures[:3]} (of {bystander.answers} requests)"
    expect(not bystander.failures, f"another client: {failures}; the balancer said: {balancer.lines[-3:]}")
    expect(bystander.answers > 3, f"another client had {bystander.answers} answers")
    grown = bystander.most_memory - before
    expect(grown < MOST_MEMORY, f"{grown / MEGABYTE:.0f} MiB more memory")
    rest(balancer)
    expect(not outcomes or found in outcomes, f"{found} in place of {' or '.join(outcomes)}")


def ask(balancer):
    return http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=5)


def rest(balancer):
    """Nothing is computed for a client that has left: an idle balancer uses next to no CPU."""
    for _ in range(20):
        before = balancer.cpu()
        time.sleep(0.2)
        if balancer.cpu() - before <= 0.05:
            return
    raise report.Failed("the balancer computes on after the client has left")


def warm(balancer):
    """Fills buffers that are kept, so that later growth tells something."""
    with Bystander(balancer):
        time.sleep(0.5)


class Bystander:
    """Another client, which asks all the while on new and kept connections, and looks at the balancer's memory."""

    def __init__(self, balancer):
        self.balancer, self.failures, self.answers, self.most_memory = balancer, [], 0, 0

    def __enter__(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _ask(self):
        while not self.over.is_set():
            kept = ask(self.balancer)
            try:
                for _ in range(5):
                    kept.request("GET", "/bytes/100")
                    answer = kept.getresponse()
                    if (answer.status, len(answer.read())) != (200, 100):
                        self.failures.append(f"status {answer.status}")
                    self.answers += 1
                    self.most_memory = max(self.most_memory, self.balancer.memory())
                    self.over.wait(0.01)
            except OSError as why:
                self.failures.append(repr(why))
            finally:
                kept.close()


def repeat(client, data, seconds=1.0, reading=True):
    """Writes the same bytes over and over until the connection ends or the time has passed."""
    deadline = time.monotonic() + seconds
    while not (client.over or client.broken) and time.monotonic() < deadline:
        client.write(data)
        if reading:
            client.until(lambda: client.over, 0.001)


def numbered(make, count=1 << 14):
    """Frames for streams 1, 3, 5 and so on, in pieces to write at once."""
    for first in range(0, count, 128):
        yield b"".join(make(2 * number + 1) for number in range(first, first + 128))


def write_all(client, pieces):
    for piece in pieces:
        client.write(piece)
        client.until(lambda: client.over, 0.001)
        if client.over or client.broken:
            break


@flood("rapid reset: HEADERS and RST_STREAM, 16384 times (CVE-2023-44487)", *CALM)
def _(client):
    block, cancel = client.block(client.place.head("/delay/1000")), bytes([0, 0, 0, 8])
    write_all(client, numbered(lambda stream: frame(1, 5, stream, block) + frame(3, 0, stream, cancel)))


@flood("resets that we are made to send, 16384 times (CVE-2025-8671)", *CALM)
def _(client):
    block, too_much = client.block(client.place.head("/delay/1000")), b"\x7f\xff\xff\xff"
    write_all(client, numbered(lambda stream: frame(1, 5, stream, block) + frame(8, 0, stream, too_much)))


@flood("malformed requests, 16384 times", *CALM)
def _(client):
    block = client.block(client.place.head("/", "GET", ("connection", "close")))
    write_all(client, numbered(lambda stream: frame(1, 5, stream, block)))


@flood("streams that are begun beyond the limit, 16384 times", *CALM)
def _(client):
    block = client.block(client.place.head("/delay/5000"))
    write_all(client, numbered(lambda stream: frame(1, 5, stream, block)))


@flood("a header block without an end, in CONTINUATION frames of 1 KiB", *CALM, "GOAWAY COMPRESSION_ERROR")
def _(client):
    client.raw(1, 1, 1, client.block(client.place.head()))
    repeat(client, ContinuationFrame(1, literal("x-more", "a" * 1000)).serialize() * 16)


@flood("a header block without an end, in empty CONTINUATION frames", *CALM, "GOAWAY PROTOCOL_ERROR")
def _(client):
    client.raw(1, 1, 1, client.block(client.place.head()))
    repeat(client, ContinuationFrame(1, b"").serialize() * 1000)


for reading in (True, False):
    how = "" if reading else ", by a client that reads nothing"

    @flood(f"SETTINGS without end{how}", *CALM, "closed")
    def _(client, reading=reading):
        settings = {SettingsFrame.HEADER_TABLE_SIZE: 4096, SettingsFrame.INITIAL_WINDOW_SIZE: 65535}
        repeat(client, SettingsFrame(0, settings=settings).serialize() * 200, reading=reading)

    @flood(f"PING without end{how}", *CALM, "closed")
    def _(client, reading=reading):
        repeat(client, PingFrame(0, b"8 bytes!").serialize() * 200, reading=reading)


@flood("empty DATA frames without end", *CALM)
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    repeat(client, DataFrame(1, b"").serialize() * 1000)


@flood("DATA frames of padding only, as far as the window lets", *CALM, "GOAWAY FLOW_CONTROL_ERROR")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    repeat(client, DataFrame(1, b"", pad_length=0, flags=["PADDED"]).serialize() * 1000)


@flood("PRIORITY without end", *CALM)
def _(client):
    repeat(client, PriorityFrame(1, depends_on=3, stream_weight=5).serialize() * 1000)


@flood("WINDOW_UPDATE without end", *CALM, "GOAWAY FLOW_CONTROL_ERROR")
def _(client):
    repeat(client, WindowUpdateFrame(0, window_increment=1).serialize() * 1000)


@flood("frames of an unknown type without end", *CALM)
def _(client):
    repeat(client, frame(0xBB, 0, 0, b"") * 1000)


@flood("RST_STREAM without end on a stream that is over", *CALM, "GOAWAY PROTOCOL_ERROR", "GOAWAY STREAM_CLOSED")
def _(client):
    client.request(1)
    client.answer(1)
    repeat(client, RstStreamFrame(1, error_code=8).serialize() * 1000)


@flood("GOAWAY without end", "GOAWAY NO_ERROR", *CALM, "GOAWAY PROTOCOL_ERROR", "closed")
def _(client):
    repeat(client, GoAwayFrame(0, last_stream_id=0, error_code=0).serialize() * 1000)


@flood("HPACK bomb: 4000 bytes that are referred to 16000 times in each head")
def _(client):
    # The first field goes into the dynamic table (index 62), later bytes 0xbe are each that field again.
    big = b"\x40" + integer(1, 7) + b"x" + integer(4000, 7) + b"a" * 4000
    head = client.block(client.place.head())
    client.raw(1, 5, 1, head + big)
    for stream in range(3, 203, 2):
        client.raw(1, 5, stream, head + b"\xbe" * 16000)
        if client.until(lambda: client.over, 0.001) or client.broken:
            break
    found = client.outcome(3)
    refused = ("431", "RST PROTOCOL_ERROR", *CALM, "GOAWAY PROTOCOL_ERROR", "GOAWAY COMPRESSION_ERROR")
    expect(found in refused, f"{found} for 64 MB of fields")


@flood("HPACK: the dynamic table changes its size in each head")
def _(client):
    head, big = client.block(client.place.head()), b"\x40\1x" + integer(4000, 7) + b"a" * 4000
    for stream in range(1, 2001, 2):
        client.raw(1, 5, stream, integer(0, 5, 0x20) + integer(4096, 5, 0x20) + head + big)
        client.answer(stream)
    expect(client.outcome(1999) == "200", client.outcome(1999))


@flood("100 answers of 1 MiB without a window: cut by --body-timeout")
def _(client):
    stall(client, {SettingsFrame.INITIAL_WINDOW_SIZE: 0})


@flood("100 answers of 1 MiB with a window of one byte: cut by --body-timeout")
def _(client):
    stall(client, {SettingsFrame.INITIAL_WINDOW_SIZE: 1})


def stall(first, settings):
    with Client(first.place, settings=settings) as client:
        client.settle()
        for stream in range(1, 201, 2):
            client.request(stream, client.place.head("/bytes/1048576"))
        done = client.until(lambda: client.over or len(client.resets) == 100, LONG_ENOUGH, grant=False)
        expect(done, f"{len(client.resets)} of 100 streams were cut")
        expect(not client.ended, "an answer came to its end without a window")


@flood("100 answers of 1 MiB that nobody reads from the socket: cut by --body-timeout")
def _(first):
    # Time in which a worker gets no core does not count for it, and this machine may have much else to do.
    kept = next((kept for kept in map(partial(unread, first), (6, 20)) if kept < 100), 100)
    expect(kept < 100, f"{kept} of 100 answers were kept for it")


def unread(first, seconds):
    with Client(first.place, settings={SettingsFrame.INITIAL_WINDOW_SIZE: (1 << 31) - 1}) as client:
        client.settle()
        client.send(WindowUpdateFrame(0, window_increment=(1 << 31) - 1 - 65535))
        for stream in range(1, 201, 2):
            client.request(stream, client.place.head("/bytes/1048576"))
        time.sleep(seconds)
        client.until(lambda: client.over or len(client.ended) == 100, LONG_ENOUGH, grant=False)
        return len(client.ended) if client.over else 100


@flood("100 uploads that stop amid their bodies: cut by --body-timeout")
def _(client):
    for stream in range(1, 201, 2):
        client.request(stream, client.place.head("/echo", "POST", ("content-length", "100000")), end=False)
        client.data(stream, bytes(1000))
    streams = range(1, 201, 2)
    cut = client.until(lambda: client.over or all(n in client.ended or n in client.resets for n in streams), LONG_ENOUGH)
    expect(cut, f"{len(client.resets) + len(client.ended)} of 100 uploads were cut")


@flood("half a head: cut by --header-timeout")
def _(client):
    client.raw(1, 1, 1, client.block(client.place.head()))
    expect(client.until(lambda: client.over, LONG_ENOUGH), "not closed")


@flood("half a frame: cut by --header-timeout")
def _(client):
    client.write(b"\0\0\x08\6")
    expect(client.until(lambda: client.over, LONG_ENOUGH), "not closed")


@flood("PING now and then, but never a request: closed in the end")
def _(client):
    deadline = time.monotonic() + LONG_ENOUGH
    while not client.over and time.monotonic() < deadline:
        client.send(PingFrame(0))
        client.until(lambda: client.over, 0.5)
    expect(client.over, f"kept for {LONG_ENOUGH} s with --client-idle-timeout 5s")


@flood("20000 bytes of an upload, each in a DATA frame of its own: taken")
def _(client):
    client.request(1, client.place.head("/echo", "POST"), end=False)
    for sent in range(500, 20_001, 500):
        client.write(DataFrame(1, b"x").serialize() * 500)
        client.until(lambda: len(client.bodies.get(1, b"").partition(b"\n\n")[2]) == sent)
    client.data(1, b"", end=True)
    expect(client.outcome(1) == "200", client.outcome(1))
    expect(len(client.bodies[1].partition(b"\n\n")[2]) == 20_000, "not all of it came back")


if __name__ == "__main__":
    main()

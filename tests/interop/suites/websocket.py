"""The package websockets, over HTTP/1.1 with and without TLS, and WebSocket over HTTP/2 (RFC 8441)."""

import asyncio
import importlib.metadata

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from support import report
from support.certificates import Certificates
from support.programs import PATIENCE, Balancer, backend
from support.report import case, equal, expect
from support.websocket_over_http2 import WebSocket

MESSAGES = 100_000
BIG = bytes(range(256)) * 65536


def main():
    for package in ("websockets", "wsproto", "h2"):
        report.version(f"{package} {importlib.metadata.version(package)}")
    certificates = Certificates()
    # While the backend packs 16 MiB it answers nobody, which takes it seconds where others compute, too.
    slow = ["--health-timeout", f"{PATIENCE}s"]
    with backend("websocket") as address, Balancer(address, certificates=certificates, flags=slow) as balancer:
        asyncio.run(over_http1(balancer, certificates))
        asyncio.run(over_http2(balancer, certificates))


async def over_http1(balancer, certificates):
    ways = {
        "ws": (f"ws://127.0.0.1:{balancer.port}", {}),
        "wss": (f"wss://localhost:{balancer.tls_port}", {"ssl": certificates.context()}),
    }
    for name, (url, how) in ways.items():
        how = {"max_size": None, "ping_interval": None, **how}
        with case(f"{name}: {MESSAGES} messages come back whole and in order"):
            async with connect(url, compression=None, **how) as socket:
                await both(send_numbers(socket), take_numbers(socket))
        with case(f"{name}: compressed, fragmented and binary messages, and one of 16 MiB"):
            async with connect(url, **how) as socket:
                for message in ("words " * 1000, b"\0\xff" * 70_000, "", BIG):
                    await socket.send(message)
                    equal(await socket.recv(), message, "message")
                await socket.send(["in ", "three ", "parts"])
                equal(await socket.recv(), "in three parts", "message")
        with case(f"{name}: pings, subprotocols and codes of closing pass"):
            async with connect(url, subprotocols=["other", "echo.test"], **how) as socket:
                equal(socket.subprotocol, "echo.test", "subprotocol")
                await asyncio.wait_for(await socket.ping(), 10)
            async with connect(f"{url}/bye", **how) as socket:
                await asyncio.wait_for(socket.wait_closed(), 10)
                equal((socket.close_code, socket.close_reason), (4321, "as agreed"), "close")
        with case(f"{name}: a refusal of the backend reaches the client"):
            try:
                async with connect(f"{url}/refused", **how):
                    raise report.Failed("a WebSocket was opened")
            except InvalidStatus as refused:
                equal((refused.response.status_code, refused.response.body), (403, b"not you\n"), "answer")
        with case(f"{name}: 200 at the same time"):
            await asyncio.gather(*(one_message(connect(url, **how), number) for number in range(200)))


async def over_http2(balancer, certificates):
    ways = {
        "RFC 8441 over TLS": ("localhost", balancer.tls_port, certificates.context("h2")),
        "RFC 8441 in the clear": ("127.0.0.1", balancer.port, None),
    }
    for name, (host, port, context) in ways.items():
        with case(f"{name}: {MESSAGES} messages come back whole and in order"):
            async with WebSocket.open(host, port, "/", context) as socket:
                equal(socket.status, "200", "status")
                await both(send_packed_numbers(socket), take_events(socket))
        with case(f"{name}: a binary message of 16 MiB, a ping, the close"):
            async with WebSocket.open(host, port, "/", context) as socket:
                await both(socket.send(BytesMessage(data=BIG)), take_big(socket))
                await socket.send(Ping(payload=b"there?"))
                equal(await socket.next(), Pong(payload=b"there?"), "answer to a ping")
                await socket.send(CloseConnection(code=1000, reason="done"))
                event = await socket.next()
                expect(isinstance(event, CloseConnection) and event.code == 1000, event)
                equal(await socket.next(), None, "end")
        with case(f"{name}: a subprotocol is agreed upon, a close has its code"):
            async with WebSocket.open(host, port, "/bye", context, [("sec-websocket-protocol", "echo.test")]) as socket:
                equal((socket.status, socket.head.get("sec-websocket-protocol")), ("200", "echo.test"), "answer")
                expect("sec-websocket-accept" not in socket.head, socket.head)
                equal((await socket.next()).code, 4321, "code of the close")
        with case(f"{name}: a refusal of the backend reaches the client"):
            async with WebSocket.open(host, port, "/refused", context) as socket:
                equal(socket.status, "403", "status")


async def both(sending, taking):
    await asyncio.wait_for(asyncio.gather(sending, taking), 60)


async def send_numbers(socket):
    for number in range(MESSAGES):
        await socket.send(f"message {number}")


async def take_numbers(socket):
    for number in range(MESSAGES):
        equal(await socket.recv(), f"message {number}", "message")


async def one_message(connecting, number):
    async with connecting as socket:
        await socket.send(str(number))
        equal(await socket.recv(), str(number), "message")


async def send_packed_numbers(socket):
    """Many messages to a frame of HTTP/2: h2 takes its time for each."""
    for first in range(0, MESSAGES, 100):
        numbers = range(first, first + 100)
        await socket.send_bytes(b"".join(socket.messages.send(TextMessage(data=f"message {n}")) for n in numbers))


async def take_events(socket):
    for number in range(MESSAGES):
        equal(await message(socket), f"message {number}", "message")


async def take_big(socket):
    expect(b"".join(await parts(socket)) == BIG, "another message came back")


async def message(socket):
    return "".join(await parts(socket))


async def parts(socket):
    """A message as it came: wsproto gives what it has when a frame is not here as a whole."""
    found, whole = [], False
    while not whole:
        event = await socket.next()
        expect(isinstance(event, (TextMessage, BytesMessage)), event)
        found.append(event.data)
        whole = event.message_finished
    return found


if __name__ == "__main__":
    main()

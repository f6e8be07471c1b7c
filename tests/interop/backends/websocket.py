"""A WebSocket backend: sends every message back. `/refused` is a 403, `/bye` closes with a code of its own."""

import asyncio
import http

from websockets.asyncio.server import serve


async def echo(connection):
    if connection.request.path == "/bye":
        await connection.close(4321, "as agreed")
        return
    async for message in connection:
        await connection.send(message)


def answer(connection, request):
    if request.path == "/refused":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")
    # What checks of a balancer ask for.
    if "Upgrade" not in request.headers:
        return connection.respond(http.HTTPStatus.OK, "ok\n")


def subprotocol(_, offered):
    return "echo.test" if "echo.test" in offered else None


async def main():
    options = {"process_request": answer, "select_subprotocol": subprotocol, "max_size": None, "ping_interval": None}
    async with serve(echo, "127.0.0.1", 0, **options) as server:
        host, port = server.sockets[0].getsockname()
        print(f"listens on {host}:{port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""What stands behind many balancers: the HTTP server of Python, and that of aiohttp. `http1 library|aiohttp`."""

import asyncio
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiohttp import web


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(bytes(int(self.path.removeprefix("/bytes/"))) if "bytes" in self.path else b"hello\n")

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        if self.headers["Transfer-Encoding"] is None:
            self.reply(self.rfile.read(int(self.headers["Content-Length"])))
            return
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.reply(body)

    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


async def hello(_):
    return web.Response(body=b"hello\n")


async def sized(request):
    return web.Response(body=bytes(int(request.match_info["size"])))


async def echo(request):
    """Answers while it reads: chunked, as the length is not known."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    async for part in request.content.iter_any():
        await answer.write(part)
    return answer


async def run_aiohttp():
    application = web.Application(client_max_size=1 << 30)
    application.add_routes([web.get("/", hello), web.get("/bytes/{size}", sized), web.post("/echo", echo)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"listens on 127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def run_library():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"listens on 127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "library":
        run_library()
    else:
        asyncio.run(run_aiohttp())

"""httpx and aiohttp: connection pools, HTTP/2, bodies that stream both ways, clients that leave."""

import asyncio
import hashlib

import aiohttp
import httpx

from support import report
from support.certificates import Certificates
from support.programs import Balancer, sample
from support.report import case, equal, expect

# httpx reads nothing before all is sent, and what is echoed meanwhile must find room on the way: the system gives some MB.
SIZE = 2_000_000
PIECE = bytes(range(256)) * 64


def main():
    report.version(f"httpx {httpx.__version__}")
    report.version(f"aiohttp {aiohttp.__version__}")
    certificates = Certificates()
    with sample() as backend, Balancer(backend, certificates=certificates) as balancer:
        asyncio.run(httpx_cases(balancer, certificates))
        asyncio.run(aiohttp_cases(balancer, certificates))


async def pieces():
    for _ in range(SIZE // len(PIECE)):
        yield PIECE


CHECKSUM = hashlib.sha256(PIECE * (SIZE // len(PIECE))).hexdigest()


async def httpx_cases(balancer, certificates):
    context = certificates.context()
    ways = {
        "HTTP/1.1": (balancer.http, {"http2": False}, "HTTP/1.1"),
        "HTTP/1.1 over TLS": (balancer.https, {"http2": False}, "HTTP/1.1"),
        "HTTP/2 over TLS": (balancer.https, {"http2": True}, "HTTP/2"),
        "HTTP/2 by prior knowledge": (balancer.http, {"http1": False, "http2": True}, "HTTP/2"),
    }
    for name, (url, how, version) in ways.items():
        async with httpx.AsyncClient(base_url=url, verify=context, timeout=30, **how) as client:
            with case(f"httpx, {name}: GET, HEAD, POST"):
                found = await client.get("/")
                equal((found.http_version, found.text), (version, "hello from sample\n"), "answer")
                found = await client.head("/bytes/10")
                equal((found.headers["content-length"], found.content), ("10", b""), "answer to HEAD")
                found = await client.post("/echo", content=b"some words")
                expect(found.content.endswith(b"\n\nsome words"), found.content)
            with case(f"httpx, {name}: 500 requests, all at once on a few connections"):
                found = await asyncio.gather(*(client.get(f"/bytes/{size}") for size in range(500)))
                equal([len(answer.content) for answer in found], list(range(500)), "lengths")
            with case(f"httpx, {name}: a streamed upload comes back whole"):
                checksum, head = hashlib.sha256(), b""
                async with client.stream("POST", "/echo", content=pieces()) as answer:
                    async for part in answer.aiter_bytes():
                        if b"\n\n" not in head:
                            head += part
                            part = head.partition(b"\n\n")[2]
                        checksum.update(part)
                equal(checksum.hexdigest(), CHECKSUM, "checksum")
            # Over HTTP/2 httpx neither resets such a stream nor gives its window back, whoever it speaks to.
            if version == "HTTP/2":
                continue
            with case(f"httpx, {name}: answers that nobody reads to the end do no harm"):
                for _ in range(20):
                    async with client.stream("GET", f"/bytes/{SIZE}") as answer:
                        await anext(answer.aiter_bytes())
                equal((await client.get("/")).status_code, 200, "status afterwards")


async def aiohttp_cases(balancer, certificates):
    context = certificates.context()
    for name, url in (("HTTP/1.1", balancer.http), ("HTTP/1.1 over TLS", balancer.https)):
        connector = aiohttp.TCPConnector(limit=100, ssl=context)
        deadline = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(url, connector=connector, timeout=deadline) as client:
            with case(f"aiohttp, {name}: 3000 requests, 100 at a time"):
                bodies = await asyncio.gather(*(body(client, f"/bytes/{size}") for size in range(3000)))
                equal([len(found) for found in bodies], list(range(3000)), "lengths")
            with case(f"aiohttp, {name}: 20 chunked uploads at a time come back whole"):
                sums = await asyncio.gather(*(echoed(client) for _ in range(20)))
                equal(set(sums), {CHECKSUM}, "checksums")
            with case(f"aiohttp, {name}: a body that grows while its answer is read"):
                await conversation(client)
            with case(f"aiohttp, {name}: 100 clients that leave before the answer do no harm"):
                impatient = aiohttp.ClientTimeout(total=0.1)
                left = [client.get("/delay/5000", timeout=impatient) for _ in range(100)]
                found = await asyncio.gather(*left, return_exceptions=True)
                equal({type(why) for why in found}, {asyncio.TimeoutError}, "what they saw")
                equal(await body(client, "/"), b"hello from sample\n", "the next answer")


async def body(client, path):
    async with client.get(path) as answer:
        equal(answer.status, 200, "status")
        return await answer.read()


async def echoed(client):
    async with client.post("/echo", data=pieces()) as answer:
        found = await answer.read()
        return hashlib.sha256(found.partition(b"\n\n")[2]).hexdigest()


async def conversation(client):
    """Each part is sent only when the one before has come back."""
    back = asyncio.Queue()

    async def parts():
        for number in range(100):
            yield b"part %03d\n" % number
            equal(await asyncio.wait_for(back.get(), 10), b"part %03d\n" % number, "what came back")

    async with client.post("/echo", data=parts()) as answer:
        while await answer.content.readline() != b"\n":
            pass
        async for line in answer.content:
            back.put_nowait(line)


if __name__ == "__main__":
    main()

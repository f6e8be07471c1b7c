"""h2load and wrk: many requests at a time, all of them answered."""

import re
import tempfile

from support import report
from support.certificates import Certificates
from support.programs import Balancer, run, sample
from support.report import case, equal, expect


def main():
    report.version(run("h2load", "--version", text=True).stdout.strip())
    report.version(re.match(r"wrk \S+", run("wrk", "-v", text=True).stdout)[0])
    certificates = Certificates()
    with sample() as backend, Balancer(backend, certificates=certificates) as balancer:
        with tempfile.NamedTemporaryFile() as upload:
            upload.write(bytes(64 * 1024))
            upload.flush()
            ways = {
                "HTTP/1.1": (balancer.http, ["--h1"]),
                "HTTP/1.1 over TLS": (balancer.https, ["--h1"]),
                "HTTP/2 over TLS": (balancer.https, ["-m", "100"]),
                "HTTP/2 by prior knowledge": (balancer.http, ["-m", "100"]),
            }
            for name, (url, flags) in ways.items():
                h2load(f"h2load, {name}: 5000 requests of 20 clients", 5000, "-c", 20, *flags, f"{url}/bytes/128")
                h2load(f"h2load, {name}: 50 answers of 1 MiB", 50, "-c", 5, *flags, f"{url}/bytes/1048576")
                sent = ["-d", upload.name, f"{url}/echo"]
                h2load(f"h2load, {name}: 400 uploads of 64 KiB", 400, "-c", 10, *flags, *sent)
            for name, url in (("HTTP/2 over TLS", balancer.https), ("HTTP/2 by prior knowledge", balancer.http)):
                # A client that takes 1 KiB at a time, and 512 streams where we allow fewer.
                small = ["-w", 10, "-W", 10, f"{url}/bytes/65536"]
                h2load(f"h2load, {name}: small windows", 200, "-c", 2, "-m", 20, *small)
                h2load(f"h2load, {name}: more streams than we take", 5000, "-c", 1, "-m", 512, f"{url}/bytes/128")
                h2load(f"h2load, {name}: connections of 10 requests", 1000, "-c", 100, "-m", 5, f"{url}/bytes/128")
        for name, url in (("HTTP/1.1", balancer.http), ("HTTP/1.1 over TLS", balancer.https)):
            wrk(f"wrk, {name}: 3 s of 64 connections", "-c", 64, f"{url}/bytes/128")
        wrk("wrk, HTTP/1.1: a connection for each request", "-c", 32, "-H", "Connection: close", f"{balancer.http}/")


def h2load(name, count, *words):
    with case(name):
        out = run("h2load", "-n", count, *words, text=True).stdout
        requests = re.search(r"requests: .*", out)
        expect(requests, out)
        numbers = dict((what, int(number)) for number, what in re.findall(r"(\d+) (\w+)", requests[0]))
        expect(numbers["succeeded"] == count and not numbers["failed"] + numbers["errored"], requests[0])
        equal(re.search(r"status codes: (\d+) 2xx", out)[1], str(count), "answers of status 2xx")


def wrk(name, *words):
    with case(name):
        out = run("wrk", "-t", 1, "-d", "3s", *words, text=True).stdout
        expect("Socket errors" not in out and "Non-2xx" not in out, out)
        expect(int(re.search(r"(\d+) requests in", out)[1]) > 100, out)


if __name__ == "__main__":
    main()

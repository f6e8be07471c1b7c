"""Backends that people run, each behind the balancer: HTTP servers of Python and Node, nginx if it is here."""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

from support import report
from support.certificates import Certificates
from support.programs import Balancer, Program, backend, free_port, run
from support.report import case, equal

SIZE = 5_000_000
NGINX = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; {user}
events {{ worker_connections 500; }}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {folder}/bodies;
    server {{
        listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl; listen unix:{folder}/socket;
        ssl_certificate {chain}; ssl_certificate_key {key};
        root {folder}/files;
        location = / {{ return 200 "hello\\n"; }}
    }}
}}
"""


def main():
    report.version(f"http.server {platform.python_version()}")
    report.version(f"aiohttp {importlib.metadata.version('aiohttp')}")
    report.version(f"node {run('node', '--version', text=True).stdout.strip()[1:]}")
    certificates = Certificates()
    with backend("http1", "library") as address:
        exchanges("http.server", address, certificates)
    with backend("http1", "aiohttp") as address:
        exchanges("aiohttp", address, certificates)
    with backend("node") as address:
        exchanges("node", address, certificates)
    if shutil.which("nginx"):
        report.version(re.search(r"nginx/\S+", run("nginx", "-v", text=True).stderr)[0])
        with nginx(certificates) as (address, tls_address, socket):
            ca = ["--backend-ca", certificates.authority]
            downloads("nginx", address, certificates)
            downloads("nginx over TLS", f"https://{tls_address}", certificates, ca)
            downloads("nginx on a Unix socket", f"unix:{socket}", certificates)


@contextlib.contextmanager
def nginx(certificates):
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        port, tls_port = free_port(), free_port()
        files = Path(folder) / "files/bytes"
        files.mkdir(parents=True)
        (files / str(SIZE)).write_bytes(bytes(SIZE))
        user = "user root;" if os.geteuid() == 0 else ""
        chain, key = certificates.server.chain, certificates.server.key
        settings = NGINX.format(folder=folder, port=port, tls_port=tls_port, user=user, chain=chain, key=key)
        (Path(folder) / "nginx.conf").write_text(settings)
        with Program("nginx", "-e", "stderr", "-c", f"{folder}/nginx.conf"):
            yield f"127.0.0.1:{port}", f"127.0.0.1:{tls_port}", f"{folder}/socket"


def exchanges(name, address, certificates):
    """What a server that takes uploads is asked."""
    downloads(name, address, certificates)
    with Balancer(address, certificates=certificates) as balancer:
        with tempfile.NamedTemporaryFile() as file:
            file.write(os.urandom(SIZE))
            file.flush()
            wanted = hashlib.sha256(Path(file.name).read_bytes()).hexdigest()
            for way, url, flags in ways(balancer, certificates):
                chunked = ["-H", "Transfer-Encoding: chunked"] if "1.1" in way else ["-H", "Content-Length:"]
                for how, more in (("an upload", []), ("an upload of a length not told", chunked)):
                    with case(f"{name}, {way}: {how} comes back whole"):
                        found = curl(*flags, *more, "-X", "POST", "-T", file.name, f"{url}/echo")
                        equal(hashlib.sha256(found).hexdigest(), wanted, "checksum")


def downloads(name, address, certificates, flags=()):
    with Balancer(address, certificates=certificates, flags=flags) as balancer:
        for way, url, words in ways(balancer, certificates):
            with case(f"{name}, {way}: ten requests, a HEAD, a large answer"):
                equal(curl(*words, *[f"{url}/"] * 10), b"hello\n" * 10, "answers")
                head = curl(*words, "--head", f"{url}/bytes/{SIZE}").lower()
                equal(f"content-length: {SIZE}".encode() in head, True, "whether HEAD tells the length")
                equal(len(curl(*words, f"{url}/bytes/{SIZE}")), SIZE, "length")


def ways(balancer, certificates):
    yield "HTTP/1.1", balancer.http, ["--http1.1"]
    yield "HTTP/2", balancer.https, ["--http2", "--cacert", certificates.authority]


def curl(*words):
    found = run("curl", "-sS", "--fail", "--max-time", "15", *words)
    equal(found.returncode, 0, f"exit status of curl ({found.stderr.decode().strip()})")
    return found.stdout


if __name__ == "__main__":
    main()

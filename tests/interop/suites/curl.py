"""curl: every way in which it speaks HTTP, and TLS with and without certificates."""

import hashlib
import re
import tempfile
from pathlib import Path

from support import report
from support.certificates import Certificates
from support.programs import Balancer, run, sample
from support.report import Deviation, case, equal, expect

VERSION = re.match(r"curl \S+", run("curl", "--version", text=True).stdout)[0]
SIZE = 8_000_000
# TLS 1.3 refuses a client after the handshake, so that it is sending or receiving when it learns of it.
REFUSED = (16, 35, 55, 56, 98)
FILLER = (b"abcdefghijklmnopqrstuvwxyz" * (64 * 1024 // 26 + 1))[: 64 * 1024]


def main():
    report.version(VERSION)
    certificates = Certificates()
    with sample() as backend, Balancer(backend, certificates=certificates) as balancer:
        ca = ["--cacert", certificates.authority]
        ways = {
            "HTTP/1.1": (balancer.http, ["--http1.1"], "1.1"),
            "HTTP/1.1 over TLS": (balancer.https, ["--http1.1", *ca], "1.1"),
            "HTTP/2 over TLS": (balancer.https, ["--http2", *ca], "2"),
            "HTTP/2 by prior knowledge": (balancer.http, ["--http2-prior-knowledge"], "2"),
        }
        for name, way in ways.items():
            exchanges(name, *way)
            bodies(name, *way)
        other_versions(balancer)
        tls(balancer, certificates)
    with sample() as backend:
        client_certificates(backend, certificates)


def curl(*words, status=0):
    found = run("curl", "-sS", "--max-time", "30", *words)
    equal(found.returncode, status, f"exit status of curl ({found.stderr.decode().strip()})")
    return found


def answer(*words):
    """The last head and the body of an answer."""
    out = curl("-i", *words).stdout
    while True:
        head, _, body = out.partition(b"\r\n\r\n")
        if not re.match(rb"HTTP/\S+ 1\d\d", head):
            return head.decode(), body
        out = body


def exchanges(name, url, flags, version):
    with case(f"{name}: GET"):
        head, body = answer(*flags, f"{url}/")
        expect(re.match(rf"HTTP/{re.escape(version)} 200", head), head)
        equal(body, b"hello from sample\n", "body")
    with case(f"{name}: HEAD has the length and no body"):
        head, body = answer("--head", *flags, f"{url}/bytes/1234")
        expect(re.search(r"(?mi)^content-length: 1234\r?$", head), head)
        equal(body, b"", "body")
    with case(f"{name}: answers without content, and errors of the backend"):
        for status in (204, 304, 404, 500):
            head, _ = answer(*flags, f"{url}/status/{status}")
            expect(re.match(rf"HTTP/\S+ {status}\b", head), head)
    with case(f"{name}: five requests share a connection"):
        not_with_curl_7_88(flags)
        out = curl(*flags, *["-o", "/dev/null", f"{url}/"] * 5, "-w", "%{num_connects}").stdout
        equal(out, b"10000", "new connections of each request")
    with case(f"{name}: 200 requests, 50 at a time"):
        not_with_curl_7_88(flags)
        out = curl(*flags, "-Z", "--parallel-max", "50", "-o", "/dev/null", "-w", "%{http_code}\n",
                   f"{url}/bytes/[1000-1199]").stdout  # fmt: skip
        equal(out.split(), [b"200"] * 200, "statuses")
    with case(f"{name}: trailers reach a client that takes them"):
        with tempfile.NamedTemporaryFile() as heads:
            curl(*flags, "-H", "TE: trailers", "-D", heads.name, f"{url}/chunked/100")
            expect(b"\r\nx-bytes: 100" in Path(heads.name).read_bytes().lower(), Path(heads.name).read_bytes())
    with case(f"{name}: methods, query and fields arrive"):
        _, body = answer(*flags, "-X", "PURGE", "-H", "X-Ask: a,  b", "-H", "Cookie: a=1; b=2", f"{url}/echo?q=%20&r")
        expect(body.startswith(b"PURGE /echo?q=%20&r HTTP/1.1\n"), body)
        for line in (b"x-ask: a,  b", b"cookie: a=1; b=2", b"host: " + url.split("//")[1].encode()):
            expect(b"\n" + line + b"\n" in body, f"{line} is not in {body}")


def not_with_curl_7_88(flags):
    if VERSION.startswith("curl 7.88.") and "--http2-prior-knowledge" in flags:
        raise Deviation("left out: curl 7.88 cannot use a connection of prior knowledge twice, with any server "
                        "(seen with nginx and Envoy); the suites load and http_clients do")  # fmt: skip


def bodies(name, url, flags, version):
    filler = (FILLER * (SIZE // len(FILLER) + 1))[:SIZE]
    wanted = hashlib.sha256(filler).hexdigest()
    for kind in ("bytes", "chunked"):
        with case(f"{name}: download of {SIZE} bytes, /{kind}"):
            equal(hashlib.sha256(curl(*flags, f"{url}/{kind}/{SIZE}").stdout).hexdigest(), wanted, "checksum")
    with tempfile.NamedTemporaryFile() as file:
        file.write(filler)
        file.flush()
        uploads = {"": [], " that waits for 100": ["-H", "Expect: 100-continue"]}
        unsaid = "Transfer-Encoding: chunked" if version == "1.1" else "Content-Length:"
        uploads[" of a length not told"] = ["-H", unsaid]
        for how, more in uploads.items():
            with case(f"{name}: upload{how} of {SIZE} bytes"):
                head, body = answer(*flags, *more, "-X", "POST", "-T", file.name, f"{url}/echo")
                expect(re.match(r"HTTP/\S+ 200", head), head)
                equal(hashlib.sha256(body.partition(b"\n\n")[2]).hexdigest(), wanted, "checksum")


def other_versions(balancer):
    with case("HTTP/1.0"):
        head, body = answer("--http1.0", f"{balancer.http}/chunked/100")
        expect(re.match(r"HTTP/1\.[01] 200", head), head)
        expect("transfer-encoding" not in head.lower(), head)
        equal(len(body), 100, "length of the body")
    with case("an upgrade to h2c is not taken (RFC 9113, 3.1): the answer is HTTP/1.1"):
        head, body = answer("--http2", f"{balancer.http}/")
        expect(head.startswith("HTTP/1.1 200"), head)
    with case("chunks and trailers on the wire"):
        raw = curl("--http1.1", "--raw", "-H", "TE: trailers", f"{balancer.http}/chunked/10").stdout
        expect(re.fullmatch(rb"[aA]\r\nabcdefghij\r\n0\r\n(?i:x-bytes): 10\r\n\r\n", raw), raw)
    with case("a client without ALPN gets HTTP/1.1"):
        head, _ = answer("--no-alpn", "-k", f"{balancer.https}/")
        expect(head.startswith("HTTP/1.1 200"), head)


def tls(balancer, certificates):
    ca = ["--cacert", certificates.authority]
    for version in ("1.2", "1.3"):
        with case(f"TLS {version}"):
            out = curl("-v", *ca, f"--tlsv{version}", "--tls-max", version, f"{balancer.https}/")
            expect(f"SSL connection using TLSv{version}".encode() in out.stderr, out.stderr)
    with case("TLS 1.1 is refused"):
        curl(*ca, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0", f"{balancer.https}/", status=35)
    with case("a client that trusts another authority refuses us"):
        curl("--cacert", certificates.elsewhere, f"{balancer.https}/", status=60)
    with case("a name that no certificate has gets the first one"):
        out = curl("-kv", "--resolve", f"elsewhere.test:{balancer.tls_port}:127.0.0.1",
                   f"https://elsewhere.test:{balancer.tls_port}/")  # fmt: skip
        expect(b"subject: CN=localhost" in out.stderr, out.stderr)
    with case("HTTP in the clear on the port of TLS is told so"):
        head, body = answer("--http1.1", f"http://localhost:{balancer.tls_port}/")
        expect(head.startswith("HTTP/1.1 400"), head)
        expect(b"TLS" in body or b"https" in body, body)
    with case("TLS on a clear port fails at once"):
        found = run("curl", "-sS", "--max-time", "10", f"https://localhost:{balancer.port}/")
        expect(found.returncode == 35, f"{found.returncode} {found.stderr}")


def client_certificates(backend, certificates):
    def identity(pair):
        return ["--cert", pair.chain, "--key", pair.key]

    ca = ["--cacert", certificates.authority]
    ours, strange = identity(certificates.client), identity(certificates.stranger)
    for auth in ("required", "optional"):
        flags = ["--tls-client-ca", certificates.authority, "--tls-client-auth", auth]
        with Balancer(backend, clear=False, certificates=certificates, flags=flags) as balancer:
            for version in ("1.2", "1.3"):
                way = [*ca, "--tls-max", version, f"{balancer.https}/"]
                with case(f"client certificates {auth}, TLS {version}: one of ours is let in"):
                    equal(curl(*ours, *way).stdout, b"hello from sample\n", "body")
                with case(f"client certificates {auth}, TLS {version}: a stranger's is not"):
                    found = run("curl", "-sS", "--max-time", "10", *strange, *way)
                    expect(found.returncode in REFUSED, f"{found.returncode} {found.stdout} {found.stderr}")
                with case(f"client certificates {auth}, TLS {version}: none"):
                    found = run("curl", "-sS", "--max-time", "10", *way)
                    wanted = REFUSED if auth == "required" else (0,)
                    expect(found.returncode in wanted, f"{found.returncode} {found.stdout} {found.stderr}")


if __name__ == "__main__":
    main()

"""sslscan and testssl.sh: versions, ciphers and vulnerabilities of TLS; and sessions that are taken up again."""

import json
import re
import socket
import ssl
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from support import report
from support.certificates import Certificates
from support.programs import Balancer, run, sample
from support.report import Deviation, case, equal, expect

# What testssl.sh rates and we leave as it is.
EXPECTED = {
    "cipher_order": "the client chooses, who knows which is fast for it; there is no weak one to choose",
    "cert_revocation": "of the certificate that this suite makes, not of the balancer",
    "HSTS": "a matter of the backend",
    "security_headers": "a matter of the backend",
}


def main():
    certificates = Certificates()
    with sample() as address, Balancer(address, certificates=certificates) as balancer:
        sslscan(balancer)
        testssl(balancer, certificates)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with case(f"{version.name}: a session is taken up again, whichever worker has the connection"):
                resume(balancer, certificates, version)


def sslscan(balancer):
    out = run("sslscan", "--no-colour", "--xml=-", f"localhost:{balancer.tls_port}", text=True).stdout
    document = ElementTree.fromstring(out)
    report.version(f"sslscan {document.get('version')}")
    found = document.find("ssltest")
    with case("sslscan: TLS 1.2 and 1.3, and no other version"):
        enabled = {(p.get("type"), p.get("version")) for p in found.findall("protocol") if p.get("enabled") == "1"}
        equal(enabled, {("tls", "1.2"), ("tls", "1.3")}, "versions")
    with case("sslscan: six ciphers, all authenticated (GCM, CHACHA20), with new keys for each connection"):
        ciphers = [(cipher.get("sslversion"), cipher.get("cipher")) for cipher in found.findall("cipher")]
        equal(len(ciphers), 6, "number")
        for version, name in ciphers:
            expect("GCM" in name or "CHACHA20" in name, name)
            expect(version == "TLSv1.3" or name.startswith("ECDHE-"), name)
    with case("sslscan: no renegotiation, no Heartbleed, no compression"):
        equal(found.find("renegotiation").get("supported"), "0", "renegotiation")
        equal({beat.get("vulnerable") for beat in found.findall("heartbleed")}, {"0"}, "Heartbleed")
        compression = found.find("compression")
        expect(compression is None or compression.get("supported") == "0", "compression")
    with case("sslscan: curves X25519, P-256 and P-384"):
        groups = {group.get("name").split()[0] for group in found.findall("group")}
        equal(groups, {"secp256r1", "secp384r1", "x25519"}, "curves that OpenSSL knows")


def testssl(balancer, certificates):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "findings.json"
        words = ["--quiet", "--color", "0", "--warnings", "off", "--nodns", "min", "--ip", "127.0.0.1"]
        words += ["--add-ca", certificates.authority, "--jsonfile", file, f"localhost:{balancer.tls_port}"]
        out = run("testssl", *words, text=True, timeout=200)
        findings = json.loads(file.read_text())
    report.version(f"testssl.sh {re.search(r'testssl +([0-9.]+)', run('testssl', '--version', text=True).stdout)[1]}")
    with case("testssl.sh: simulated clients since 2015 connect, older ones do not"):
        refused = [finding["id"] for finding in findings
                   if finding["id"].startswith("clientsimulation-") and "No connection" in finding["finding"]]  # fmt: skip
        equal([name.split("-")[1] for name in refused], ["ie_6_xp", "ie_8_win7", "ie_8_xp", "java_7u25"], "refused")
    expect(len(findings) > 80, out.stdout[-500:])
    for finding in findings:
        # Whether sessions are taken up is looked at below; testssl.sh sometimes cannot. A WARN is about what it lacks itself.
        if finding["severity"] in ("INFO", "WARN") or finding["id"].startswith("sessionresumption"):
            continue
        with case(f"testssl.sh: {finding['id']}"):
            why = EXPECTED.get(finding["id"])
            if finding["severity"] != "OK" and why:
                raise Deviation(f"{finding['severity']} ({finding['finding']}): {why}")
            equal(finding["severity"], "OK", finding["finding"])


def resume(balancer, certificates, version):
    context = certificates.context("http/1.1")
    context.minimum_version = context.maximum_version = version
    session, reused = None, []
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", balancer.tls_port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as wrapped:
                wrapped.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                data = b""
                while part := wrapped.recv(4096):
                    data += part
                expect(data.startswith(b"HTTP/1.1 200"), data)
                reused.append(wrapped.session_reused)
                session = wrapped.session
    equal(reused, [False] + [True] * 19, "whether each of 20 connections took a session up")


if __name__ == "__main__":
    main()

"""Cases of HTTP/2: what a client does, and how its stream or its connection must end then."""

import importlib.metadata

from . import report
from .certificates import Certificates
from .frames import Client, Place
from .programs import Balancer, sample
from .report import Deviation, case, expect

CASES = []
# Of the crate h2, which reads frames for us.
LIBRARY = "PROTOCOL_ERROR ends the connection: the crate h2 tells most of what it cannot take by that one code"


def play():
    """Runs all cases, in the clear and over TLS, each on a connection of its own."""
    for package in ("hyperframe", "hpack"):
        report.version(f"{package} {importlib.metadata.version(package)}")
    certificates = Certificates()
    with sample() as address, Balancer(address, certificates=certificates) as balancer:
        places = {"h2c": Place(balancer.port), "h2": Place(balancer.tls_port, certificates.context("h2"))}
        for name, place in places.items():
            for title, check in CASES:
                with case(f"{name}: {title}"):
                    with Client(place) as client:
                        client.settle()
                        check(client)


def rule(title):
    def add(check):
        CASES.append((title, check))
        return check

    return add


def connection_error(title, code, *others):
    """The connection must end with this code."""

    def decorate(act):
        def check(client):
            act(client)
            found = client.end()
            if found == "GOAWAY PROTOCOL_ERROR" and "PROTOCOL_ERROR" not in (code, *others):
                raise Deviation(LIBRARY)
            expect(found in [f"GOAWAY {known}" for known in (code, *others)], f"{found} in place of {code}")

        CASES.append((title, check))

    return decorate


def stream_error(title, *outcomes, stream=1):
    """The stream must end with one of these; its connection may live on."""

    def decorate(act):
        def check(client):
            act(client)
            found = client.outcome(stream)
            if found == "GOAWAY PROTOCOL_ERROR" and found not in outcomes:
                raise Deviation(LIBRARY)
            expect(found in outcomes, f"{found} in place of {' or '.join(outcomes)}")
            if not found.startswith("GOAWAY"):
                client.expect_alive()

        CASES.append((title, check))

    return decorate

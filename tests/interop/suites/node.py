"""Clients of Node: fetch, undici, http2 and ws."""

from support import report
from support.certificates import Certificates
from support.programs import Balancer, backend, node, sample


def main():
    certificates = Certificates()
    with sample() as address, Balancer(address, certificates=certificates) as balancer:
        run("fetch", balancer, certificates)
        run("http2", balancer, certificates)
    with backend("node") as address, Balancer(address, certificates=certificates) as balancer:
        run("ws", balancer, certificates)


def run(script, balancer, certificates):
    found = node(script, balancer.http, balancer.https, certificates.authority)
    print(found.stdout, end="", flush=True)
    if found.returncode:
        report.say("failed", f"{script}.mjs ended with status {found.returncode}: {found.stderr[-300:]}")


if __name__ == "__main__":
    main()

"""h2spec: over TLS and in the clear."""

import tempfile
import xml.etree.ElementTree as ElementTree

from support import report
from support.certificates import Certificates
from support.programs import Balancer, run, sample
from support.report import Failed, case


def main():
    report.version(run("h2spec", "--version", text=True).stdout.strip())
    certificates = Certificates()
    with sample() as address, Balancer(address, certificates=certificates) as balancer:
        h2spec("h2c", "-p", balancer.port)
        h2spec("h2", "-t", "-k", "-p", balancer.tls_port)


def h2spec(name, *words):
    with tempfile.NamedTemporaryFile() as found:
        run("h2spec", "-h", "localhost", "-o", 2, "-j", found.name, *words, timeout=100)
        document = ElementTree.parse(found.name)
    for test in document.iter("testcase"):
        if test.find("skipped") is not None:
            continue
        with case(f"{name}: {test.get('package')}: {test.get('classname')}"):
            for wrong in (*test.findall("failure"), *test.findall("error")):
                raise Failed(wrong.text or "failed")


if __name__ == "__main__":
    main()

"""slowhttptest: heads, bodies and reads that never end, and ranges. Others are served, and the connections are cut."""

import collections
import json
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor

from support import report
from support.certificates import Certificates
from support.programs import Balancer, run, sample
from support.report import case, equal, expect

CLIENTS = 100
SECONDS = 15
FLAGS = ["--header-timeout", "2s", "--body-timeout", "2s", "--client-idle-timeout", "2s", "--health-timeout", "10s"]
ATTACKS = {
    "slow heads (-H)": (["-H", "-i", "1", "-x", "24"], "/"),
    "slow bodies (-B)": (["-B", "-i", "3", "-s", "8192", "-x", "10"], "/echo"),
    "slow reads (-X)": (["-X", "-n", "5", "-z", "1", "-k", "1", "-w", "1", "-y", "10"], "/bytes/20000000"),
    "ranges (-R)": (["-R", "-a", "10", "-b", "3000"], "/bytes/10000"),
}


def main():
    version = re.search(r"version (\S+)", run("slowhttptest", "-h", text=True).stdout)
    report.version(f"slowhttptest {version[1]}")
    certificates = Certificates()
    with tempfile.NamedTemporaryFile("r") as log, sample() as address:
        flags = [*FLAGS, "--access-log", log.name]
        with Balancer(address, certificates=certificates, flags=flags) as balancer:
            # They wait more than they compute, so all at the same time.
            with ThreadPoolExecutor(2 * len(ATTACKS)) as threads:
                attacks = [
                    threads.submit(attack, f"{what}, {scheme}", f"{scheme}://localhost:{port}{path}", words)
                    for scheme, port in (("http", balancer.port), ("https", balancer.tls_port))
                    for what, (words, path) in ATTACKS.items()
                ]
            for attacked in attacks:
                attacked.result()
        with case("slow reads (-X): each was cut by --body-timeout"):
            reasons = [entry["reason"] for entry in map(json.loads, log) if "/bytes/20000000" in entry["path"]]
            expect(reasons.count("client_stalled") >= 2 * CLIENTS, collections.Counter(reasons))


def attack(name, url, words):
    words = ["-c", CLIENTS, "-r", 25, "-l", SECONDS, "-p", 5, *words, "-u", url]
    with case(f"{CLIENTS} clients with {name}"):
        out = re.sub(r"\x1b\[[0-9;]*m", "", run("slowhttptest", *words, text=True, timeout=60).stdout)
        said = re.findall(r"service available: +(\w+)", out)
        expect(said, out[-300:])
        equal(set(said), {"YES"}, "whether the service was available, at each look")
        ended = re.search(r"Exit status: +(.*)", out)[1]
        if "-X" not in words:
            # Who reads a byte now and then does not notice the end: what had come before it lasts for hours.
            equal(ended, "No open connections left", "how it ended")


if __name__ == "__main__":
    main()

"""slowhttptest: heads, bodies and reads that never end, and ranges. Others are served, and the connections are cut."""

import collections
import json
import re
import tempfile
import threading

from support import report
from support.certificates import Certificates
from support.programs import Balancer, run, sample
from support.report import case, equal, expect

CLIENTS = 200
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
    for scheme in ("http", "https"):
        with tempfile.NamedTemporaryFile("r") as log, sample() as address:
            flags = [*FLAGS, "--access-log", log.name]
            with Balancer(address, certificates=certificates, flags=flags) as balancer:
                port = balancer.port if scheme == "http" else balancer.tls_port
                # They wait more than they compute, so all at the same time.
                threads = [
                    threading.Thread(target=attack, args=(f"{what}, {scheme}", f"{scheme}://localhost:{port}{path}", words))
                    for what, (words, path) in ATTACKS.items()
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            with case(f"slow reads (-X), {scheme}: each was cut by --body-timeout"):
                reasons = [entry["reason"] for entry in map(json.loads, log) if "/bytes/20000000" in entry["path"]]
                expect(reasons.count("client_stalled") >= CLIENTS, collections.Counter(reasons))


def attack(name, url, words):
    words = ["-c", CLIENTS, "-r", 50, "-l", SECONDS, "-p", 5, *words, "-u", url]
    with case(f"{CLIENTS} clients with {name}"):
        out = re.sub(r"\x1b\[[0-9;]*m", "", run("slowhttptest", *words, text=True, timeout=60).stdout)
        said = re.findall(r"service available: +(\w+)", out)
        expect(said, out[-300:])
        equal(set(said), {"YES"}, "whether the service was available, at each look")
        ended = re.search(r"Exit status: +(.*)", out)[1]
        equal(ended, "No open connections left", "how it ended")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Runs the suites one after the other and prints a table of what they found. Needs nothing but Python."""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = Path(os.environ.get("INTEROP_HOME", "/tmp/loadbalancer-interop"))
PYTHON = HOME / "venv/bin/python"
LIMIT = 240


@dataclass
class Suite:
    """A suite, and what it needs: commands, packages of Python and of Node.

    One that mostly waits runs beside the others.
    """

    name: str
    commands: list = field(default_factory=list)
    python: list = field(default_factory=list)
    node: list = field(default_factory=list)
    waits: bool = False


SUITES = [
    Suite("curl", commands=["curl"]),
    Suite("load", commands=["h2load", "wrk"]),
    Suite("http_clients", python=["httpx", "aiohttp", "h2"]),
    Suite("websocket", python=["websockets", "wsproto", "h2"]),
    Suite("grpc", python=["grpc"]),
    Suite("node", commands=["node"], node=["undici", "ws"]),
    Suite("backends", commands=["curl", "node"], python=["aiohttp"], node=["ws"]),
    Suite("metrics", python=["prometheus_client"]),
    Suite("slow", commands=["slowhttptest"]),
    Suite("chaos", python=["h2", "cryptography"]),
    Suite("tls", commands=["sslscan", "testssl"], waits=True),
    Suite("http2_rules", python=["hyperframe", "hpack"]),
    Suite("http2_requests", python=["hyperframe", "hpack"]),
    Suite("http2_floods", python=["hyperframe", "hpack"], waits=True),
    Suite("h2spec", commands=["h2spec"]),
]


@dataclass
class Result:
    name: str
    versions: list = field(default_factory=list)
    passed: int = 0
    deviations: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0

    @property
    def cases(self):
        return self.passed + len(self.deviations) + len(self.failures)


def main():
    names = [suite.name for suite in SUITES]
    parser = argparse.ArgumentParser(description="Runs other people's clients and suites against the balancer.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"which [default: all]: {', '.join(names)}")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say which cases passed")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(names):
        parser.error(f"no suite is called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [suite for suite in SUITES if not options.suites or suite.name in options.suites]
    results = {}

    def run_those(waiting):
        for suite in chosen:
            if suite.waits == waiting:
                results[suite.name] = run(suite, options.verbose)

    waiting = threading.Thread(target=run_those, args=[True])
    waiting.start()
    run_those(False)
    waiting.join()
    results = [results[suite.name] for suite in chosen]
    print_table(results)
    sys.exit(any(result.failures for result in results))


def run(suite, verbose):
    """Runs a suite, and prints what it said when it has ended."""
    result = Result(suite.name, skipped=lacking(suite))
    lines = [] if result.skipped else play(suite, result, verbose)
    lines.insert(0, f"--- {suite.name}")
    if result.skipped:
        lines.append(f"    skipped: {result.skipped}")
    else:
        lines.append(f"    {result.cases} cases, {result.passed} passed, {result.seconds:.0f} s")
    print("\n".join(lines), flush=True)
    return result


def play(suite, result, verbose):
    """Counts what a suite says while it runs. Gives the lines worth to be seen."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", "INTEROP_HOME": str(HOME)}
    process = subprocess.Popen(
        [PYTHON, "-m", f"suites.{suite.name}"],
        cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    late = threading.Timer(LIMIT, end_all, [process])
    late.start()
    shown, noise = [], []
    for line in process.stdout:
        line = line.decode(errors="replace").rstrip()
        kind = line.partition(" ")[0]
        if not take(result, line):
            noise.append(f"    | {line}")
        elif verbose or kind in ("deviation", "failed"):
            shown.append(f"    {line}")
    status = process.wait()
    result.seconds = time.monotonic() - began
    if not late.is_alive():
        result.failures.append(f"did not end within {LIMIT} s")
    late.cancel()
    end_all(process)
    if status and not result.failures:
        result.failures.append(f"ended with status {status}")
    elif not result.cases and not result.skipped:
        result.failures.append("has no cases")
    return shown + (noise[-60:] if result.failures else [])


def lacking(suite):
    """Why a suite cannot run, or nothing."""
    if not PYTHON.exists():
        return f"no {PYTHON}: run tests/interop/setup"
    missing = [f"command {name}" for name in suite.commands if not shutil.which(name)]
    test = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    missing += [f"Python package {name}" for name in suite.python if subprocess.call([PYTHON, "-c", test, name])]
    missing += [f"npm package {name}" for name in suite.node if not (HOME / "node/node_modules" / name).exists()]
    return f"not installed: {', '.join(missing)}" if missing else ""


def take(result, line):
    """Counts what a line of a suite says. False if it is none of the lines that `support/report.py` writes."""
    kind, _, rest = line.partition(" ")
    match kind:
        case "version":
            result.versions.append(rest)
        case "skip":
            result.skipped = rest
        case "ok":
            result.passed += 1
        case "deviation":
            result.deviations.append(rest)
        case "failed":
            result.failures.append(rest)
        case _:
            return False
    return True


def end_all(process):
    """Ends what a suite has left running: it has a session of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def print_table(results):
    print("\n| suite | version | cases | passed | deviations | failed | s |\n|---|---|--:|--:|--:|--:|--:|")
    for result in results:
        if result.skipped:
            print(f"| {result.name} | skipped: {result.skipped} | | | | | |")
            continue
        counts = f"{result.cases} | {result.passed} | {len(result.deviations)} | {len(result.failures)}"
        print(f"| {result.name} | {', '.join(result.versions)} | {counts} | {result.seconds:.0f} |")
    for title in ("deviations", "failures"):
        lines = [f"- {result.name}: {line}" for result in results for line in getattr(result, title)]
        if lines:
            print(f"\n{title}:", *lines, sep="\n")


if __name__ == "__main__":
    main()

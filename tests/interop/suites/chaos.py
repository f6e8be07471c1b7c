"""Two balancers in a row while their settings, processes and backends change, stop and hang in turns: no client may notice.

What happens, and when, is chosen by chance; `SEED` makes other choices, and `LASTS` is how many seconds it goes on.
"""

import asyncio
import importlib.metadata
import json
import os
import random
import signal
import subprocess
import tempfile
from pathlib import Path

from support import report
from support.asking import OverHttp1, OverHttp2
from support.certificates import Certificates
from support.programs import PROGRAMS, Program, free_port
from support.report import case, equal, expect

SEED = int(os.environ.get("SEED", "1"))
LASTS = float(os.environ.get("LASTS", "20"))
POLICIES = ["first", "round_robin", "random", "least_requests", "peak_ewma", "maglev", "ring"]
ROOM = 2**20


class Sample(Program):
    """A sample backend that can be replaced at its port."""

    def __init__(self):
        self.port = free_port()
        super().__init__(PROGRAMS / "backends1", "--port", self.port)

    async def restart(self, pause):
        await asyncio.to_thread(self.stop)
        await asyncio.sleep(pause)
        self.lines.clear()
        await asyncio.to_thread(lambda: self.__enter__().wait_for("listens on"))


class Chained(Program):
    """A balancer that has one of each kind of listener, and changes its settings by chance."""

    def __init__(self, name, folder, certificates, backends, health, chance):
        self.socket, self.log = folder / f"{name}.sock", folder / f"{name}.log"
        self.settings, self.certificates, self.backends = folder / f"{name}.toml", certificates, backends
        self.health, self.chance = health, chance
        self.clear, self.second, self.tls, self.admin = (free_port() for _ in range(4))
        self.successions = 0
        super().__init__(PROGRAMS / "loadbalancer", "--config", self.settings, "--workers", "2")

    def __enter__(self):
        self.write()
        super().__enter__()
        self.at_work = self.process.pid
        self.wait_for("admin API on")
        for _ in self.backends:
            self.wait_for("is healthy")
        return self

    def write(self):
        """Other settings that are as good as those before."""
        some = self.chance.sample(self.backends, self.chance.randint(2, len(self.backends)))
        pools = {"rest": some, **({"bytes": some[::-1]} if self.chance.random() < 0.5 else {})}
        lines = [f'access_log = "{self.log}"', f'[admin]\naddress = "127.0.0.1:{self.admin}"']
        for name, address in {
            "clear": f"127.0.0.1:{self.clear}",
            "second": f"127.0.0.1:{self.second}",
            "unix": f"unix:{self.socket}",
        }.items():
            lines.append(f'[listeners.{name}]\naddress = "{address}"')
        server = self.certificates.server
        lines.append(f'[listeners.tls]\naddress = "127.0.0.1:{self.tls}"\ntls = true')
        lines.append(f'[[tls.certificates]]\ncert_file = "{server.chain}"\nkey_file = "{server.key}"')
        lines.append(f"[limits]\nconnections = {self.chance.choice([1000, 2000])}")
        for pool, backends in pools.items():
            path = "/bytes/*" if pool == "bytes" else "/*"
            lines.append(f'[routes.{pool}]\npath = "{path}"\npool = "{pool}"')
            policy = self.chance.choice(POLICIES)
            lines.append(f'[pools.{pool}]\nbackends = {json.dumps(backends)}\npolicy = "{policy}"')
            lines.append(f'health = {{ path = "{self.health}", interval = "2s" }}')
            if any(backend.startswith("https") for backend in backends):
                lines.append(f'tls = {{ ca_file = "{self.certificates.authority}" }}')
        new = self.settings.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.rename(self.settings)

    async def reload(self):
        self.write()
        told = await self.tell("reload")
        expect(told.returncode == 0, f"reload: {told.stderr}")

    async def succeed(self):
        """Has another process take its place."""
        os.kill(self.at_work, signal.SIGUSR2)
        self.successions += 1
        deadline = asyncio.get_running_loop().time() + 20
        while len(lines := [line for line in self.lines if " serves in place of this one" in line]) < self.successions:
            expect(asyncio.get_running_loop().time() < deadline, f"no successor: {self.said()[-1000:]}")
            await asyncio.sleep(0.05)
        self.at_work = int(lines[-1].split("process ")[1].split()[0])

    async def hold(self):
        """Has an operator drain a backend for a moment."""
        pool = self.chance.choice(["rest", "bytes"])
        backend = f"{pool}/{self.chance.choice(self.backends)}"
        # There may be no such pool just now, or the backend be in use no more.
        await self.tell("drain", backend)
        await asyncio.sleep(self.chance.random())
        await self.tell("enable", backend)

    async def all_are_well(self):
        """Waits until it has found out that each backend is there again: with all of them gone, clients would notice."""
        deadline = asyncio.get_running_loop().time() + 20
        while True:
            told = await self.tell("status", "--json")
            if told.returncode == 0 and json.loads(told.stdout)["overview"]["backends"]["down"] == 0:
                return
            expect(asyncio.get_running_loop().time() < deadline, f"backends stay down: {told.stdout}")
            await asyncio.sleep(0.1)

    async def tell(self, *words):
        command = [PROGRAMS / "loadbalancer", *words, "--admin", f"127.0.0.1:{self.admin}"]
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)

    def stop(self):
        """Ends whichever process serves by now; those before it end with it, or have."""
        os.kill(self.at_work, signal.SIGTERM)
        return super().stop()


async def stand_still(process, seconds):
    os.kill(process, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(process, signal.SIGCONT)


async def make_trouble(chance, balancers, samples, over):
    counts = dict.fromkeys(["reload", "succession", "hold", "standstill", "hang", "restart"], 0)
    while not over():
        kind = chance.choice(list(counts))
        counts[kind] += 1
        balancer, sample = chance.choice(balancers), chance.choice(samples)
        match kind:
            case "reload":
                await balancer.reload()
            case "succession":
                await balancer.succeed()
            case "hold":
                await balancer.hold()
            case "standstill":
                await stand_still(balancer.at_work, chance.choice([0.05, 0.3, 1.2]))
            case "hang":
                # The longer one is found to hang, and what may be repeated goes elsewhere.
                await stand_still(sample.process.pid, chance.choice([0.1, 0.4, 7]))
            case "restart":
                await sample.restart(chance.random())
        for known in balancers:
            await known.all_are_well()
        await asyncio.sleep(chance.random() / 2)
    return counts


async def play(outer, balancers, samples, certificates, chance):
    at = "127.0.0.1"
    open_to = {
        "HTTP/1.1": (OverHttp1, lambda: asyncio.open_connection(at, outer.clear, limit=ROOM)),
        "HTTP/1.1 on a Unix socket": (OverHttp1, lambda: asyncio.open_unix_connection(outer.socket, limit=ROOM)),
        "HTTP/1.1 over TLS": (OverHttp1, lambda: over_tls(outer, certificates, "http/1.1")),
        "HTTP/2 by prior knowledge": (OverHttp2, lambda: asyncio.open_connection(at, outer.clear, limit=ROOM)),
        "HTTP/2 over TLS": (OverHttp2, lambda: over_tls(outer, certificates, "h2")),
    }
    askers = [kind(name, connect, SEED + place) for name, (kind, connect) in open_to.items() for place in range(2)]
    tasks = [asyncio.create_task(asker.run()) for asker in askers]
    end = asyncio.get_running_loop().time() + LASTS
    try:
        counts = await make_trouble(chance, balancers, samples, lambda: asyncio.get_running_loop().time() > end)
    finally:
        for asker in askers:
            asker.stopped = True
        await asyncio.gather(*tasks)
    trouble = ", ".join(f"{count} × {kind}" for kind, count in counts.items())
    for name in open_to:
        mine = [asker for asker in askers if asker.name == name]
        with case(f"{name}: {sum(asker.answered for asker in mine)} requests amid {trouble}"):
            expect(all(asker.answered for asker in mine), "a client got no answer at all")
            failures = [failure for asker in mine for failure in asker.failures]
            expect(not failures, f"{len(failures)} failed (SEED={SEED}): {'; '.join(failures[:3])}")
            crossed, answered = (sum(getattr(asker, what) for asker in mine) for what in ("crossed", "answered"))
            expect(crossed <= 1 + answered / 500, f"{crossed} crossed the end of a connection")
    return sum(asker.answered for asker in askers)


def over_tls(outer, certificates, protocol):
    context = certificates.context(protocol)
    return asyncio.open_connection("127.0.0.1", outer.tls, ssl=context, server_hostname="localhost", limit=ROOM)


def main():
    report.version(f"h2 {importlib.metadata.version('h2')}")
    certificates, chance = Certificates(), random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="interop-") as folder, Sample() as one, Sample() as two, Sample() as three:
        samples, folder = [one, two, three], Path(folder)
        for sample in samples:
            sample.wait_for("listens on")
        inner = Chained(
            "inner", folder, certificates, [f"127.0.0.1:{sample.port}" for sample in samples], "/health", chance
        )
        ways = [f"127.0.0.1:{inner.clear}", f"h2c://127.0.0.1:{inner.second}", f"https://127.0.0.1:{inner.tls}"]
        outer = Chained("outer", folder, certificates, [*ways, f"unix:{inner.socket}"], "/", chance)
        with inner, outer:
            answered = asyncio.run(play(outer, [inner, outer], samples, certificates, chance))
        with case("a line of the access log for each request, and each of them whole"):
            lines = [json.loads(line) for line in outer.log.read_text().splitlines()]
            equal(sum(line["status"] == 200 for line in lines), answered, "lines")


if __name__ == "__main__":
    main()

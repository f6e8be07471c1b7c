"""The programs that suites start: the balancer, backends, clients. They end with the suite."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from .report import Failed

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(os.environ.get("INTEROP_PROGRAMS", ROOT / "target/debug"))
HOME = Path(os.environ.get("INTEROP_HOME", "/tmp/loadbalancer-interop"))
SUITES = ROOT / "tests/interop"
PATIENCE = 20
CLOCK = os.sysconf("SC_CLK_TCK")


class Program:
    """A program that runs until its `with` ends. What it says is kept."""

    def __init__(self, *command, env=None):
        self.command = [str(word) for word in command]
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("LOADBALANCER_")}
        self.env.update(env or {})
        self.lines = []
        self.news = threading.Condition()

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it as the system does, and says with which status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"{self.command[0]} does not stop\n{self.said()}") from None
        self.reader.join(PATIENCE)
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait_for(self, pattern):
        """Waits for a line that it says, and gives what the pattern found in it."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while True:
                for line in self.lines:
                    if found := re.search(pattern, line):
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self.reader.is_alive()):
                    raise Failed(f"{self.command} did not say {pattern!r}, but: {self.said()}")
                self.news.wait(min(left, 0.2))

    def said(self):
        return "\n".join(self.lines)

    def memory(self):
        """Bytes that it has resident."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu(self):
        """Seconds that it has computed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.decode(errors="replace").rstrip())
                self.news.notify_all()


class Balancer(Program):
    """The balancer in front of these backends, on free ports of the loopback interface."""

    def __init__(self, *backends, clear=True, certificates=None, flags=()):
        self.backends = backends
        self.clear, self.tls = clear, certificates is not None
        command = [PROGRAMS / "loadbalancer", "--health-interval", "1s"]
        command += ["--listen", "127.0.0.1:0"] if clear else []
        if certificates:
            command += ["--tls-listen", "127.0.0.1:0"]
            command += ["--tls-cert", certificates.server.chain, "--tls-key", certificates.server.key]
        for backend in backends:
            command += ["--backend", backend]
        super().__init__(*command, *flags)

    def __enter__(self):
        super().__enter__()
        try:
            if self.clear:
                self.port = int(self.wait_for(r"listening on http://\S*:(\d+)")[1])
                self.http = f"http://127.0.0.1:{self.port}"
            if self.tls:
                self.tls_port = int(self.wait_for(r"listening on https://\S*:(\d+)")[1])
                self.https = f"https://localhost:{self.tls_port}"
            for backend in self.backends:
                self.wait_for(re.escape(backend.split("//")[-1]) + " is healthy")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is not None:
            raise Failed(f"the balancer ended by itself with status {self.process.returncode}: {self.said()}")
        self.process.send_signal(15)
        try:
            # Tunnels and streams that a suite left behind may be waited for, so the second signal cuts them.
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.send_signal(15)
        status = self.stop()
        if kind is None and (status not in (0, 130) or "panicked" in self.said()):
            raise Failed(f"the balancer ended with status {status}: {self.said()}")


@contextlib.contextmanager
def sample(name="sample"):
    """The project's own sample backend. Gives its address."""
    with Program(PROGRAMS / "backends1", "--port", "0", "--name", name) as backend:
        yield backend.wait_for(r"listens on http://(\S+)")[1]


@contextlib.contextmanager
def backend(name, *words):
    """A backend of `backends/`, in Python or for Node. Gives its address."""
    script = SUITES / "backends" / f"{name}.mjs"
    command = ["node", script] if script.exists() else [HOME / "venv/bin/python", "-m", f"backends.{name}"]
    with Program(*command, *words) as running:
        yield running.wait_for(r"listens on (\S+)")[1]


def node(script, *words):
    """Runs a script of `node/` to its end."""
    return run("node", SUITES / "node" / f"{script}.mjs", *words, timeout=100, text=True)


def run(*command, timeout=60, env=None, **options):
    """Runs a client to its end: its status, and what it wrote."""
    words = [str(word) for word in command]
    environment = {**os.environ, **(env or {})}
    try:
        return subprocess.run(
            words, capture_output=True, timeout=timeout, env=environment, stdin=subprocess.DEVNULL, **options
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{words[0]} did not end within {timeout} s: {late.stdout} {late.stderr}") from None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]

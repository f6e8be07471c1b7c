"""Whether the machine runs: what others do while it stands still tells nothing of them."""

import threading
import time

BEAT = 0.05
STANDSTILL = 1.0


class Pulse:
    """Beats until its `with` ends, and remembers the longest time without a beat, in seconds."""

    def __init__(self):
        self.longest, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def stood_still(self):
        return self.longest > STANDSTILL

    def _beat(self):
        last = time.monotonic()
        while not self.over.wait(BEAT):
            now = time.monotonic()
            last, self.longest = now, max(self.longest, now - last)

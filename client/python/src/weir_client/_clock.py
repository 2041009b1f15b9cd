"""All that the package knows of time and threads; the tests put virtual ones in its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

EPSILON = 1e-9
"""Less than this is no wait: sums of fractions are not exact."""

FOREVER = float("inf")

_WAIT_MAX = min(threading.TIMEOUT_MAX, 24 * 3600.0)


def clock() -> float:
    """A clock that only goes forward, in seconds: nobody's setting of the time moves a wait."""
    return time.monotonic()


def wall() -> float:
    """The Unix time."""
    return time.time()


class Bell:
    """Something that happens once, for which threads wait."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    def wait(self, until: float) -> bool:
        """Waits until it rings or until that time, and never less; says whether it has rung."""
        while not self._event.is_set():
            left = until - clock()
            if left <= EPSILON:
                return False
            self._event.wait(min(left, _WAIT_MAX))
        return True


def spawn(run: Callable[[], None]) -> None:
    """Runs something beside the caller. It does not keep the process from ending."""
    threading.Thread(target=run, name="weir-client", daemon=True).start()

"""Time that passes only when nothing else happens, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar
from unittest import mock

from weir_client import _clock

T = TypeVar("T")


class _Turn:
    """A thread that waits for its turn."""

    def __init__(self, until: float = math.inf, bell: object = None) -> None:
        self.until = until
        self.bell = bell
        self.go = threading.Semaphore(0)


class VirtualTime:
    """While it is entered, all that weir_client knows of time and threads belongs to it.

    Of its threads, the one that entered it being the first, one runs at a time. When all of
    them wait, the clock goes to the end of the shortest wait.
    """

    def __init__(self, start: float) -> None:
        self.start = start
        self.now = 0.0
        self._ready: deque[_Turn] = deque()
        self._waiting: list[_Turn] = []
        self._stuck = False
        self._patches = ExitStack()

    def __enter__(self) -> VirtualTime:
        time = self

        class Bell:
            def __init__(self) -> None:
                self.rung = False

            def ring(self) -> None:
                self.rung = True
                time._rang(self)

            def clear(self) -> None:
                self.rung = False

            def wait(self, until: float) -> bool:
                if not self.rung and until > time.clock():
                    time._block(_Turn(until, self))
                return self.rung

        for name, value in (("clock", self.clock), ("wall", self.wall), ("Bell", Bell), ("spawn", self.spawn)):
            self._patches.enter_context(mock.patch.object(_clock, name, value))
        # In steps of a day a wait of a hundred years takes a while.
        self._patches.enter_context(mock.patch.object(asyncio.base_events, "MAXIMUM_SELECT_TIMEOUT", math.inf))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.start + self.now

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._block(_Turn(self.now + seconds))

    def spawn(self, run: Callable[[], None]) -> None:
        turn = _Turn()

        def body() -> None:
            turn.go.acquire()
            try:
                run()
            finally:
                self._pass_on()

        self._ready.append(turn)
        threading.Thread(target=body, daemon=True).start()

    def together(self, runs: Sequence[tuple[float, Callable[[], None]]]) -> None:
        """Starts each at its time, and waits for all."""
        bell = _clock.Bell()
        left = [len(runs)]
        errors: list[BaseException] = []

        def one(run: Callable[[], None]) -> None:
            try:
                run()
            except BaseException as e:
                errors.append(e)
            left[0] -= 1
            if left[0] == 0:
                bell.ring()

        for at, run in runs:
            self.sleep(at - self.now)
            self.spawn(partial(one, run))
        bell.wait(math.inf)
        if errors:
            raise errors[0]

    def _block(self, turn: _Turn) -> None:
        self._waiting.append(turn)
        self._pass_on()
        turn.go.acquire()
        if self._stuck:
            raise RuntimeError("everybody waits for ever")

    def _rang(self, bell: object) -> None:
        for turn in [t for t in self._waiting if t.bell is bell]:
            self._waiting.remove(turn)
            self._ready.append(turn)

    def _pass_on(self) -> None:
        if self._ready:
            self._ready.popleft().go.release()
        elif self._waiting:
            turn = min(self._waiting, key=lambda t: t.until)
            self._stuck = self._stuck or turn.until == math.inf
            self._waiting.remove(turn)
            self.now = max(self.now, turn.until if not self._stuck else self.now)
            turn.go.release()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on a loop in this time."""
        loop = _Loop(self)
        try:
            return loop.run_until_complete(coroutine)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


class _Selector(selectors.SelectSelector):
    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everybody waits for ever")
        if not events and timeout is not None:
            # A little past a timer's time: floats far from 0 have not the loop's resolution.
            self._time.now = math.nextafter(self._time.now + max(timeout, 0), math.inf)
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, time: VirtualTime) -> None:
        super().__init__(_Selector(time))
        self._virtual = time

    def time(self) -> float:
        return self._virtual.now

"""Pacing: the budgets that one client knows of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from . import _clock
from ._budget import Budget, Place
from ._options import Settings
from ._ratelimit import RateLimit
from ._steps import Hold, Step

_BUDGETS_MAX = 1024
"""How many budgets are kept. More means that route makes up names; then the idle ones go."""


@dataclass(frozen=True)
class Pass:
    """The leave to send one request. Each one ends in answer or lose."""

    lock: threading.Lock
    budget: Budget
    seq: int

    def answer(self, r: RateLimit, refused: bool, now: float) -> None:
        with self.lock:
            self.budget.answer(self.seq, r, refused, now)

    def lose(self) -> None:
        with self.lock:
            self.budget.lose()


@dataclass(frozen=True)
class Held:
    """No leave: a request would have to wait so many seconds, and cannot."""

    seconds: float


@dataclass
class Pacer:
    """Keeps the budgets of one client. Threads and event loops may share it."""

    lock: threading.Lock = field(default_factory=threading.Lock)  # guards budgets and all in them; never held over a wait
    budgets: dict[tuple[str, str], Budget] = field(default_factory=dict)

    def admit(
        self, key: tuple[str, str], s: Settings, deadline: float, place: Callable[[], Place]
    ) -> Generator[Step, Any, Pass | Held | None]:
        """Waits until a request may be sent.

        If that would not be before the deadline, it is held. None is the leave of those who
        are not paced.
        """
        spread = s.pace == "spread"
        with self.lock:
            now = _clock.clock()
            b = self._find(key, now)
            if b is None:
                return None
            b.most = s.pace_max
            if s.pace == "fail":
                denied = b.denied(now)
                return Held(denied) if denied > _clock.EPSILON else Pass(self.lock, b, b.send(now))
            if not b.queue and b.wait(now, spread) <= _clock.EPSILON:
                return Pass(self.lock, b, b.send(now))
            soonest = b.soonest(now, len(b.queue), spread)
            if now + soonest >= deadline:
                return Held(max(soonest, _clock.EPSILON))
            wait = max(soonest, b.wait(now, spread))
        if s.on_wait is not None:
            s.on_wait(wait, "pace")  # before it queues: should this raise, nobody waits behind it
        return (yield from self._stand(b, spread, deadline, place()))

    def _stand(self, b: Budget, spread: bool, deadline: float, me: Place) -> Generator[Step, Any, Pass | Held]:
        """Waits in the queue of b.

        Only its head looks at the clock; the others sleep until they are the head, or know
        that it will be too late.
        """
        with self.lock:
            b.queue.append(me)
        try:
            while True:
                with self.lock:
                    now = _clock.clock()
                    left = deadline - now
                    pause = left
                    if b.queue[0] is me:
                        pause = b.wait(now, spread)
                        if pause <= _clock.EPSILON:
                            return Pass(self.lock, b, b.send(now))
                    soonest = b.soonest(now, b.queue.index(me), spread)
                    if left <= 0 or soonest >= left:
                        return Held(max(soonest, _clock.EPSILON))
                yield Hold(me, now + min(pause, left))
        finally:
            with self.lock:
                first = b.queue[0] is me
                b.queue.remove(me)
                if first:
                    b.wake()

    def _find(self, key: tuple[str, str], now: float) -> Budget | None:
        """The budget of a key, a new one if need be; None if all there are are in use."""
        b = self.budgets.get(key)
        if b is None and (len(self.budgets) < _BUDGETS_MAX or self._forget(now)):
            b = self.budgets[key] = Budget()
        return b

    def _forget(self, now: float) -> bool:
        """Drops idle budgets: all of those whose time is over, else any one."""
        idle = [(key, b) for key, b in self.budgets.items() if b.flying == 0 and not b.queue]
        over = [key for key, b in idle if b.over(now)]
        for key in over or [key for key, _ in idle[:1]]:
            del self.budgets[key]
        return bool(idle)

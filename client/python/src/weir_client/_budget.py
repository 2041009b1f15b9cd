"""What the client believes of one budget."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, Protocol

from ._number import FARTHEST
from ._ratelimit import RateLimit
from ._share import Share

_SCOUT_PATIENCE = 1.0
"""How long a window's first answer is waited for before one more request goes ahead."""
_SILENCE_MAX = 3
"""How many answers in a row may be silent about a budget that has shown itself once."""
_SLACK = 2.0
"""How far apart two answers may put one and the same reset: whole seconds are rounded twice."""


class Place(Protocol):
    """A place in the queue of a budget."""

    def ring(self) -> None:
        """Makes who waits there look again."""


class Budget:
    """A state machine whose methods take the time, by the clock, and do nothing else.

    Answers arrive in another order than the server wrote them, and say nothing of requests
    that it had not seen yet. So within a window left only falls: to what an answer reports
    less what is in flight, as if none of that were counted in it. That can be too little,
    never too much. Whenever nothing is in flight, the least that was reported is the truth,
    and left is put right.
    """

    def __init__(self) -> None:
        self.most = math.inf  # the longest that one answer is believed
        self.queue: deque[Place] = deque()
        self.flying = 0
        self._phase: Literal["unknown", "free", "known"] = "unknown"
        self._left = 0
        self._reset = 0.0
        self._blocked = -math.inf  # nothing is sent before: Retry-After
        self._sent = -math.inf
        self._heard = -math.inf
        self._seq = 0
        self._learned = 0  # the last one sent when the present view arrived
        self._lost = 0
        self._least: int | None = None
        self._began = 0  # the last one sent before the present window
        self._silent = 0
        self._shown = False
        self._share = Share()

    def wait(self, now: float, spread: bool) -> float:
        """The time until one more request may be sent, 0 or less for now."""
        self._expire(now)
        if now < self._blocked:
            return self._blocked - now
        if self._phase == "unknown":
            if spread and now < self._share.resume:
                return self._share.resume - now
            return self._sent + _SCOUT_PATIENCE - now if self.flying > 0 else 0.0
        if self._phase == "free":
            return 0.0
        if self._left <= 0:
            return self._end() - now
        return min(self._due(1, self._left), self._end()) - now if spread else 0.0

    def denied(self, now: float) -> float:
        """The time for which a request sent now would be denied."""
        self._expire(now)
        if now < self._blocked:
            return self._blocked - now
        return self._end() - now if self._phase == "known" and self._left <= 0 else 0.0

    def soonest(self, now: float, ahead: int, spread: bool) -> float:
        """The earliest that a request with so many ahead of it can hope for: the best view."""
        self._expire(now)
        wait = max(self._blocked - now, 0.0)
        if self._phase == "unknown" and spread:
            return max(wait, self._share.resume - now)
        if self._phase != "known":
            return wait
        hope = max(self._left, 0) + self.flying
        if ahead >= hope:
            return max(wait, self._end() - now)
        return max(wait, min(self._due(ahead + 1, hope), self._end()) - now) if spread else wait

    def over(self, now: float) -> bool:
        """Says that the budget holds nothing worth keeping."""
        self._expire(now)
        return self._phase != "known" and now >= self._blocked

    def send(self, now: float) -> int:
        """Counts a request as sent and returns its number."""
        self._expire(now)  # before the number is given: it belongs to the new window
        if self.flying == 0:
            self._lost = 0
            self._least = None
        if self._phase == "known":
            self._share.sending(now, self._due(2, self._left))
        self.flying += 1
        self._left -= 1
        self._sent = now
        self._seq += 1
        return self._seq

    def answer(self, seq: int, r: RateLimit, refused: bool, now: float) -> None:
        """Takes over what the answer to request seq says."""
        self.flying -= 1
        self._expire(now)
        if refused and r.retry_after is not None:
            # Retry-After takes precedence over a reset: a token bucket has room long before it is full.
            self._blocked = max(self._blocked, now + min(r.retry_after, self.most))
            self._begin()
        elif r.remaining is not None and r.reset_after is not None:
            self._share.limit = r.limit or 0
            self._learn(seq, r.remaining, now, now + r.reset_after)
        elif self._phase == "known" and r.remaining is None and r.limit is None:
            self._left += 1  # by the contract an answer without headers was not counted
        else:
            self._silence(seq)
        self._settle()

    def lose(self) -> None:
        """Takes a request without an answer out of flight. It may have been counted."""
        self.flying -= 1
        self._lost += 1
        self._settle()

    def wake(self) -> None:
        """Makes the head of the queue look again."""
        if self.queue:
            self.queue[0].ring()

    def _end(self) -> float:
        """When the present view is over: at the reset, or when no answer may be believed further."""
        return min(self._reset, self._heard + self.most)

    def _due(self, nth: int, left: int) -> float:
        """When the nth of left requests is sent if they are spread evenly until the reset."""
        early = self._share.early(self._reset)
        step = max(early - self._sent, 0.0) / (max(left - self._share.reserve(), 0) + 1)
        at = self._sent + min(self._share.scale(step) * nth, float(FARTHEST))
        return self._reset if self._share.shared() and at >= early else at

    def _expire(self, now: float) -> None:
        if self._phase == "known" and now >= self._end():
            self._share.over(self._end())
            self._begin()

    def _begin(self) -> None:
        """Starts a window of which nothing is known. What is in flight will tell of the one before."""
        self._phase = "unknown"
        self._began = self._seq
        self._silent = 0
        self._share.forget()

    def _silence(self, seq: int) -> None:
        """Notes that an answer tells nothing of the present window."""
        if self._phase != "unknown" or seq <= self._began:
            return
        self._silent += 1
        if self._silent >= _SILENCE_MAX or not self._shown:
            self._phase = "free"

    def _learn(self, seq: int, remaining: int, now: float, reset: float) -> None:
        """Takes over a report of what remained until reset."""
        self._shown = True
        if reset <= now:
            self._silence(seq)
            return
        if self._phase == "unknown" and seq <= self._began:
            return
        apart = reset - self._reset
        if self._phase == "known" and abs(apart) <= _SLACK:
            self._left = min(self._left, remaining - self.flying)
            self._least = remaining if self._least is None else min(self._least, remaining)
            self._reset = max(self._reset, reset)
            self._share.reset = min(self._share.reset, reset)
        elif self._phase != "known" or apart > 0 or seq > self._learned:
            # A window later than ours, or a newer view of a budget that refills. Newer is only
            # what was sent after our view had arrived.
            self._phase = "known"
            self._reset = reset
            self._left = remaining - self.flying
            self._least = remaining
            self._lost = 0
            self._share.began = now
            self._share.reset = reset
        else:
            return  # from a window that is over, or overtaken
        self._learned = self._seq
        self._heard = now

    def _settle(self) -> None:
        """Puts left right when nothing is in flight, and wakes the head of the queue."""
        if self.flying == 0 and self._phase == "known" and self._least is not None:
            self._left = self._least - self._lost
            self._share.measure(self._seq, self._least)
        self.wake()

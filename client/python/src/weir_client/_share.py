"""What "spread" knows of others who spend from the same budget."""

from __future__ import annotations

import math
import random

from ._number import FARTHEST


class Share:
    """How a budget is shared.

    All that shows of the others is that what remains falls by more than was sent.
    """

    def __init__(self) -> None:
        self.others = 0.0  # how many requests of others there were for each of ours, smoothed
        self.limit = 0  # what the last answer said
        self.began = 0.0  # when the present view's first answer arrived
        self.reset = 0.0  # the earliest that an answer put the reset
        self.resume = -math.inf  # nothing is sent before: see over
        self._seen = 0
        self._sent = 0
        self._mark: tuple[int, int] | None = None  # (number of the request, what was left)

    def scale(self, step: float) -> float:
        """Stretches the gap between two requests so that others have theirs between them."""
        return min(step * (1 + self.others), float(FARTHEST))

    def shared(self) -> bool:
        return self.others > 0.1

    def reserve(self) -> int:
        """How much of the budget is left alone, for the errors of those who share."""
        return self.limit // 100 if self.shared() else 0

    def early(self, reset: float) -> float:
        """When to be through with a window, if the budget is shared.

        Servers round a reset up, so the budget is usually whole again a while before, and
        what is unspent then is lost: a second before the earliest that an answer put it, or a
        tenth of a short window. Nothing is sent from then on, as all of us have the same last
        moment.
        """
        return self.reset - min(1.0, (self.reset - self.began) / 10) if self.shared() else reset

    def sending(self, now: float, late: float) -> None:
        """Notes a request.

        One that comes long after it could have been sent says nothing of how the budget is
        shared: others were not waiting for us.
        """
        if now > late:
            self._mark = None
        self._sent += 1

    def measure(self, seq: int, left: int) -> None:
        """Takes over what remained when nothing was in flight: all that was sent is counted in it."""
        if self._mark is not None and seq > self._mark[0]:
            self._seen = min(self._seen + 1, 4)  # the first measurement counts whole
            others = max((self._mark[1] - left) / (seq - self._mark[0]) - 1, 0.0)
            self.others += (others - self.others) / self._seen
        self._mark = (seq, left)

    def forget(self) -> None:
        """Notes that a view of the budget is over."""
        self._mark = None

    def over(self, end: float) -> None:
        """Notes the end of a window.

        Who shares goes on at a random time within his own gap: all of them know the same
        reset, and would come back together.
        """
        if self.shared() and self._sent > 0:
            self.resume = end + random.random() * max(end - self.began, 0.0) / self._sent
        self._sent = 0

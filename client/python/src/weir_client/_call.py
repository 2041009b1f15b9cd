"""One call: what is sent, when, and what comes of it. No I/O."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

from . import _clock
from ._budget import Place
from ._error import RateLimitError
from ._number import Lookup, clip, lookup
from ._options import Outline, Settings, Why
from ._pace import Held, Pacer, Pass
from ._ratelimit import RateLimit, parse_rate_limit
from ._refusal import BODY_MAX, BODY_TIME_MAX, CODE_UNAVAILABLE, DRAIN_TIME, Refusal, legible, parse_refusal
from ._steps import Heard, Peek, Rest, Send, Step

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
_KEYS = ("idempotency-key", "x-idempotency-key")
_WANTED = frozenset(("content-type", "content-length", "content-encoding", "x-request-id"))


@dataclass(frozen=True)
class Request:
    """A request, whether its body can be had a second time, and what a failure to get an answer is."""

    outline: Outline
    replayable: bool
    failures: tuple[type[Exception], ...]

    def idempotent(self) -> bool:
        """Serving it twice is as good as once: by its method, or by a key that it carries."""
        return self.outline.method in _IDEMPOTENT or any(k in self.outline.headers for k in _KEYS)


@dataclass
class _Sighting:
    """What is known after some attempts at one request."""

    rate_limit: RateLimit = field(default_factory=RateLimit)
    arrived: float = 0.0  # when the last attempt ended, by the clock
    heard: Heard | None = None
    refused: bool = False
    attempts: int = 0

    @property
    def status(self) -> int:
        return self.heard.status if self.heard is not None else 0

    def header(self) -> Lookup:
        return lookup(iter(self.heard.headers if self.heard is not None else ()), _WANTED)

    def least(self) -> tuple[float, Why]:
        """The wait that the server asks for: Retry-After, or the time to the reset of a spent budget."""
        r = self.rate_limit
        if self.heard is None:
            return 0.0, "connection"
        if r.retry_after is not None:
            return r.retry_after, "retry-after"
        if self.status == 429 and r.reset_after is not None and r.remaining == 0:
            return r.reset_after, "reset"
        return 0.0, "backoff"

    def held_back(self, seconds: float) -> RateLimitError:
        """The error of a request that pacing does not let out in time."""
        return RateLimitError(replace(self.rate_limit, retry_after=seconds), self.status, self.attempts)


Flow = Generator[Step, Any, None]


@dataclass
class Call:
    """One request with all its attempts."""

    settings: Settings
    pacer: Pacer
    note: Callable[[RateLimit], None]
    request: Request

    def __post_init__(self) -> None:
        self._seen = _Sighting()
        self._deadline = _clock.clock() + self.settings.total

    def run(self, place: Callable[[], Place]) -> Flow:
        """The call as steps. When it is over, the last answer is the caller's; or it raises."""
        s = self.settings
        while True:
            failure = yield from self._attempt(place)
            repeat = yield from self._next()
            if repeat is None:
                if failure is not None:
                    raise failure
                return (yield from self._final())
            at, why = repeat
            now = _clock.clock()
            if s.on_wait is not None:
                s.on_wait(at - now, why)
            # Read while the wait runs, and not beforehand: a body that trickles is cut off in time.
            grace = max(at - now, min(DRAIN_TIME, self._deadline - now))
            yield Rest(at, min(grace, BODY_TIME_MAX))

    def _attempt(self, place: Callable[[], Place]) -> Generator[Step, Any, Exception | None]:
        """Sends the request once and takes over the outcome; returns the failure to get an answer."""
        seen = self._seen
        leave: Pass | Held | None = None
        if self.settings.pace != "off":
            route = self.settings.route
            key = (self.request.outline.host, route(self.request.outline) if route is not None else "")
            leave = yield from self.pacer.admit(key, self.settings, self._deadline, place)
        if isinstance(leave, Held):
            raise seen.held_back(leave.seconds)
        heard: Heard | None = None
        failure: Exception | None = None
        try:
            heard = yield Send()
        except self.request.failures as e:
            failure = e
        finally:  # whatever else it is: the pacing must not wait for an answer that never comes
            if heard is None and leave is not None:
                leave.lose()
        seen.attempts += 1
        seen.arrived = _clock.clock()
        seen.heard, seen.rate_limit, seen.refused = heard, RateLimit(), False
        if heard is not None:
            seen.rate_limit = parse_rate_limit(heard.headers)
            seen.refused = self._refuses(heard.status, seen.rate_limit)
            if leave is not None:
                leave.answer(seen.rate_limit, seen.refused, seen.arrived)
            self.note(seen.rate_limit)
        return failure

    def _refuses(self, status: int, r: RateLimit) -> bool:
        """Says that an answer is one with which a limiter refuses."""
        return status in (429, 503) or (status == 403 and self.settings.limit_403 and r.retry_after is not None)

    def _next(self) -> Generator[Step, Any, tuple[float, Why] | None]:
        """When to make the next attempt, by the clock, and why then; None if there is none.

        That is what the server asks for, from the arrival of its answer, plus a random part.
        The random part is not just a substitute for it: clients refused together are told the
        same moment, and without it they would come back together.
        """
        seconds, why = self._seen.least()
        at = self._seen.arrived + seconds
        # What cannot be in time is not waited for, and its body is not looked into.
        if self._seen.attempts >= self.settings.attempts or at >= self._deadline:
            return None
        if not (yield from self._repeatable(self._deadline - at)):
            return None
        at = max(at, _clock.clock())  # looking into the body may have taken a while
        if at >= self._deadline:
            return None
        return at + random.random() * min(self._ceiling(), self._deadline - at), why

    def _ceiling(self) -> float:
        """The upper end of the random wait after so many attempts."""
        doublings = min(self._seen.attempts - 1, 1000)  # as many as a float has room for
        return min(self.settings.backoff * 2.0**doublings, self.settings.max_backoff)

    def _repeatable(self, left: float) -> Generator[Step, Any, bool]:
        """Says whether this outcome allows this request to be sent once more.

        A 429 with any method: a limiter refuses before the handler runs. A 503 with
        Retry-After if the request is idempotent, or the body says that it is the limiter's.
        """
        seen = self._seen
        if not self.request.replayable:
            return False
        if seen.heard is None:
            return self.settings.connections and self.request.idempotent()
        if not seen.refused:
            return False
        if seen.status != 503:
            return True
        if seen.rate_limit.retry_after is None:
            return False
        return self.request.idempotent() or (yield from self._peek(left)).code == CODE_UNAVAILABLE

    def _peek(self, seconds: float) -> Generator[Step, Any, Refusal]:
        """Reads an answer's body if it is JSON. The answer itself stays whole."""
        h = self._seen.header()
        if not legible(h):
            return Refusal()
        body = yield Peek(BODY_MAX, min(seconds, BODY_TIME_MAX))
        return parse_refusal(body, h) if body is not None else Refusal()

    def _final(self) -> Flow:
        """What the caller gets: the answer, or the error that he asked for."""
        seen = self._seen
        if not self.settings.error_on_limit or not seen.refused:
            return
        body = yield from self._peek(BODY_TIME_MAX)
        if seen.status == 503 and not body.limiter():
            return
        yield Rest(_clock.clock(), DRAIN_TIME)
        request_id = body.requestId or clip(seen.header()("x-request-id") or "")
        raise RateLimitError(seen.rate_limit, seen.status, seen.attempts, body.code, request_id, body.text())

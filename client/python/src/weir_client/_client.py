"""The client: settings, what it knows of budgets, and the last rate limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from . import _async, _clock, _sync
from ._call import Call, Request
from ._options import Outline, Pace, Settings, Why
from ._pace import Pacer
from ._ratelimit import RateLimit

R = TypeVar("R")


class Client:
    """Understands rate limits, for an HTTP library that it is plugged into.

    weir_client.httpx has transports, weir_client.requests an adapter, weir_client.urllib an
    opener; each takes a Client. One call through them

    1. waits, if asked to pace itself, until the budget it knows of has room;
    2. sends the request;
    3. reads the answer's rate-limit headers and keeps them for last_rate_limit;
    4. if the answer is a refusal that may be repeated, waits at least Retry-After and goes
       back to 1, within a bounded number of attempts and a bounded time;
    5. returns the last answer, or on request raises a RateLimitError in its place.

    Only a request whose body can be had again is repeated: none, or bytes. A generator or a
    file is sent once. Threads, tasks and libraries may share a client, and so its budgets.

    All durations are seconds.

    attempts: how often a request is sent at most; 1 sends it once.
    total: bounds the time from the first attempt to the start of the last one, pacing and the
        reading of refused answers included. What would not fit is not waited for.
    backoff: the ceiling of the random wait before the second attempt, which doubles.
    max_backoff: what that ceiling grows to. It does not shorten what a server asks for.
    connections: also repeat idempotent requests that got no answer. They may have been served.
    error_on_limit: raise a RateLimitError in place of a final refusal.
    limit_403: take a 403 with Retry-After for a refusal like a 429, as some services mean it.
    pace: whether to hold requests back; see Pace.
    pace_max: the longest that one answer can make the pacing hold requests back.
    route: names the budget, within its host, that a request spends from; one per host if None.
        Needed for pacing where routes have limits of their own.
    on_wait: is called before each wait: how many seconds it will be, and why. On the thread of
        the request, so it should be quick.

    A setting that is none is a ValueError that names it and its value.
    """

    def __init__(
        self,
        *,
        attempts: int = 4,
        total: float = 120,
        backoff: float = 0.25,
        max_backoff: float = 10,
        connections: bool = False,
        error_on_limit: bool = False,
        limit_403: bool = False,
        pace: Pace = "off",
        pace_max: float = 3600,
        route: Callable[[Outline], str] | None = None,
        on_wait: Callable[[float, Why], None] | None = None,
    ) -> None:
        self._settings = Settings(
            attempts, total, backoff, max_backoff, connections, error_on_limit, limit_403, pace, pace_max, route, on_wait
        )
        self._pacer = Pacer()
        self._last = RateLimit()

    @property
    def last_rate_limit(self) -> RateLimit:
        """What the headers of the last answer said; all of it is unknown before the first."""
        return self._last

    @property
    def lastRateLimit(self) -> RateLimit:
        """The same by the name that clients in other languages have."""
        return self._last

    def _call(self, request: Request) -> Call:
        return Call(self._settings, self._pacer, self._note, request)

    def _note(self, r: RateLimit) -> None:
        self._last = r

    def carry_out(self, request: Request, send: Callable[[], _sync.Answer[R]]) -> R:
        """Makes one call of a library that blocks. For those who plug the client into one."""
        return _sync.carry_out(self._call(request).run(_clock.Bell), send)

    async def carry_out_async(self, request: Request, send: Callable[[], Awaitable[_async.Answer[R]]]) -> R:
        """Makes one call of a library that runs on asyncio. For those who plug the client into one."""
        return await _async.carry_out(self._call(request).run(_async.Bell), send)

    def urlopen(self, url: Any, data: Any = None, timeout: float | None = None) -> Any:
        """Opens a URL, or a urllib Request, as urllib.request.urlopen does.

        A status that is no success is an HTTPError, unless it is a RateLimitError.
        """
        from .urllib import opener

        return opener(self).open(url, data, timeout)

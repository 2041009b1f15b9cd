"""What the headers of one answer say about a budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import reduce
from typing import Any, Protocol

from . import _clock
from ._number import Lookup, count, instant, lookup, period, retry_after, single
from ._structured import Seen, parse_list, structured


@dataclass(frozen=True)
class RateLimit:
    """What the headers of one answer say about a budget.

    What is None is unknown: never a guess. All durations are seconds.
    """

    limit: int | None = None
    """How many requests the window allows."""
    remaining: int | None = None
    """How many of them are left, never negative."""
    reset: datetime | None = None
    """When the budget resets, in UTC: by the server's clock if the header is a point in time."""
    reset_after: float | None = None
    """The seconds from the answer's arrival to the reset, never negative.

    They are measured against the answer's Date if there is one, so that a wrong clock on
    either side does not matter; then they are up to a second too long, never too short.
    """
    retry_after: float | None = None
    """How many seconds the server asks to wait, never negative; at most 100 years."""
    policy: str | None = None
    """The policy that the values belong to, where the dialect has names."""
    received: datetime | None = None
    """When the answer arrived, by the local clock, in UTC."""


class HasItems(Protocol):
    """A mapping of headers, of whatever library: HTTPMessage, httpx.Headers, a dict."""

    def items(self) -> Iterable[tuple[str, str]]: ...


Headers = HasItems | Iterable[tuple[str, str]]
"""Headers as a mapping, or as pairs of name and value. Names are in any case."""

# Spellings of the headers that tell limit, remaining and reset apart by name.
_FAMILIES = ("x-ratelimit-", "x-rate-limit-", "ratelimit-")
_CALL_LIMIT = "x-shopify-shop-api-call-limit"
_WANTED = frozenset(
    [f + part for f in _FAMILIES for part in ("limit", "remaining", "reset", "reset-after")]
    + ["ratelimit", "ratelimit-policy", "retry-after", "date", "age", _CALL_LIMIT]
)


def parse_rate_limit(headers: Headers, now: datetime | None = None) -> RateLimit:
    """Reads the rate-limit headers of an answer that arrived at now (if None: just now).

    It understands the IETF fields (RateLimit and RateLimit-Policy, all drafts),
    X-RateLimit-*, X-Rate-Limit-*, RateLimit-*, Shopify's call limit, and Retry-After in
    seconds or as a date. Of several budgets the one with the fewest requests left is taken
    whole. A header that contradicts itself is unknown, and so is all but Retry-After on an
    answer out of a cache. A now without a time zone is local time.
    """
    received = datetime.fromtimestamp(_clock.wall(), timezone.utc) if now is None else now
    at = received.timestamp()
    h = lookup(pairs(headers), _WANTED)
    best = Seen()
    if not (single(h, "age") or "").strip("0"):
        seen = [_timed(s, at) for s in structured(h)]
        seen += [_family(f, h, at) for f in _FAMILIES]
        best = reduce(_tightest, [*seen, _call_limit(h)])
    reset = _date(best.reset)
    return RateLimit(
        limit=best.limit,
        remaining=best.remaining,
        reset=reset,
        reset_after=best.reset_after if reset is not None else None,
        retry_after=retry_after(h, at),
        policy=best.policy,
        received=received,
    )


def pairs(headers: Headers) -> Iterator[tuple[str, str]]:
    """All lines of the headers, as far as the library shows them apart."""
    items: Any = headers.items() if hasattr(headers, "items") else headers
    for name, value in items:
        if isinstance(name, str) and isinstance(value, str):
            yield name, value


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _date(unix: float | None) -> datetime | None:
    try:
        return None if unix is None else _EPOCH + timedelta(seconds=unix)
    except OverflowError:
        return None  # behind the year 9999, by a Date that is just before it


def _timed(s: Seen, now: float) -> Seen:
    return s if s.reset_after is None else replace(s, reset=now + s.reset_after)


def _family(prefix: str, h: Lookup, now: float) -> Seen:
    """Reads the headers of one spelling."""
    limit = _leading(single(h, prefix + "limit"))
    remaining = _leading(single(h, prefix + "remaining"))
    # A reset alone says nothing of a budget, and other things reset too.
    if limit is None and remaining is None:
        return Seen()
    reset, after = _reset(prefix, h, now) or (None, None)
    return Seen(limit=limit, remaining=remaining, reset=reset, reset_after=after)


def _reset(prefix: str, h: Lookup, now: float) -> tuple[float, float] | None:
    """A duration goes before a point in time: it needs nobody's clock."""
    after = single(h, prefix + "reset-after")
    either = single(h, prefix + "reset")
    left = period((either or "") if after is None else after)
    if left is not None:
        return now + left, left
    if after is not None or either is None:
        return None
    return instant(either, h, now)


def _leading(v: str | None) -> int | None:
    """Reads a number, or the first of a list as the older drafts have it: `100, 100;w=60`.

    In such a list every number after the first has a window: `100, 200` is two answers run
    together and so unknown.
    """
    if v is None or not (";" in v or "," in v):
        return None if v is None else count(v)
    numbers = parse_list(v) or []
    whole = all(p.item.kind == "integer" and not p.bad and (i == 0 or "w" in p.numbers) for i, p in enumerate(numbers))
    return numbers[0].item.number if whole and numbers else None


def _call_limit(h: Lookup) -> Seen:
    """Shopify's: requests in the bucket, a slash, its size. There is no reset."""
    parts = (single(h, _CALL_LIMIT) or "").split("/")
    if len(parts) != 2:
        return Seen()
    used, size = count(parts[0]), count(parts[1])
    if used is None or size is None or used > size:
        return Seen()
    return Seen(limit=size, remaining=size - used)


def _tightest(a: Seen, b: Seen) -> Seen:
    """Whichever stops a client first, a if they are equal. The two are never mixed."""
    if a.remaining is None or b.remaining is None:
        if (a.remaining is None) != (b.remaining is None):
            return a if b.remaining is None else b
    elif a.remaining != b.remaining:
        return b if b.remaining < a.remaining else a
    if (a.reset_after is None) != (b.reset_after is None):
        return a if b.reset_after is None else b
    left, right = a.reset_after or 0.0, b.reset_after or 0.0
    if right > left or (right == left and b.limit is not None and a.limit is None):
        return b
    return a

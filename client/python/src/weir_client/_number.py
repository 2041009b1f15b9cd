"""Numbers, dates and waits in headers: what cannot be right is unknown (None)."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from typing import Protocol

FARTHEST = 366 * 24 * 3600
"""The most distant reset that is believed, in seconds: the longest window that weir has."""
WAIT_MAX = 100 * FARTHEST
"""What a longer Retry-After counts as: nobody waits that long."""
LATEST = 24 * 3600
"""How far in the past a reset may lie: clocks differ, answers dawdle."""
VALUE_MAX = 256
"""How long a number or a date may be; what is longer counts as absent."""
LIST_MAX = 4096
"""How long a structured field may be, all its lines together."""
TEXT_MAX = 512
"""How much of a text from outside is kept, in bytes of UTF-8."""


class Lookup(Protocol):
    """The headers of one answer: the value by a lower-case name, lines joined by ", "."""

    def __call__(self, name: str, /) -> str | None: ...


def single(h: Lookup, name: str) -> str | None:
    """Returns the one value of a header.

    Of several equal values it is the one; values that differ stay together, and mean
    nothing to whoever expects one.
    """
    raw = h(name)
    if raw is None or len(raw) > VALUE_MAX:
        return None
    v = raw.strip(" \t")
    i = v.find(", ")
    while i >= 0:
        # Copies of the first i characters are what is left if the value moved by i + 2 is itself.
        step = i + 2
        if (len(v) + 2) % step == 0 and v[step:] == v[: len(v) - step]:
            return v[:i]
        i = v.find(", ", step)
    return v


# Digits, and optionally a point and digits: no sign, no exponent, no space, no other script's digits.
_DECIMAL = re.compile(r"([0-9]{1,15})(?:\.([0-9]+))?")
_PATIENCE = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MORE = re.compile(r"[1-9]")


def count(s: str) -> int | None:
    """Reads a number of requests; a true fraction of one is nothing that can be sent."""
    m = _DECIMAL.fullmatch(s)
    return int(m[1]) if m and not _MORE.search(m[2] or "") else None


def period(s: str) -> float | None:
    """Reads seconds, 0 to FARTHEST."""
    m = _DECIMAL.fullmatch(s)
    if not m:
        return None
    whole = int(m[1])
    # The border is decided without floats, in which a tiny fraction is lost.
    if whole > FARTHEST or (whole == FARTHEST and _MORE.search(m[2] or "")):
        return None
    return float(s)


def _patience(s: str) -> float | None:
    """Reads seconds of any length: a long wait is a wait, not unknown."""
    return min(float(s), float(WAIT_MAX)) if _PATIENCE.fullmatch(s) else None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_DATES = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        f"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} gmt",
        f"(?:mon|tues|wednes|thurs|fri|satur|sun)day, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<yy>[0-9]{{2}}) {_TIME} gmt",
        f"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def parse_date(s: str) -> int | None:
    """Reads an HTTP-date in the three forms of RFC 9110, to the letter, as a Unix time."""
    m = next((m for m in (form.fullmatch(s) for form in _DATES) if m), None)
    if m is None:
        return None
    parts = m.groupdict()
    year = int(parts.get("year") or 0)
    if "yy" in parts:
        yy = int(parts["yy"])
        year = yy + (1900 if yy >= 69 else 2000)
    month = _MONTHS.index(parts["month"].lower()) + 1
    day, hour, minute, second = (int(parts[k]) for k in ("day", "hour", "minute", "second"))
    if not 1 <= day <= _days(year, month) or hour > 23 or minute > 59 or second > 59:
        return None
    return calendar.timegm((year, month, day, hour, minute, second)) if year >= 1 else None


def _days(year: int, month: int) -> int:
    return 29 if month == 2 and calendar.isleap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _until(at: float, now: float) -> float | None:
    """The time from now to at, not below 0, if at is anywhere near now."""
    d = at - now
    return None if d > FARTHEST or d < -LATEST else max(d, 0.0)


def _clocks(h: Lookup, now: float) -> tuple[float, float]:
    """The server's clock and ours, the one to believe first.

    That is the server's, unless the two are more than a day apart: such a Date comes from a
    stale copy, or from a machine without a clock, and is a second opinion at best.
    """
    date = parse_date(single(h, "date") or "")
    if date is None:
        return now, now
    return (now, date) if abs(date - now) > LATEST else (date, now)


def instant(s: str, h: Lookup, now: float) -> tuple[float, float] | None:
    """Reads a Unix time and says how long it is from now: (at, after)."""
    if not _DECIMAL.fullmatch(s):
        return None
    at = float(s)
    for clock in _clocks(h, now):
        after = _until(at, clock)
        if after is not None:
            return at, after
    return None


def retry_after(h: Lookup, now: float) -> float | None:
    """Reads Retry-After: seconds, or a date, of which only the distance from the clock counts."""
    v = single(h, "retry-after") or ""
    if "0" <= v[:1] <= "9":
        return _patience(v)
    at = parse_date(v)
    if at is None:
        return None
    both = _clocks(h, now)
    for clock in both:
        d = _until(at, clock)
        if d is not None:
            return d
    return min(max(at - both[0], 0.0), float(WAIT_MAX))


_SURROGATE = re.compile("[\ud800-\udfff]")


def clip(s: str) -> str:
    """Bounds a text from outside, on a character's border, and keeps it printable everywhere."""
    s = _SURROGATE.sub("\ufffd", s[:TEXT_MAX])
    return s.encode()[:TEXT_MAX].decode(errors="ignore")


def lookup(pairs: Iterator[tuple[str, str]], wanted: frozenset[str]) -> Lookup:
    """Headers by name: only those that are wanted, and not more of them than may be."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower() if len(name) < 40 else ""
        before = found.get(key)
        if key not in wanted or (before is not None and len(before) > LIST_MAX):
            continue
        found[key] = value if before is None else f"{before}, {value}"
    return found.get

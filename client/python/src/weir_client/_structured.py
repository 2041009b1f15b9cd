"""RateLimit and RateLimit-Policy: structured fields (RFC 9651), as far as the drafts care."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ._number import FARTHEST, LIST_MAX, Lookup, clip

_POLICIES_MAX = 32
"""How many policies one answer may list."""

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_NUMBER = re.compile(r"(-?)([0-9]{1,15})(?![0-9])(\.[0-9]*)?")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*")
_BYTES = re.compile(r":[A-Za-z0-9+/=]*:")
_FLAG = re.compile(r"\?[01]")
_DICTIONARY = re.compile(r" *[a-z*][a-z0-9_\-.*]*=")
_ESCAPED = re.compile(r"\\(.)")


@dataclass
class Bare:
    """A bare item. The text of a string is still escaped, which is enough to compare names."""

    kind: str  # integer, string, token, other
    number: int = 0
    text: str = ""


@dataclass
class Policy:
    """One member of RateLimit or RateLimit-Policy."""

    item: Bare
    numbers: dict[str, int] = field(default_factory=dict)  # q, w, r, t
    unit: str = ""
    part: str = ""
    bad: bool = False  # a parameter is not what it has to be

    def set(self, key: str, v: Bare) -> None:
        """Takes over one parameter. Those that no draft defines are comments."""
        if key in ("q", "r", "t", "w"):
            if v.kind == "integer":
                self.numbers[key] = v.number
            else:
                self.bad = True
        elif key == "qu":
            self.unit = v.text
            self.bad = self.bad or v.kind not in ("string", "token")
        elif key == "pk":
            self.part = v.text

    def counts_requests(self) -> bool:
        """Bytes or concurrent requests left are no number of requests."""
        return self.unit in ("", "requests", "request")


@dataclass(frozen=True)
class Seen:
    """What headers say of one budget; times in seconds, the reset a Unix time."""

    limit: int | None = None
    remaining: int | None = None
    reset_after: float | None = None
    reset: float | None = None
    policy: str | None = None


class _Cursor:
    """Reads a structured field (section 4.2). Inner lists are refused: no member may be one."""

    def __init__(self, s: str) -> None:
        self._s = s
        self._i = 0

    def first(self) -> bool:
        """Goes to the first member and says if there is one."""
        self._skip(" ")
        return self._i < len(self._s)

    def next(self) -> bool:
        """Goes over the comma to the next member and says if there is one."""
        start = self._i
        self._skip(" \t")
        if not self.take(","):
            return False
        self._skip(" \t")
        if self._i < len(self._s):
            return True
        self._i = start  # a trailing comma is left over, so done will say no
        return False

    def done(self) -> bool:
        """Says that nothing but spaces is left."""
        self._skip(" \t")
        return self._i == len(self._s)

    def key(self) -> str:
        m = self._match(_KEY)
        return m[0] if m else ""

    def take(self, c: str) -> bool:
        if self._s[self._i : self._i + 1] != c:
            return False
        self._i += 1
        return True

    def item(self) -> Policy | None:
        """Reads a bare item and its parameters; None if they break the syntax."""
        bare = self._bare()
        if bare is None:
            return None
        p = Policy(bare)
        while self.take(";"):
            self._skip(" ")
            key = self.key()
            if key == "":
                return None
            # A parameter without a value is true.
            value = self._bare() if self.take("=") else _other("?1")
            if value is None:
                return None
            p.set(key, value)
        return p

    def _bare(self) -> Bare | None:
        c = self._s[self._i : self._i + 1]
        if c == '"':
            return self._string()
        if c == "-" or "0" <= c <= "9":
            return self._number()
        if c == ":":
            return self._whole(_BYTES)
        if c == "?":
            return self._whole(_FLAG)
        if c == "@":
            self._i += 1
            n = self._number()
            return _other("@") if n and n.text != "." else None
        if c == "%":
            self._i += 1
            s = self._string()
            return _other(s.text) if s else None
        m = self._match(_TOKEN)
        return Bare("token", text=m[0]) if m else None

    def _whole(self, form: re.Pattern[str]) -> Bare | None:
        m = self._match(form)
        return _other(m[0]) if m else None

    def _string(self) -> Bare | None:
        m = self._match(_STRING)
        return Bare("string", text=m[1]) if m else None

    def _number(self) -> Bare | None:
        """Reads an Integer or a Decimal. Only an Integer that is not negative has a use here."""
        m = self._match(_NUMBER)
        if not m:
            return None
        sign, digits, fraction = m.groups()
        if fraction is not None:
            return _other(".") if len(digits) <= 12 and 2 <= len(fraction) <= 4 else None
        return _other("-") if sign else Bare("integer", number=int(digits))

    def _match(self, form: re.Pattern[str]) -> re.Match[str] | None:
        m = form.match(self._s, self._i)
        if m:
            self._i = m.end()
        return m

    def _skip(self, blank: str) -> None:
        while self._s[self._i : self._i + 1] and self._s[self._i] in blank:
            self._i += 1


def _other(text: str) -> Bare:
    return Bare("other", text=text)


def parse_list(line: str) -> list[Policy] | None:
    """Reads the members of a List, None if the line breaks the syntax anywhere."""
    members: list[Policy] = []
    c = _Cursor(line)
    more = c.first()
    while more:
        p = c.item() if len(members) < _POLICIES_MAX else None
        if p is None:
            return None
        members.append(p)
        more = c.next()
    return members if c.done() else None


def structured(h: Lookup) -> list[Seen]:
    """Reads RateLimit and RateLimit-Policy: one member for each budget that they show."""
    limits = _field(h, "ratelimit")
    policies = parse_list(_field(h, "ratelimit-policy")) or []
    if _DICTIONARY.match(limits):
        return [_dictionary(limits)]
    states = parse_list(limits) or []
    return [_state(s, policies) for s in states] or [_announced(policies)]


def _field(h: Lookup, name: str) -> str:
    v = h(name) or ""
    return "" if len(v) > LIST_MAX else v


def _announced(policies: Sequence[Policy]) -> Seen:
    """What policies alone say: the limit, if there is just one."""
    if len(policies) != 1 or not policies[0].counts_requests():
        return Seen()
    return Seen(limit=_quota(policies[0]), policy=_name(policies[0]))


def _state(p: Policy, policies: Sequence[Policy]) -> Seen:
    """Turns a member of RateLimit into what it says, with the limit of its policy."""
    if p.bad or "r" not in p.numbers or not p.counts_requests() or p.item.kind not in ("string", "token"):
        return Seen()
    match = _find(p, policies)
    # The unit stands beside the quota in the newest draft, not beside the state.
    if match is not None and not match.counts_requests():
        return Seen()
    return Seen(
        limit=_quota(match) if match is not None else None,
        remaining=p.numbers["r"],
        reset_after=_left(p.numbers.get("t")),
        policy=_name(p),
    )


def _find(p: Policy, policies: Sequence[Policy]) -> Policy | None:
    """The policy that p is the state of. Names that stay ambiguous match nothing."""
    same = [q for q in policies if q.item.kind != "integer" and q.item.text == p.item.text]
    exact = next((q for q in same if q.part == p.part), None)
    return exact or (same[0] if len(same) == 1 else None)


def _quota(p: Policy) -> int | None:
    if p.bad:
        return None
    return p.item.number if p.item.kind == "integer" else p.numbers.get("q")


def _name(p: Policy) -> str | None:
    text = p.item.text
    return clip(_ESCAPED.sub(r"\1", text) if p.item.kind == "string" else text) or None


def _left(t: int | None) -> float | None:
    return None if t is None or t > FARTHEST else float(t)


def _dictionary(line: str) -> Seen:
    """Reads draft 07's `limit=100, remaining=50, reset=5`."""
    members: dict[str, Bare] = {}
    c = _Cursor(line)
    more = c.first()
    while more:
        key = c.key()
        p = c.item() if key and c.take("=") else None
        if p is None:
            return Seen()
        members[key] = p.item
        more = c.next()
    if not c.done():
        return Seen()

    def whole(key: str) -> int | None:
        m = members.get(key)
        return m.number if m is not None and m.kind == "integer" else None

    return Seen(limit=whole("limit"), remaining=whole("remaining"), reset_after=_left(whole("reset")))

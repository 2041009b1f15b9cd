"""The body of a refusal."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass, fields

from ._number import Lookup, clip, single

BODY_MAX = 8 << 10
"""How much of a refusal's body is understood."""
DRAIN_MAX = 64 << 10
"""How much of it is read over, to free its connection."""
BODY_TIME_MAX = 5.0
"""How long a body may take where it is needed, in seconds."""
DRAIN_TIME = 0.1
"""How long the rest of a body may take where a caller waits, in seconds."""
_DEPTH_MAX = 32
"""How deep a refusal may be nested: it is flat."""

CODE_EXCEEDED = "RATE_LIMIT_EXCEEDED"
"""The code that a 429 of weir's limiter has in its body."""
CODE_UNAVAILABLE = "RATE_LIMIT_UNAVAILABLE"
"""The code that a 503 of weir's limiter has in its body."""
_TYPE_REDUCED = "#temporary-reduced-capacity"
"""Ends the problem type that the IETF draft gives to a 503 for lack of capacity."""


@dataclass(frozen=True)
class Refusal:
    """The contract's fields and those of RFC 9457, "" if absent."""

    code: str = ""
    requestId: str = ""
    message: str = ""
    type: str = ""
    detail: str = ""
    title: str = ""

    def limiter(self) -> bool:
        """Says that a 503 with this body is a limiter's."""
        return self.code == CODE_UNAVAILABLE or self.type.endswith(_TYPE_REDUCED)

    def text(self) -> str:
        """What it says to a human."""
        return self.message or self.detail or self.title


def legible(h: Lookup) -> bool:
    """Says whether a body can be a refusal that is understood: JSON, and not too long."""
    length = single(h, "content-length") or ""
    if re.fullmatch("[0-9]+", length) and int(length) > BODY_MAX:
        return False
    # application/json, application/problem+json and their kind
    media = (single(h, "content-type") or "").partition(";")[0].strip().lower()
    return media == "application/json" or re.fullmatch(r"[^/\s]+/[^/\s]+\+json", media) is not None


def parse_refusal(body: bytes, h: Lookup) -> Refusal:
    """Reads as much as there is of a refusal. Fields that are no strings are left out."""
    text = _decode(body, (single(h, "content-encoding") or "").lower()).decode(errors="replace")
    if _deeper(text, _DEPTH_MAX):
        return Refusal()
    try:
        v: object = json.loads(text)
    except ValueError:
        return Refusal()
    if not isinstance(v, dict):
        return Refusal()
    return Refusal(**{f.name: clip(v[f.name]) for f in fields(Refusal) if isinstance(v.get(f.name), str)})


def _decode(body: bytes, coding: str) -> bytes:
    """Undoes a compression that the library has asked for; a body that grows too long is none."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        return body
    try:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # zlib's or gzip's header
        out = inflate.decompress(body, BODY_MAX)
    except zlib.error:
        return b""
    return out if inflate.eof else b""


def _deeper(text: str, most: int) -> bool:
    """Says that brackets are nested deeper than most, without parsing."""
    depth = 0
    for m in re.finditer(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[{]|[\]}]', text, re.DOTALL):
        if m[0] in "[{":
            depth += 1
            if depth > most:
                return True
        elif m[0] in "]}":
            depth -= 1
    return False

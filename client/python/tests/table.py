"""The table of cases of all three languages; ../../testdata/README.md describes it."""

from __future__ import annotations

import json
import re
import unittest
from email.utils import formatdate
from pathlib import Path
from typing import Any, Protocol

from weir_client import RateLimit

# All fields that this runner knows: another one would be a part of a case that is not tested.
_FIELDS = frozenset(
    "now parse calls pace name headers want limit remaining reset resetAfter retryAfter policy options attempts total "
    "backoff maxBackoff connections errorOnLimit limit403 paceMax request method body stream cancel answers status "
    "delay bodyDelay fail sent waits outcome took error statusCode code requestId message server quota window used "
    "latency requests at count route refused held unix date".split()
)


def _known(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, _ in pairs:
        if key not in _FIELDS:
            raise ValueError(f"field {key}")
    return dict(pairs)


def load() -> dict[str, Any]:
    path = Path(__file__).parents[2] / "testdata" / "vectors.json"
    table: dict[str, Any] = json.loads(path.read_bytes(), object_pairs_hook=_known)
    return table


def options(case: dict[str, Any]) -> dict[str, Any]:
    """The options by their names in Python."""
    return {re.sub(r"[A-Z]|\d+", lambda m: "_" + str(m[0]).lower(), k): v for k, v in case.get("options", {}).items()}


def text(t: Any) -> str:
    if isinstance(t, str):
        return t
    return "".join(p if isinstance(p, str) else p[0] * p[1] for p in t or ())


def lines(headers: Any, wall: float = 0.0) -> list[tuple[str, str]]:
    """The headers of an answer that arrives now, line by line."""
    out = []
    for name, value, *count in headers or ():
        if isinstance(value, dict) and "unix" in value:
            v = str(int(wall + value["unix"]))
        elif isinstance(value, dict):
            v = formatdate(int(wall) + value["date"], usegmt=True)
        else:
            v = text(value)
        out += [(name, v)] * (count[0] if count else 1)
    return out


class Shows(Protocol):
    """A RateLimit, or the error that shows the same."""

    @property
    def limit(self) -> int | None: ...
    @property
    def remaining(self) -> int | None: ...
    @property
    def reset_after(self) -> float | None: ...
    @property
    def retry_after(self) -> float | None: ...
    @property
    def policy(self) -> str | None: ...


def check_known(t: unittest.TestCase, got: Shows, want: dict[str, Any]) -> None:
    """Compares what was read with what is wanted; all but the reset."""
    t.assertEqual(got.limit, want.get("limit"), "limit")
    t.assertEqual(got.remaining, want.get("remaining"), "remaining")
    t.assertEqual(got.policy or "", want.get("policy", ""), "policy")
    close(t, got.reset_after, want.get("resetAfter"), "reset_after")
    close(t, got.retry_after, want.get("retryAfter"), "retry_after")


def check_parsed(t: unittest.TestCase, got: RateLimit, want: dict[str, Any]) -> None:
    check_known(t, got, want)
    close(t, got.reset.timestamp() if got.reset is not None else None, want.get("reset"), "reset")


def close(t: unittest.TestCase, got: float | None, want: float | None, name: str) -> None:
    if got is None or want is None:
        t.assertEqual(got, want, name)
    else:
        t.assertAlmostEqual(got, want, delta=1.1e-6, msg=name)


def between(t: unittest.TestCase, got: float, want: Any, name: str) -> None:
    """A time may be a millisecond more than said, to which timers round up; never less."""
    least, most = want if isinstance(want, list) else (want, want)
    t.assertTrue(least - 1e-9 <= got <= most + 0.001 + 1e-9, f"{name}: {got} is not in [{least}, {most}]")

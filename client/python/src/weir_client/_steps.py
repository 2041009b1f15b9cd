"""What a call asks of the library that it runs in.

The logic of a call is written once, as a generator (see _call) that yields these steps; _sync
and _async carry them out, by blocking or by awaiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from ._budget import Place


@dataclass(frozen=True)
class Send:
    """Send the request; the result is the Heard, or the failure is raised."""


@dataclass(frozen=True)
class Heard:
    """The head of an answer that has arrived."""

    status: int
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Peek:
    """Read the last answer's body and put it back.

    The result are its bytes, or None if it is longer than most, broken, or takes longer than
    so many seconds.
    """

    most: int
    seconds: float


@dataclass(frozen=True)
class Rest:
    """Wait until then, and meanwhile read the last answer to its end, and close it.

    What is left of it after so many seconds is cut off.
    """

    until: float
    seconds: float


@dataclass(frozen=True)
class Hold:
    """Wait until then, or until this place rings."""

    place: Place
    until: float


Step = Send | Peek | Rest | Hold

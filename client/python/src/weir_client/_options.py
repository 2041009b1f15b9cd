"""The settings of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Why = Literal["retry-after", "reset", "backoff", "connection", "pace"]
"""Why a request waits.

- retry-after: it was refused, and told when to come back.
- reset: it was refused by a budget of which nothing is left until its reset.
- backoff: it was refused, and not told when to come back.
- connection: it got no answer.
- pace: pacing holds it back. How long is then an estimate.
"""

Pace = Literal["off", "fail", "wait", "spread"]
"""What to do with a request that would be denied, as far as the answers so far tell.

- off sends everything at once.
- fail raises a RateLimitError for it, and never makes a request wait.
- wait holds it back until it would be admitted, in the order of arrival. One that could not
  be sent within total fails at once.
- spread is wait, and spreads what is left evenly over the time left. It is also the pace for
  clients that share a budget without knowing of each other: each sees by how much more than
  its own requests the budget shrinks, and takes its part.
"""

PACES = ("off", "fail", "wait", "spread")


@dataclass(frozen=True)
class Outline:
    """What can be known of a request before it is sent, without touching its body."""

    method: str
    url: str
    headers: Mapping[str, str]
    """By lower-case names."""

    @property
    def host(self) -> str:
        """The host of the URL, with its port where the URL has one."""
        return urlsplit(self.url).netloc.rpartition("@")[2].lower()


@dataclass(frozen=True)
class Settings:
    """What Client was given; it says what each one means."""

    attempts: int
    total: float
    backoff: float
    max_backoff: float
    connections: bool
    error_on_limit: bool
    limit_403: bool
    pace: Pace
    pace_max: float
    route: Callable[[Outline], str] | None
    on_wait: Callable[[float, Why], None] | None

    def __post_init__(self) -> None:
        """Refuses what would not be a setting, with its name and value."""
        for name in ("attempts", "total", "backoff", "max_backoff", "pace_max"):
            v: object = getattr(self, name)
            if isinstance(v, bool) or not isinstance(v, (int, float)) or not v > 0:
                raise ValueError(f"weir_client: {name} is {v!r}, must be above 0")
        if self.pace not in PACES:
            raise ValueError(f"weir_client: pace is {self.pace!r}, must be one of {', '.join(PACES)}")

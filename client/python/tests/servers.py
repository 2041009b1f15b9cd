"""The servers of the table. A request is a generator of the seconds that it takes."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from .table import lines, text
from .virtual import VirtualTime


class Broken(Exception):
    """The connection ended without an answer."""


@dataclass
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    body_delay: float = 0.0


Handling = Generator[float, None, Reply]


class Server(Protocol):
    sent: list[float]

    def handle(self, body: bytes) -> Handling:
        """Takes a request; raises Broken if there is no answer."""


@dataclass
class Script:
    """Gives one answer after the other, the last one for ever."""

    time: VirtualTime
    answers: list[dict[str, Any]]
    sent: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def handle(self, body: bytes) -> Handling:
        a = self.answers[min(len(self.sent), len(self.answers) - 1)]
        self.sent.append(self.time.now)
        self.bodies.append(body)
        yield a.get("delay", 0.0)
        self.heard.append(self.time.now)
        if a.get("fail"):
            raise Broken
        headers = lines(a.get("headers"), self.time.wall())
        return Reply(a["status"], headers, text(a.get("body")).encode(), a.get("bodyDelay", 0.0))


class Window:
    """A fixed window, the first of which begins with the case, with seconds left in its headers."""

    def __init__(self, time: VirtualTime, quota: int, window: float, used: int = 0, latency: float = 0.0) -> None:
        self.time = time
        self.quota = quota
        self.window = window
        self.used = used
        self.latency = latency
        self.start = time.now
        self.sent: list[float] = []
        self.refused = 0

    def handle(self, body: bytes) -> Handling:
        self.sent.append(self.time.now)
        yield self.latency
        reply = self._decide()
        yield self.latency
        return reply

    def _decide(self) -> Reply:
        while self.time.now - self.start >= self.window - 1e-9:
            self.start += self.window
            self.used = 0
        left = self.start + self.window - self.time.now
        ok = self.used < self.quota
        if ok:
            self.used += 1
        else:
            self.refused += 1
        headers = [
            ("X-RateLimit-Limit", str(self.quota)),
            ("X-RateLimit-Remaining", str(self.quota - self.used)),
            ("X-RateLimit-Reset", f"{math.ceil(left * 1000) / 1000:.3f}"),
        ]
        if not ok:
            headers.append(("Retry-After", str(math.ceil(left))))
        return Reply(200 if ok else 429, headers)

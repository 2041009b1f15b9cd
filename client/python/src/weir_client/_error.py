"""The error of a request that a rate limit refused."""

from __future__ import annotations

import json
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ._ratelimit import RateLimit


class RateLimitError(Exception):
    """A request that a rate limit refused.

    Finally (see error_on_limit), or before it was sent, by the pacing. Values that are not
    known are None; durations are seconds.
    """

    rate_limit: RateLimit
    """All that the headers of the last answer say."""
    status_code: int
    """The last answer's: 429, 503 or 403. 0 means that there was none: pacing held it back."""
    attempts: int
    """How often the request was sent."""
    code: str
    """The code in the answer's body, such as RATE_LIMIT_EXCEEDED; "" if it has none."""
    request_id: str
    """The request's id, from the body or X-Request-Id; "" if there is none."""
    message: str
    """The message in the answer's body; "" if it has none."""

    def __init__(
        self, rate_limit: RateLimit, status_code: int, attempts: int, code: str = "", request_id: str = "", message: str = ""
    ) -> None:
        super().__init__(rate_limit, status_code, attempts, code, request_id, message)  # what pickle makes it anew from
        self.rate_limit = rate_limit
        self.status_code = status_code
        self.attempts = attempts
        self.code = code
        self.request_id = request_id
        self.message = message

    @property
    def limit(self) -> int | None:
        """How many requests the window allows."""
        return self.rate_limit.limit

    @property
    def remaining(self) -> int | None:
        """How many of them are left."""
        return self.rate_limit.remaining

    @property
    def reset(self) -> datetime | None:
        """When the budget resets, in UTC."""
        return self.rate_limit.reset

    @property
    def reset_after(self) -> float | None:
        """The seconds to the reset."""
        return self.rate_limit.reset_after

    @property
    def retry_after(self) -> float | None:
        """The seconds that the server asks to wait, or that pacing would have needed."""
        return self.rate_limit.retry_after

    @property
    def policy(self) -> str | None:
        """The policy that the values belong to."""
        return self.rate_limit.policy

    @property
    def received(self) -> datetime | None:
        """When the last answer arrived, by the local clock."""
        return self.rate_limit.received

    def __str__(self) -> str:
        """Says what happened on one line; texts from the server are quoted."""
        r = self.rate_limit
        if self.status_code == 0:
            return f"weir_client: held back for {r.retry_after} s by pacing, not sent"

        def show(v: Any) -> str:
            return "unknown" if v is None else str(v)

        what = f"weir_client: {self.status_code} {_phrase(self.status_code)}".rstrip()
        parts = [f"{what}: {json.dumps(self.message)}" if self.message else what]
        if self.code:
            parts.append(f"code {json.dumps(self.code)}")
        if self.request_id:
            parts.append(f"request {json.dumps(self.request_id)}")
        parts.append(f"attempts {self.attempts}")
        parts.append(
            f"limit={show(r.limit)} remaining={show(r.remaining)} reset={show(r.reset_after)} retry-after={show(r.retry_after)}"
        )
        return ", ".join(parts)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

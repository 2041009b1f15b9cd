"""A client that understands rate limits: it shows the last one, waits, retries, and paces itself.

    from weir_client import Client, RateLimitError

    client = Client(error_on_limit=True)
    try:
        response = client.urlopen("https://auth.example.com/v1/token", data=b"{}")
        print(response.status, client.last_rate_limit.remaining, "left")
    except RateLimitError as e:
        print(f"{e.remaining} of {e.limit} left, again in {e.retry_after} s")

The same client goes into httpx (weir_client.httpx), requests (weir_client.requests) and
urllib's openers (weir_client.urllib).
"""

from ._client import Client
from ._error import RateLimitError
from ._options import Outline, Pace, Why
from ._ratelimit import RateLimit, parse_rate_limit
from ._refusal import CODE_EXCEEDED, CODE_UNAVAILABLE

__all__ = [
    "CODE_EXCEEDED",
    "CODE_UNAVAILABLE",
    "Client",
    "Outline",
    "Pace",
    "RateLimit",
    "RateLimitError",
    "Why",
    "parse_rate_limit",
]
__version__ = "0.1.0"

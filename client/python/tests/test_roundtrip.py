"""Over three real nodes: what the clients show, and how long they wait, measured at the server."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import unittest
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

from weir_client import CODE_EXCEEDED, Client, RateLimitError
from weir_client.urllib import opener

from . import lab, plugs
from .plugs import httpx, requests

Call = Callable[[str], int]
"""A call for a token on behalf of a name: the status."""
By = Callable[[unittest.TestCase, Client, lab.Lab], Call]
"""Calls by a client in some library, which is closed with the test."""


def by_urllib(t: unittest.TestCase, client: Client, at: lab.Lab) -> Call:
    opening = opener(client, urllib.request.ProxyHandler({}))

    def call(name: str) -> int:
        with opening.open(urllib.request.Request(at.token, lab.BODY, lab.headers(name))) as response:
            status: int = response.status
            return status

    return call


def by_httpx(t: unittest.TestCase, client: Client, at: lab.Lab) -> Call:
    http = httpx.Client(transport=plugs.weir_httpx.Transport(client), trust_env=False, timeout=60)
    t.addCleanup(http.close)
    return lambda name: http.post(at.token, content=lab.BODY, headers=lab.headers(name)).status_code


def by_async_httpx(t: unittest.TestCase, client: Client, at: lab.Lab) -> Call:
    loop = asyncio.new_event_loop()
    t.addCleanup(loop.close)
    http = httpx.AsyncClient(transport=plugs.weir_httpx.AsyncTransport(client), trust_env=False, timeout=60)
    t.addCleanup(lambda: loop.run_until_complete(http.aclose()))

    def call(name: str) -> int:
        return loop.run_until_complete(http.post(at.token, content=lab.BODY, headers=lab.headers(name))).status_code

    return call


def by_requests(t: unittest.TestCase, client: Client, at: lab.Lab) -> Call:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", plugs.weir_requests.Adapter(client))
    t.addCleanup(session.close)
    return lambda name: session.post(at.token, data=lab.BODY, headers=lab.headers(name)).status_code


class Noting(Client):
    """Keeps the headers of the last answer as they came."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.raw: dict[str, str] = {}

    def carry_out(self, request: Any, send: Any) -> Any:
        def noted() -> Any:
            answer = send()
            self.raw = {k.lower(): v for k, v in answer.heard.headers}
            return answer

        return super().carry_out(request, noted)

    async def carry_out_async(self, request: Any, send: Callable[[], Awaitable[Any]]) -> Any:
        async def noted() -> Any:
            answer = await send()
            self.raw = {k.lower(): v for k, v in answer.heard.headers}
            return answer

        return await super().carry_out_async(request, noted)


@lab.needs_go
class RoundTrip(unittest.TestCase):
    """25 calls: 20 pass, and the retry waits exactly."""

    def _round(self, name: str, by: By) -> None:
        with lab.running("-quota", "20", "-window", "8s") as at:
            told: list[tuple[float, str]] = []
            client = Client(on_wait=lambda seconds, why: told.append((seconds, why)))
            call = by(self, client, at)
            while not told:  # again if the window ends just between the burst and the call
                passed = self._burst(by, at)
                patient = f"patient {time.monotonic()}"
                self.assertEqual(call(patient), 201)

            # From the server: no call came earlier than it had asked for.
            first, second = at.calls(patient)
            self.assertEqual([first["status"], second["status"]], [429, 201])
            waited = (second["at"] - first["answered"]) / 1e9
            self.assertGreaterEqual(waited, first["retryAfter"])
            ((seconds, why),) = told
            self.assertEqual(why, "retry-after")
            self.assertTrue(first["retryAfter"] <= seconds < first["retryAfter"] + 0.25, seconds)
            print(
                f"python, {name}: 25 calls, {passed} passed, 5 errors equal to their headers; "
                f"asked to wait {first['retryAfter']} s, waited {waited:.3f} s by the server's clock, then passed"
            )

    def _burst(self, by: By, at: lab.Lab) -> int:
        """Makes 25 calls in one window and returns how many passed."""
        client = Noting(attempts=1, error_on_limit=True)
        call = by(self, client, at)
        while True:
            self._fresh(client, call)
            passed, resets = 1, {client.raw["x-ratelimit-reset"]}
            for _ in range(24):
                try:
                    self.assertEqual(call("burst"), 201)
                    passed += 1
                except RateLimitError as e:
                    self._check(e, client)
                resets.add(client.raw["x-ratelimit-reset"])
            # A busy machine can take longer than a window; nodes may round one reset to two seconds.
            if max(map(int, resets)) - min(map(int, resets)) <= 1:
                self.assertEqual(passed, 20, "of 25")
                return passed

    def _fresh(self, client: Noting, call: Call) -> None:
        """Makes the first call in a window, and one that has most of its time left."""
        while True:
            try:
                call("burst")
            except RateLimitError:
                pass
            last = client.last_rate_limit
            assert last.reset_after is not None
            if last.remaining == 19 and last.reset_after >= 4:
                return
            time.sleep(last.reset_after)

    def _check(self, e: RateLimitError, client: Noting) -> None:
        """The error's values are those of the headers."""
        raw = client.raw
        assert e.reset is not None and e.retry_after is not None
        got = [e.limit, e.remaining, e.reset.timestamp(), e.retry_after]
        names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"]
        self.assertEqual(got, [int(raw[n]) for n in names])
        self.assertEqual(e.request_id, raw["x-request-id"])
        self.assertEqual([e.code, e.status_code, e.attempts], [CODE_EXCEEDED, 429, 1])
        self.assertEqual(client.lastRateLimit, e.rate_limit)

    def test_urllib(self) -> None:
        self._round("urllib", by_urllib)

    @plugs.needs_httpx
    def test_httpx(self) -> None:
        self._round("httpx", by_httpx)

    @plugs.needs_httpx
    def test_async_httpx(self) -> None:
        self._round("async httpx", by_async_httpx)

    @plugs.needs_requests
    def test_requests(self) -> None:
        self._round("requests", by_requests)


PACED = os.environ.get("WEIR_PACED", "")


@lab.needs_go
@unittest.skipIf(not PACED, "takes minutes: WEIR_PACED=1m")
class Paced(unittest.TestCase):
    """Prints what 64 clients that share one budget are refused, and how much of it they use."""

    def _share(self, quota: int) -> None:
        with lab.running("-quota", str(quota), "-window", PACED) as at:
            over = threading.Event()

            def client(name: str) -> None:
                # A busy machine loses a connection now and then: that is sent again.
                limited = Client(pace="spread", total=3600, connections=True)
                opening = opener(limited, urllib.request.ProxyHandler({}))
                request = urllib.request.Request(at.token, lab.BODY, {**lab.headers(name), "Idempotency-Key": "k"})
                while not over.is_set():
                    opening.open(request).close()

            threads = [threading.Thread(target=client, args=(str(i),), daemon=True) for i in range(64)]
            for t in threads:
                t.start()
            # The first window is cut short by the start, the last by the end.
            while len(at.windows()) < 4:
                time.sleep(1)
            over.set()
            for i, w in enumerate(at.windows()[1:3]):
                print(
                    f"python, 64 clients, {quota} per {PACED}, window {i}: used {100 * w['admitted'] / quota:.1f} %, "
                    f"refused {w['refused']}, {w['refused'] / 64:.3f} per client"
                )

    def test_1000(self) -> None:
        self._share(1000)

    def test_6400(self) -> None:
        self._share(6400)

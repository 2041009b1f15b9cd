"""What the table does not have: Python's own ways, in virtual time."""

from __future__ import annotations

import asyncio
import copy
import gzip
import io
import pickle
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.message import Message
from typing import Any

from weir_client import Client, RateLimit, RateLimitError, parse_rate_limit

from . import plugs
from .plugs import BareAsync, Sent, Urllib
from .servers import Script
from .virtual import VirtualTime

URL = "http://api.test/v1/token"
REFUSED = {"status": 429, "headers": [["Retry-After", "1"]]}
OK = {
    "status": 200,
    "headers": [["X-RateLimit-Limit", "20"], ["X-RateLimit-Remaining", "19"], ["X-RateLimit-Reset", "42"]],
}
SPENT = {"status": 200, "headers": [["X-RateLimit-Remaining", "0"], ["X-RateLimit-Reset", "60"]]}


@contextmanager
def meet(*answers: dict[str, Any]) -> Iterator[tuple[VirtualTime, Script]]:
    """A server with these answers, in virtual time."""
    with VirtualTime(1764000000) as time:
        yield time, Script(time, list(answers))


class Bodies(unittest.TestCase):
    """A body that can be had again is sent again, another one once."""

    CASES: list[tuple[str, Any, int]] = [
        ("none", None, 2),
        ("bytes", b"grant", 2),
        ("nothing", b"", 2),
        ("a generator", lambda: iter([b"grant"]), 1),
        ("a file", lambda: io.BytesIO(b"grant"), 1),
    ]

    def _each(self, kind: type[plugs.SyncPlug], more: list[tuple[str, Any, int]]) -> None:
        for name, body, sent in self.CASES + more:
            with self.subTest(name), meet(REFUSED, OK) as (time, server):
                request = Sent("POST", URL, [])
                setattr(request, "content", body if callable(body) else lambda: body)
                got = kind(Client(), server, time).call(request)
                self.assertEqual(len(server.sent), sent)
                self.assertEqual(got.status, 200 if sent == 2 else 429)

    def test_urllib(self) -> None:
        self._each(Urllib, [("a bytearray", bytearray(b"grant"), 2)])

    @plugs.needs_httpx
    def test_httpx(self) -> None:
        self._each(plugs.Httpx, [("a string", "grant", 2)])

    @plugs.needs_requests
    def test_requests(self) -> None:
        self._each(plugs.Requests, [("a string", "grant", 2), ("a form", {"code": "c"}, 2)])


class Last(unittest.TestCase):
    def test_last(self) -> None:
        with meet(OK, {"status": 200}, {"status": 200, "fail": True}) as (time, server):
            client = Client()
            plug = Urllib(client, server, time)
            self.assertEqual(client.last_rate_limit, RateLimit(), "unknown before the first")
            plug.call(Sent("GET", URL, []))
            self.assertEqual(client.last_rate_limit.remaining, 19)
            self.assertEqual(client.last_rate_limit.reset, datetime.fromtimestamp(1764000042, timezone.utc))
            self.assertIs(client.lastRateLimit, client.last_rate_limit)
            plug.call(Sent("GET", URL, []))
            last = client.last_rate_limit
            self.assertIsNone(last.remaining, "an answer without headers is unknown")
            with self.assertRaises(OSError):
                plug.call(Sent("GET", URL, []))
            self.assertIs(client.last_rate_limit, last, "no answer says nothing")


class Cancel(unittest.TestCase):
    """Cancelling the task ends each kind of wait."""

    def test_pace(self) -> None:
        async def run() -> None:
            plug = BareAsync(Client(pace="wait"), server)
            await plug.call(Sent("GET", URL, []))
            first = asyncio.ensure_future(plug.call(Sent("GET", URL, [])))
            second = asyncio.ensure_future(plug.call(Sent("GET", URL, [])))
            await asyncio.sleep(3)
            first.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await first
            self.assertAlmostEqual(time.now, 3, delta=1e-6)
            await second
            self.assertAlmostEqual(time.now, 60, delta=1e-6, msg="the next in the queue moves up")
            self.assertEqual(len(server.sent), 2)

        with meet(SPENT, OK) as (time, server):
            time.run(run())

    def test_in_flight(self) -> None:
        """A request that is cancelled on the way holds no other."""

        async def run() -> None:
            plug = BareAsync(Client(pace="wait"), server)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(plug.call(Sent("GET", URL, [])), 0.5)
            await plug.call(Sent("GET", URL, []))
            self.assertAlmostEqual(server.sent[1], 0.5, delta=1e-6)

        with meet({"status": 200, "delay": 60}, OK) as (time, server):
            time.run(run())


class Errors(unittest.TestCase):
    def _refused(self, answer: dict[str, Any], **options: Any) -> RateLimitError:
        with meet(answer) as (time, server):
            client = Client(error_on_limit=True, attempts=1, **options)
            with self.assertRaises(RateLimitError) as caught:
                Urllib(client, server, time).call(Sent("GET", URL, []))
            return caught.exception

    def test_one_line(self) -> None:
        body = '{"message":"a\\nlevel=error\\u001b[2J\\ud800","code":"C"}'
        e = self._refused({"status": 429, "headers": [["Content-Type", "application/json"]], "body": body})
        self.assertNotRegex(str(e), "[\\n\\x1b]")
        self.assertTrue(str(e).isprintable())
        e.message.encode()  # a lone surrogate would not go onto any screen

    def test_copies(self) -> None:
        """Pools of processes send errors by pickle."""
        e = self._refused(OK | {"status": 429})
        for again in (pickle.loads(pickle.dumps(e)), copy.copy(e)):
            self.assertEqual(vars(again), vars(e))
            self.assertEqual(str(again), str(e))

    def test_callback_that_raises(self) -> None:
        def raises(seconds: float, why: str) -> None:
            raise KeyError(why)

        with meet(SPENT, OK) as (time, server):
            client = Client(pace="wait", on_wait=raises)
            plug = Urllib(client, server, time)
            plug.call(Sent("GET", URL, []))
            with self.assertRaises(KeyError):
                plug.call(Sent("GET", URL, []))
            time.sleep(60)
            plug.call(Sent("GET", URL, []))
            self.assertAlmostEqual(time.now, 60, msg="nobody waits behind it")

    def test_settings(self) -> None:
        for options, text in (
            ({"attempts": 0}, "attempts is 0"),
            ({"attempts": float("nan")}, "attempts is nan"),
            ({"attempts": True}, "attempts is True"),
            ({"total": -1}, "total is -1"),
            ({"backoff": "1"}, "backoff is '1'"),
            ({"max_backoff": 0}, "max_backoff is 0"),
            ({"pace_max": -5}, "pace_max is -5"),
            ({"pace": "slow"}, "pace is 'slow'"),
        ):
            broken: dict[str, Any] = options  # type: ignore[assignment]
            with self.subTest(text), self.assertRaisesRegex(ValueError, text):
                Client(**broken)

    def test_many_attempts(self) -> None:
        """The ceiling doubles until floats have no room, and then no more."""
        with meet({"status": 429}) as (time, server):
            got = Urllib(Client(attempts=1500, total=1e9, backoff=1e-9, max_backoff=1), server, time).call(Sent("GET", URL, []))
            self.assertEqual([got.status, len(server.sent)], [429, 1500])

    def test_compressed(self) -> None:
        """httpx and requests ask for compression, so a refusal may come in it."""
        if plugs.httpx is None:
            self.skipTest("httpx is not installed")
        httpx = plugs.httpx
        body = gzip.compress(b'{"code":"RATE_LIMIT_EXCEEDED"}')
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        for raw, code in ((body, "RATE_LIMIT_EXCEEDED"), (body[:-9], ""), (gzip.compress(b" " * (1 << 20)), ""), (b"{}", "")):
            base = httpx.MockTransport(lambda _: httpx.Response(429, headers=headers, stream=httpx.ByteStream(raw)))
            client = Client(error_on_limit=True, attempts=1)
            with httpx.Client(transport=plugs.weir_httpx.Transport(client, base), trust_env=False) as http:
                with self.assertRaises(RateLimitError) as caught:
                    http.get(URL)
            self.assertEqual(caught.exception.code, code)


class Parsing(unittest.TestCase):
    def test_mappings(self) -> None:
        """Whatever a library keeps headers in."""
        message = Message()
        message["RateLimit"] = '"a";r=5;t=9'
        message["RateLimit"] = '"b";r=2;t=30'
        self.assertEqual(parse_rate_limit(message).policy, "b")
        self.assertEqual(parse_rate_limit({"x-RATELIMIT-remaining": "5"}).remaining, 5)
        broken: Any = [("X-RateLimit-Remaining", b"5"), (None, "5")]
        self.assertIsNone(parse_rate_limit(broken).remaining)

    def test_time_zones(self) -> None:
        headers = {"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "1764000042"}
        east = timezone(timedelta(hours=9))
        for now in (datetime.fromtimestamp(1764000000, zone) for zone in (timezone.utc, east, None)):
            r = parse_rate_limit(headers, now)
            self.assertEqual(r.reset_after, 42)
            self.assertEqual(r.reset, datetime.fromtimestamp(1764000042, timezone.utc))

    def test_last_year(self) -> None:
        """A reset behind the last year that Python has is unknown."""
        headers = {
            "Date": "Fri, 31 Dec 9999 23:00:00 GMT",
            "X-RateLimit-Remaining": "5",
            "X-RateLimit-Reset": "253402304400",
        }
        r = parse_rate_limit(headers)
        self.assertEqual((r.reset, r.reset_after, r.remaining), (None, None, 5))

    def test_many_budgets(self) -> None:
        with meet(OK) as (time, server):
            plug = Urllib(Client(pace="wait", route=lambda r: r.url), server, time)
            for i in range(1500):
                plug.call(Sent("GET", f"{URL}/{i}", []))
            self.assertEqual(len(server.sent), 1500)

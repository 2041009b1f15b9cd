"""The table of cases, in virtual time, in every library that is there."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from weir_client import Client, RateLimitError, parse_rate_limit

from . import plugs, table
from .plugs import Got, Sent
from .servers import Script, Server, Window
from .virtual import VirtualTime

TABLE = table.load()
RUN = {"parse": set[str](), "calls": set[str](), "pace": set[str]()}
Held = list[tuple[float, float]]
"""When requests failed unsent, and how long each was told to wait."""
CALL_RUNS = 3
"""How often each call is made in each library: the waits have a random part."""


def tearDownModule() -> None:
    # CI compares this line with those of the other languages.
    counts = {part: len(names) for part, names in RUN.items()}
    print("vectors python: " + ", ".join(f"{part} {n}" for part, n in counts.items()) + f", total {sum(counts.values())}")


class Parse(unittest.TestCase):
    def test_parse(self) -> None:
        now = datetime.fromtimestamp(TABLE["now"], timezone.utc)
        for c in TABLE["parse"]:
            with self.subTest(c["name"]):
                RUN["parse"].add(c["name"])
                got = parse_rate_limit(table.lines(c["headers"]), now)
                table.check_parsed(self, got, c["want"])
                self.assertIs(got.received, now)

    def test_parse_joined(self) -> None:
        """Libraries that put lines together, in a mapping of their own, read the same."""
        now = datetime.fromtimestamp(TABLE["now"], timezone.utc)
        for c in TABLE["parse"]:
            with self.subTest(c["name"]):
                joined: dict[str, str] = {}
                for name, value in table.lines(c["headers"]):
                    key = name.title()
                    joined[key] = f"{joined[key]}, {value}" if key in joined else value
                table.check_parsed(self, parse_rate_limit(joined, now), c["want"])


class Calls(unittest.TestCase):
    def _all(self, run: Callable[[dict[str, Any]], None], cases: list[dict[str, Any]], mark: bool) -> None:
        for c in cases:
            with self.subTest(c["name"]):
                if mark:
                    RUN["calls"].add(c["name"])
                for _ in range(CALL_RUNS):
                    run(c)

    def _sync(self, name: str) -> None:
        # Who blocks a thread cannot give up from outside.
        cases = [c for c in TABLE["calls"] if "cancel" not in c["request"]]
        self._all(lambda c: self._call_sync(plugs.SYNC[name][0], c), cases, False)

    def test_urllib(self) -> None:
        self._sync("urllib")

    @plugs.needs_httpx
    def test_httpx(self) -> None:
        self._sync("httpx")

    @plugs.needs_requests
    def test_requests(self) -> None:
        self._sync("requests")

    def test_async(self) -> None:
        self._all(lambda c: self._call_async(plugs.BareAsync, c), TABLE["calls"], True)

    @plugs.needs_httpx
    def test_async_httpx(self) -> None:
        self._all(lambda c: self._call_async(plugs.AsyncHttpx, c), TABLE["calls"], False)

    def _call_sync(self, kind: type[plugs.SyncPlug], c: dict[str, Any]) -> None:
        with VirtualTime(TABLE["now"]) as time:
            case = _Case(self, time, c)
            plug = kind(case.client, case.server, time)
            with case.outcome(plug.failure):
                case.got = plug.call(case.sent)
            case.check()

    def _call_async(self, kind: type[plugs.AsyncPlug], c: dict[str, Any]) -> None:
        async def run() -> None:
            case = _Case(self, time, c)
            plug = kind(case.client, case.server)
            with case.outcome(plug.failure):
                task = asyncio.ensure_future(plug.call(case.sent))
                if "cancel" in c["request"]:
                    asyncio.get_running_loop().call_later(c["request"]["cancel"], task.cancel)
                case.got = await task
            case.check()
            self.assertEqual(asyncio.all_tasks(), {asyncio.current_task()}, "nothing goes on behind the caller's back")

        with VirtualTime(TABLE["now"]) as time:
            time.run(run())


class _Case:
    """One run of a case of calls, and its outcome."""

    def __init__(self, t: unittest.TestCase, time: VirtualTime, c: dict[str, Any]) -> None:
        self.t = t
        self.time = time
        self.want = c["want"]
        self.waits: list[tuple[str, float]] = []
        self.server = Script(time, c["answers"])
        self.client = Client(**table.options(c), on_wait=lambda seconds, why: self.waits.append((why, seconds)))
        r = c["request"]
        body = r["body"].encode() if "body" in r else None
        self.sent = Sent(r["method"], "http://api.test/v1/token", table.lines(r.get("headers")), body, r.get("stream", False))
        self.got: Got | None = None
        self.ended = 0.0
        self.error: BaseException | None = None
        self.failure: type[Exception] = Exception

    def outcome(self, failure: type[Exception]) -> _Case:
        self.failure = failure
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self.error, self.ended = error, self.time.now
        return error is not None

    def check(self) -> None:
        t, want, sent = self.t, self.want, self.server.sent
        t.assertEqual(len(sent), len(want["sent"]), f"sent {sent}, {self.error!r}")
        for i, bounds in enumerate(want["sent"]):
            table.between(t, sent[i] - (self.server.heard[i - 1] if i else 0), bounds, f"sending {i}")
        t.assertEqual([why for why, _ in self.waits], [w[0] for w in want["waits"]])
        for (_, seconds), (_, least, most) in zip(self.waits, want["waits"]):
            table.between(t, seconds, [least, most], "wait")
        for body in self.server.bodies:
            t.assertEqual(body, self.sent.body or b"", "each attempt has the whole body")
        if "took" in want:
            table.between(t, self.got.at if self.got is not None else self.ended, want["took"], "took")
        getattr(self, "_" + want["outcome"])()

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error
        assert self.got is not None
        self.t.assertEqual(self.got.status, self.want["status"])
        if "body" in self.want:
            self.t.assertEqual(self.got.body, self.want["body"].encode(), "the answer is whole")

    def _failed(self) -> None:
        self.t.assertIsInstance(self.error, self.failure)

    def _cancelled(self) -> None:
        self.t.assertIsInstance(self.error, asyncio.CancelledError)

    def _limited(self) -> None:
        e, want = self.error, self.want["error"]
        assert isinstance(e, RateLimitError), repr(e)
        self.t.assertEqual(
            [e.status_code, e.attempts, e.code, e.request_id, e.message],
            [want["statusCode"], want["attempts"], want["code"], want["requestId"], want["message"]],
        )
        table.check_known(self.t, e.rate_limit, want)
        table.check_known(self.t, e, want)


class Paces(unittest.TestCase):
    def _all(self, run: Callable[[dict[str, Any], VirtualTime, Client, Server, Held], None], mark: bool = False) -> None:
        for c in TABLE["pace"]:
            with self.subTest(c["name"]), VirtualTime(TABLE["now"]) as time:
                if mark:
                    RUN["pace"].add(c["name"])
                window = Window(time, **c["server"]) if "server" in c else None
                server = window or Script(time, c["answers"])
                client = Client(**table.options(c), route=lambda r: urlsplit(r.url).path)
                held: Held = []
                run(c, time, client, server, held)
                if window:
                    self.assertEqual(window.refused, c["want"]["refused"], "refused")
                self._check(c["want"], sorted(server.sent), held)

    def _check(self, want: dict[str, Any], sent: list[float], held: Held) -> None:
        self.assertEqual(len(sent), len(want["sent"]), f"sent {sent}")
        for i, bounds in enumerate(want["sent"]):
            table.between(self, sent[i], bounds, f"sending {i}")
        self.assertEqual(len(held), len(want.get("held", ())), f"held {held}")
        for (at, seconds), (when, wait) in zip(held, want.get("held", ())):
            table.between(self, at, when, "held at")
            table.between(self, seconds, wait, "held for")

    def _note(self, e: RateLimitError, now: float, held: Held) -> None:
        if e.status_code == 0:
            self.assertEqual(e.attempts, 0)
            held.append((now, e.retry_after or 0.0))

    def _sync(self, name: str) -> None:
        def run(c: dict[str, Any], time: VirtualTime, client: Client, server: Server, held: Held) -> None:
            plug = plugs.SYNC[name][0](client, server, time)

            def one(url: str) -> None:
                try:
                    plug.call(Sent("GET", url, []))
                except RateLimitError as e:
                    self._note(e, time.now, held)
                except plug.failure:
                    pass

            runs = []
            for r in c["requests"]:
                runs += [(r["at"], partial(one, f"http://api.test/{r.get('route', '')}"))] * r["count"]
            time.together(runs)

        self._all(run)

    def test_urllib(self) -> None:
        self._sync("urllib")

    @plugs.needs_httpx
    def test_httpx(self) -> None:
        self._sync("httpx")

    @plugs.needs_requests
    def test_requests(self) -> None:
        self._sync("requests")

    def _async(self, kind: type[plugs.AsyncPlug], mark: bool = False) -> None:
        def run(c: dict[str, Any], time: VirtualTime, client: Client, server: Server, held: Held) -> None:
            async def one(plug: plugs.AsyncPlug, url: str) -> None:
                try:
                    await plug.call(Sent("GET", url, []))
                except RateLimitError as e:
                    self._note(e, time.now, held)
                except plug.failure:
                    pass

            async def all_() -> None:
                plug = kind(client, server)
                tasks = []
                for r in c["requests"]:
                    await asyncio.sleep(r["at"] - time.now)
                    url = f"http://api.test/{r.get('route', '')}"
                    tasks += [asyncio.ensure_future(one(plug, url)) for _ in range(r["count"])]
                await asyncio.gather(*tasks)

            time.run(all_())

        self._all(run, mark)

    def test_async(self) -> None:
        self._async(plugs.BareAsync, True)

    @plugs.needs_httpx
    def test_async_httpx(self) -> None:
        self._async(plugs.AsyncHttpx)


if __name__ == "__main__":
    unittest.main()

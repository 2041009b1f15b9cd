"""Over real sockets: connections, bodies that never end, threads, and the README's code."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import socketserver
import threading
import unittest
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest import mock

from weir_client import Client
from weir_client.urllib import opener

from . import plugs

READMES = (Path(__file__).parents[1] / "README.md", Path(__file__).parents[3] / "docs" / "clients.md")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    connections = 0
    requests = 0


Answering = Callable[[BaseHTTPRequestHandler, int], None]
"""Answers a request, which is the nth."""


@contextlib.contextmanager
def serving(answer: Answering) -> Iterator[tuple[str, _Server]]:
    """Runs a server on loopback, and counts its connections."""
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            with counting:
                server.connections += 1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with counting:
                server.requests += 1
                n = server.requests
            try:
                answer(self, n)
            except OSError:
                self.close_connection = True  # the client has left, as it may

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", server
        finally:
            server.shutdown()
            thread.join()


def reply(h: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    h.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        h.send_header(name, value)
    h.end_headers()
    h.wfile.write(body)


REFUSAL = {"Retry-After": "0", "Content-Type": "application/json"}


def refuse_two(h: BaseHTTPRequestHandler, n: int) -> None:
    if n % 3 == 0:
        reply(h, 200, {}, b"ok")
    else:
        reply(h, 429, REFUSAL, b"x" * 60000)


def endless(h: BaseHTTPRequestHandler, n: int) -> None:
    if n > 1:
        reply(h, 200, {}, b"ok")
        return
    reply(h, 429, {**REFUSAL, "Content-Length": str(1 << 40)})
    while True:
        h.wfile.write(b"x" * (1 << 16))


def hanging(h: BaseHTTPRequestHandler, n: int) -> None:
    """Sends a part of a body, and then nothing until the client ends the connection."""
    if n > 1:
        reply(h, 200, {}, b"ok")
        return
    reply(h, 429, {**REFUSAL, "Content-Length": "100"}, b"{")
    h.rfile.read(1)
    h.close_connection = True


By = Callable[[unittest.TestCase, Client], Callable[[str], bytes]]
"""Posts a body by a client in some library, which is closed with the test, and returns the answer's."""


def by_urllib(t: unittest.TestCase, client: Client) -> Callable[[str], bytes]:
    opening = opener(client, urllib.request.ProxyHandler({}))

    def call(url: str) -> bytes:
        with opening.open(url, b"grant") as response:
            body: bytes = response.read()
            return body

    return call


def by_httpx(t: unittest.TestCase, client: Client) -> Callable[[str], bytes]:
    # Without limits in time: what hangs is the client's to end.
    http = plugs.httpx.Client(transport=plugs.weir_httpx.Transport(client), trust_env=False, timeout=None)
    t.addCleanup(http.close)
    return lambda url: bytes(http.post(url, content=b"grant").content)


def by_requests(t: unittest.TestCase, client: Client) -> Callable[[str], bytes]:
    session = plugs.requests.Session()
    session.trust_env = False
    session.mount("http://", plugs.weir_requests.Adapter(client))
    t.addCleanup(session.close)
    return lambda url: bytes(session.post(url, data=b"grant").content)


class Sockets(unittest.TestCase):
    def _bodies(self, by: By) -> None:
        """Whatever the body of a refusal does, the answer comes, and no thread stays behind."""
        for answer in (endless, hanging):
            with self.subTest(answer.__name__), serving(answer) as (url, _):
                self.assertEqual(by(self, Client(backoff=0.001))(url), b"ok")
                for thread in threading.enumerate():
                    if thread.name == "weir-client":
                        thread.join(60)
                        self.assertFalse(thread.is_alive(), "a thread reads still")

    def _reuse(self, by: By) -> None:
        with serving(refuse_two) as (url, server):
            call = by(self, Client(backoff=0.001))
            for _ in range(5):
                self.assertEqual(call(url), b"ok")
            self.assertEqual((server.requests, server.connections), (15, 1))

    def test_urllib(self) -> None:
        self._bodies(by_urllib)

    @plugs.needs_httpx
    def test_httpx(self) -> None:
        self._bodies(by_httpx)
        self._reuse(by_httpx)

    @plugs.needs_requests
    def test_requests(self) -> None:
        self._bodies(by_requests)
        self._reuse(by_requests)

    @plugs.needs_httpx
    def test_async_httpx(self) -> None:
        async def run(url: str, calls: int) -> None:
            transport = plugs.weir_httpx.AsyncTransport(Client(backoff=0.001))
            async with plugs.httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as http:
                for _ in range(calls):
                    self.assertEqual((await http.post(url, content=b"grant")).content, b"ok")
            self.assertEqual(asyncio.all_tasks(), {asyncio.current_task()})

        for answer in (endless, hanging):
            with self.subTest(answer.__name__), serving(answer) as (url, _):
                asyncio.run(run(url, 1))
        with serving(refuse_two) as (url, server):
            asyncio.run(run(url, 5))
            self.assertEqual((server.requests, server.connections), (15, 1))

    def test_threads_and_loops_share_a_budget(self) -> None:
        """32 threads and, where httpx is, a loop of 32 tasks pace themselves by what any of them hears."""
        spent = threading.Lock()
        left = [1000]

        def budget(h: BaseHTTPRequestHandler, _: int) -> None:
            with spent:
                left[0] -= 1
                n = left[0]
            reply(h, 200, {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": str(n), "X-RateLimit-Reset": "3600"}, b"ok")

        async def tasks(url: str) -> None:
            transport = plugs.weir_httpx.AsyncTransport(client)
            async with plugs.httpx.AsyncClient(transport=transport, trust_env=False, timeout=None) as http:
                await asyncio.gather(*(http.get(url) for _ in range(32)))

        client = Client(pace="wait")
        with serving(budget) as (url, server):
            call = by_urllib(self, client)
            threads = [threading.Thread(target=call, args=(url,)) for _ in range(32)]
            for t in threads:
                t.start()
            if plugs.httpx is not None:
                asyncio.run(tasks(url))
            for t in threads:
                t.join()
            self.assertEqual(server.requests, 32 if plugs.httpx is None else 64)
        (known,) = client._pacer.budgets.values()
        self.assertEqual((known.flying, len(known.queue)), (0, 0), "nobody is forgotten")


class Readme(unittest.TestCase):
    """The first Python of the README, and of the page on all clients, runs as it is."""

    def test_readme(self) -> None:
        def twenty(h: BaseHTTPRequestHandler, n: int) -> None:
            headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": str(max(20 - n, 0)), "X-RateLimit-Reset": "3600"}
            if n <= 20:
                reply(h, 201, headers)
            else:
                reply(h, 429, {**headers, "Retry-After": "3600"})  # more than the total, so nothing is waited for

        for readme in READMES:
            found = re.search(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
            assert found is not None, readme
            with serving(twenty) as (url, _), mock.patch.dict("os.environ", {"no_proxy": "*"}):
                code = found[1].replace("https://auth.example.com", url.rstrip("/"))
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    for _ in range(21):
                        exec(compile(code, str(readme), "exec"), {"url": url.rstrip("/")})
            lines = printed.getvalue().splitlines()
            self.assertEqual(lines[0], "201 19 left")
            self.assertEqual(lines[20], "0 of 20 left, again in 3600.0 s")

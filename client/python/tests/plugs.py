"""Each library that the client goes into, in front of a server of the table."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import unittest
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

from weir_client import Client, Outline, _clock
from weir_client import urllib as weir_urllib
from weir_client._async import Answer
from weir_client._call import Request
from weir_client._steps import Heard

from .servers import Broken, Reply, Server
from .virtual import VirtualTime

try:
    import httpx

    from weir_client import httpx as weir_httpx
except ImportError:
    httpx = None  # type: ignore[assignment]

try:
    import requests
    import requests.adapters
    import urllib3

    from weir_client import requests as weir_requests
except ImportError:
    requests = None  # type: ignore[assignment]

__all__ = ["httpx", "requests", "urllib3", "weir_httpx", "weir_requests"]

REQUIRED = os.environ.get("WEIR_REQUIRE_ALL") == "1"
"""Set where a test must not skip itself for want of a library or of Go."""


needs_httpx = unittest.skipIf(httpx is None and not REQUIRED, "httpx is not installed")
needs_requests = unittest.skipIf(requests is None and not REQUIRED, "requests is not installed")


@dataclass
class Sent:
    """A request of the table."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes | None = None
    stream: bool = False

    def content(self) -> Any:
        if self.body is None or not self.stream:
            return self.body
        return iter([self.body])

    async def content_async(self) -> AsyncIterator[bytes]:
        assert self.body is not None
        yield self.body


@dataclass
class Got:
    status: int
    at: float
    """When the answer was there, its body not read yet."""
    body: bytes


class SyncPlug(Protocol):
    failure: type[Exception]

    def __init__(self, client: Client, server: Server, time: VirtualTime) -> None: ...
    def call(self, sent: Sent) -> Got: ...


class AsyncPlug(Protocol):
    failure: type[Exception]

    def __init__(self, client: Client, server: Server) -> None: ...
    async def call(self, sent: Sent) -> Got: ...


def _handle(server: Server, time: VirtualTime, body: bytes) -> Reply:
    handling = server.handle(body)
    while True:
        try:
            time.sleep(next(handling))
        except StopIteration as e:
            reply: Reply = e.value
            return reply


def _whole(data: Any) -> bytes:
    """A body, as the library would write it."""
    if isinstance(data, str):
        return data.encode()
    return bytes(data) if isinstance(data, (bytes, bytearray)) else b"".join(data or ())


async def _handle_async(server: Server, body: bytes) -> Reply:
    handling = server.handle(body)
    while True:
        try:
            seconds = next(handling)
        except StopIteration as e:
            reply: Reply = e.value
            return reply
        if seconds > 0:
            await asyncio.sleep(seconds)


class _Wire(io.RawIOBase):
    """What a socket gives: the head at once, the body when its time has come."""

    def __init__(self, reply: Reply, head: bytes, time: VirtualTime) -> None:
        self._parts = [(0.0, head), (reply.body_delay, reply.body)]
        self._time = time

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._parts and not self._parts[0][1]:
            self._parts.pop(0)
        if not self._parts:
            return 0
        delay, part = self._parts[0]
        self._time.sleep(delay)
        n = min(len(buffer), len(part))
        buffer[:n] = part[:n]
        self._parts[0] = (0.0, part[n:])
        return n


class Urllib:
    failure: type[Exception] = OSError

    def __init__(self, client: Client, server: Server, time: VirtualTime) -> None:
        self._opener = weir_urllib.opener(client, urllib.request.ProxyHandler({}))

        def do_open(_: Any, req: urllib.request.Request) -> Any:
            data: Any = req.data
            body = _whole(data)
            try:
                reply = _handle(server, time, body)
            except Broken as e:
                raise urllib.error.URLError("connection reset") from e
            head = "".join(f"{k}: {v}\r\n" for k, v in reply.headers)
            wire = _Wire(reply, f"HTTP/1.1 {reply.status} Reason\r\n{head}\r\n".encode("latin-1"), time)
            s: Any = SimpleNamespace(makefile=lambda _: io.BufferedReader(wire))
            response = http.client.HTTPResponse(s, method=req.get_method())
            response.begin()
            response.msg = response.reason  # type: ignore[assignment]  # as urllib does
            return response

        for handler in self._opener.handlers:  # type: ignore[attr-defined]
            if isinstance(handler, weir_urllib.HTTPHandler):
                handler.do_open = do_open  # type: ignore[assignment]

    def call(self, sent: Sent) -> Got:
        request = urllib.request.Request(sent.url, sent.content(), dict(sent.headers), method=sent.method)
        try:
            response = self._opener.open(request)
        except urllib.error.HTTPError as e:
            response = e
        with response:
            return Got(response.status, _clock.clock(), response.read())


class Httpx:
    def __init__(self, client: Client, server: Server, time: VirtualTime) -> None:
        self.failure: type[Exception] = httpx.ConnectError

        class Body(httpx.SyncByteStream):
            def __init__(self, reply: Reply) -> None:
                self._reply = reply

            def __iter__(self) -> Iterator[bytes]:
                time.sleep(self._reply.body_delay)
                yield self._reply.body

        class Base(httpx.BaseTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                assert isinstance(request.stream, httpx.SyncByteStream)
                body = b"".join(request.stream)
                try:
                    reply = _handle(server, time, body)
                except Broken as e:
                    raise httpx.ConnectError("connection reset") from e
                return httpx.Response(reply.status, headers=reply.headers, stream=Body(reply))

        self._client = httpx.Client(transport=weir_httpx.Transport(client, Base()), trust_env=False)

    def call(self, sent: Sent) -> Got:
        with self._client.stream(sent.method, sent.url, headers=sent.headers, content=sent.content()) as response:
            return Got(response.status_code, _clock.clock(), response.read())


class AsyncHttpx:
    def __init__(self, client: Client, server: Server) -> None:
        self.failure: type[Exception] = httpx.ConnectError

        class Body(httpx.AsyncByteStream):
            def __init__(self, reply: Reply) -> None:
                self._reply = reply

            async def __aiter__(self) -> AsyncIterator[bytes]:
                if self._reply.body_delay > 0:
                    await asyncio.sleep(self._reply.body_delay)
                yield self._reply.body

        class Base(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                assert isinstance(request.stream, httpx.AsyncByteStream)
                body = b"".join([chunk async for chunk in request.stream])
                try:
                    reply = await _handle_async(server, body)
                except Broken as e:
                    raise httpx.ConnectError("connection reset") from e
                return httpx.Response(reply.status, headers=reply.headers, stream=Body(reply))

        self._client = httpx.AsyncClient(transport=weir_httpx.AsyncTransport(client, Base()), trust_env=False)

    async def call(self, sent: Sent) -> Got:
        content = sent.content_async() if sent.stream else sent.content()
        async with self._client.stream(sent.method, sent.url, headers=sent.headers, content=content) as response:
            return Got(response.status_code, _clock.clock(), await response.aread())


class Requests:
    def __init__(self, client: Client, server: Server, time: VirtualTime) -> None:
        self.failure: type[Exception] = requests.ConnectionError

        class Base(requests.adapters.HTTPAdapter):
            def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
                data: Any = request.body
                body = _whole(data)
                try:
                    reply = _handle(server, time, body)
                except Broken as e:
                    raise requests.ConnectionError("connection reset") from e
                headers = urllib3._collections.HTTPHeaderDict(reply.headers)
                file = io.BufferedReader(_Wire(reply, b"", time))
                raw = urllib3.HTTPResponse(file, headers, reply.status, preload_content=False)
                response: requests.Response = self.build_response(request, raw)  # type: ignore[no-untyped-call]
                return response

        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", weir_requests.Adapter(client, Base()))

    def call(self, sent: Sent) -> Got:
        headers = dict(sent.headers)
        with self._session.request(sent.method, sent.url, headers=headers, data=sent.content(), stream=True) as response:
            return Got(response.status_code, _clock.clock(), response.content)


class BareAsync:
    """No library: what a plug for one has to do, on asyncio."""

    failure: type[Exception] = Broken

    def __init__(self, client: Client, server: Server) -> None:
        self._client = client
        self._server = server

    async def call(self, sent: Sent) -> Got:
        async def send() -> _BareAnswer:
            return _BareAnswer(await _handle_async(self._server, sent.body or b""))

        headers = {name.lower(): value for name, value in sent.headers}
        request = Request(Outline(sent.method, sent.url, headers), not sent.stream, (Broken,))
        answer = await self._client.carry_out_async(request, send)
        return Got(answer.heard.status, _clock.clock(), b"".join([chunk async for chunk in answer.body]))


class _BareAnswer(Answer["_BareAnswer"]):
    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.response = self
        self.heard = Heard(reply.status, tuple(reply.headers))
        self.body = self._chunks(reply)

    @staticmethod
    async def _chunks(reply: Reply) -> AsyncIterator[bytes]:
        if reply.body_delay > 0:
            await asyncio.sleep(reply.body_delay)
        yield reply.body

    def chunks(self) -> AsyncIterator[bytes]:
        return self.body

    def replace(self, body: AsyncIterator[bytes]) -> None:
        self.body = body

    async def close(self) -> None:
        pass


SYNC: dict[str, tuple[type[SyncPlug], object]] = {
    "urllib": (Urllib, True),
    "httpx": (Httpx, httpx),
    "requests": (Requests, requests),
}
ASYNC: dict[str, tuple[type[AsyncPlug], object]] = {"bare": (BareAsync, True), "async httpx": (AsyncHttpx, httpx)}

"""Transports for httpx that understand rate limits."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx

from . import _async, _sync
from ._call import Request
from ._client import Client
from ._options import Outline
from ._steps import Heard

__all__ = ["AsyncTransport", "Transport"]

# What httpx raises if there was no answer. Others of its errors would only occur again.
_FAILURES = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError)


class Transport(httpx.BaseTransport):
    """For httpx.Client(transport=…).

    client: one with the defaults if None. base: sends the requests; an httpx.HTTPTransport if
    None. Without one, proxies and certificates that httpx.Client was given do not reach it:
    give them to base. A body is sent again if httpx has it as bytes: content, data, json, but
    not files.
    """

    def __init__(self, client: Client | None = None, base: httpx.BaseTransport | None = None) -> None:
        self.client = client if client is not None else Client()
        self.base = base if base is not None else httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.client.carry_out(_request(request), lambda: _Answer(self.base.handle_request(request)))

    def close(self) -> None:
        self.base.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """For httpx.AsyncClient(transport=…), on asyncio; see Transport.

    Cancelling the task ends any wait.
    """

    def __init__(self, client: Client | None = None, base: httpx.AsyncBaseTransport | None = None) -> None:
        self.client = client if client is not None else Client()
        self.base = base if base is not None else httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def send() -> _AsyncAnswer:
            return _AsyncAnswer(await self.base.handle_async_request(request))

        return await self.client.carry_out_async(_request(request), send)

    async def aclose(self) -> None:
        await self.base.aclose()


def _request(request: httpx.Request) -> Request:
    try:
        request.content
        replayable = True
    except httpx.RequestNotRead:
        replayable = False
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(Outline(request.method.upper(), str(request.url), headers), replayable, _FAILURES)


def _heard(response: httpx.Response) -> Heard:
    return Heard(response.status_code, tuple(response.headers.multi_items()))


class _Replay(httpx.SyncByteStream):
    def __init__(self, body: Iterator[bytes], leave: Callable[[], None]) -> None:
        self._body = body
        self._leave = leave

    def __iter__(self) -> Iterator[bytes]:
        return self._body

    def close(self) -> None:
        self._leave()


class _Answer(_sync.Answer[httpx.Response]):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response
        self.heard = _heard(response)
        assert isinstance(response.stream, httpx.SyncByteStream)
        self._stream = response.stream

    def chunks(self) -> Iterator[bytes]:
        return iter(self._stream)

    def replace(self, body: Iterator[bytes]) -> None:
        self.response.stream = _Replay(body, self.leave)

    def close(self) -> None:
        self._stream.close()

    def cut(self) -> None:
        stream = self.response.extensions.get("network_stream")
        if stream is None or not self.response.http_version.startswith("HTTP/1"):
            return  # others share an HTTP/2 connection
        s = stream.get_extra_info("socket")
        if isinstance(s, socket.socket):
            _sync.cut(s.fileno)


class _AsyncReplay(httpx.AsyncByteStream):
    def __init__(self, body: AsyncIterator[bytes], leave: Callable[[], Awaitable[None]]) -> None:
        self._body = body
        self._leave = leave

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body

    async def aclose(self) -> None:
        await self._leave()


class _AsyncAnswer(_async.Answer[httpx.Response]):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response
        self.heard = _heard(response)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream

    def chunks(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    def replace(self, body: AsyncIterator[bytes]) -> None:
        self.response.stream = _AsyncReplay(body, self.leave)

    async def close(self) -> None:
        await self._stream.aclose()

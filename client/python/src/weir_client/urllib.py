"""An opener for urllib that understands rate limits."""

from __future__ import annotations

import http.client
import io
import ssl
import urllib.request
import urllib.response
from collections.abc import Iterator
from typing import Any

from ._call import Request
from ._client import Client
from ._options import Outline
from ._ratelimit import pairs
from ._steps import Heard
from ._sync import Answer, Replay, cut

__all__ = ["HTTPHandler", "HTTPSHandler", "opener"]

_CHUNK = 8192


def opener(
    client: Client | None = None, *handlers: urllib.request.BaseHandler, context: ssl.SSLContext | None = None
) -> urllib.request.OpenerDirector:
    """Returns an opener as urllib.request.build_opener does, whose requests go through the client.

    Each redirection is a call of its own. As with any opener, a status that is no success is
    an HTTPError; with error_on_limit a refusal is a RateLimitError. client: one with the
    defaults if None. context: for https.
    """
    client = client if client is not None else Client()
    return urllib.request.build_opener(HTTPHandler(client), HTTPSHandler(client, context=context), *handlers)


class _Response(urllib.response.addinfourl):
    msg = ""  # where urllib keeps the reason


class _Answer(Answer[Any]):
    def __init__(self, response: Any, url: str) -> None:
        super().__init__()
        self.response = response
        self._http = response
        self._url = url
        self.heard = Heard(response.status, tuple(pairs(response.headers)))

    def chunks(self) -> Iterator[bytes]:
        while chunk := self._http.read1(_CHUNK):
            yield chunk

    def replace(self, body: Iterator[bytes]) -> None:
        file = io.BufferedReader(Replay(body, self.leave))
        self.response = _Response(file, self._http.headers, self._url, self._http.status)
        self.response.msg = self._http.msg

    def close(self) -> None:
        self._http.close()

    def cut(self) -> None:
        cut(self._http.fileno)


class _Mixin:
    client: Client

    def _limited(self, request: urllib.request.Request, open_once: Any) -> Any:
        data: Any = request.data
        outline = Outline(
            request.get_method(), request.full_url, {name.lower(): value for name, value in request.header_items()}
        )
        replayable = data is None or isinstance(data, (bytes, bytearray, memoryview))
        # URLError is an OSError, and so is a time-out.
        what = Request(outline, replayable, (OSError, http.client.HTTPException))
        return self.client.carry_out(what, lambda: _Answer(open_once(), request.full_url))


class HTTPHandler(_Mixin, urllib.request.HTTPHandler):
    """Opens http URLs through a client. For build_opener; see opener."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client

    def http_open(self, req: urllib.request.Request) -> Any:
        return self._limited(req, lambda: self.do_open(http.client.HTTPConnection, req))


class HTTPSHandler(_Mixin, urllib.request.HTTPSHandler):
    """Opens https URLs through a client. For build_opener; see opener."""

    def __init__(self, client: Client, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context=context)
        self.client = client
        self._open = super().https_open  # it knows the context

    def https_open(self, req: urllib.request.Request) -> Any:
        return self._limited(req, lambda: self._open(req))

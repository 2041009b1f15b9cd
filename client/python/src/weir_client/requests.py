"""An adapter for requests that understands rate limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import requests
import requests.adapters
import urllib3

from ._call import Request
from ._client import Client
from ._options import Outline
from ._ratelimit import pairs
from ._steps import Heard
from ._sync import Answer, Replay, cut

__all__ = ["Adapter"]

# What requests raises if there was no answer. Others of its errors would only occur again.
_FAILURES = (requests.ConnectionError, requests.Timeout)
_CHUNK = 8192


class Adapter(requests.adapters.BaseAdapter):
    """For session.mount("https://", …) and "http://".

    client: one with the defaults if None. base: sends the requests; an HTTPAdapter if None. A
    body is sent again if it is bytes or a string: data, json and small files, but no generator
    and no open file.
    """

    def __init__(self, client: Client | None = None, base: requests.adapters.BaseAdapter | None = None) -> None:
        super().__init__()
        self.client = client if client is not None else Client()
        self.base = base if base is not None else requests.adapters.HTTPAdapter()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        def once() -> _Answer:
            return _Answer(
                self.base.send(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
            )

        headers = {str(name).lower(): str(value) for name, value in request.headers.items()}
        outline = Outline((request.method or "GET").upper(), request.url or "", headers)
        replayable = request.body is None or isinstance(request.body, (bytes, str))
        return self.client.carry_out(Request(outline, replayable, _FAILURES), once)

    def close(self) -> None:
        self.base.close()


class _Answer(Answer[requests.Response]):
    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.response = response
        self._raw: Any = response.raw
        # The lines as they came, where urllib3 has them: requests' own mapping joins them.
        self.heard = Heard(response.status_code, tuple(pairs(getattr(self._raw, "headers", response.headers))))

    def chunks(self) -> Iterator[bytes]:
        yield from self._raw.stream(_CHUNK, decode_content=False)

    def replace(self, body: Iterator[bytes]) -> None:
        raw = self._raw
        self.response.raw = urllib3.HTTPResponse(
            body=Replay(body, self.leave),
            headers=raw.headers,
            status=raw.status,
            version=raw.version,
            reason=raw.reason,
            preload_content=False,
            original_response=getattr(raw, "_original_response", None),  # where requests looks for cookies
        )

    def close(self) -> None:
        self._raw.close()
        self._raw.release_conn()

    def cut(self) -> None:
        cut(self._raw.fileno)

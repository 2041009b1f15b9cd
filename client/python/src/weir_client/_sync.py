"""Carries a call out by blocking the thread that it runs on."""

from __future__ import annotations

import io
import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from . import _clock
from ._call import Flow
from ._refusal import DRAIN_MAX
from ._steps import Heard, Hold, Peek, Rest, Send, Step

R = TypeVar("R")


class Reading:
    """Reads up to so many bytes in a thread of its own: a library's read takes what time it likes.

    Whoever waited too short a time goes on without; nothing is lost, as iterating gives what
    was read and then the rest.
    """

    def __init__(self, chunks: Iterator[bytes], most: int) -> None:
        self._chunks = chunks
        self._most = most
        self._read: list[bytes] = []
        self._error: Exception | None = None
        self._whole = False
        self._stop = False
        self._over = _clock.Bell()
        self._lock = threading.Lock()  # guards _last and _ended
        self._last: Callable[[], None] | None = None
        self._ended = False
        _clock.spawn(self._run)

    def _run(self) -> None:
        size = 0
        try:
            for chunk in self._chunks:
                self._read.append(chunk)
                size += len(chunk)
                if size > self._most or self._stop:
                    break
            else:
                self._whole = True
        except Exception as e:  # whatever a library raises is told to whoever reads on
            self._error = e
        with self._lock:
            self._ended = True
        self._over.ring()
        if self._last is not None:
            self._last()

    def wait(self, until: float) -> bool:
        """Waits for the end of the reading, until then at most; then it ends with the chunk at hand."""
        self._stop = not self._over.wait(until)
        return not self._stop

    def all(self) -> bytes | None:
        """The bytes, if these are all that there were."""
        return b"".join(self._read) if self._over.wait(0) and self._whole else None

    def after(self, last: Callable[[], None]) -> None:
        """Calls something when nothing reads any more: now, or at the end of the thread."""
        with self._lock:
            if not self._ended:
                self._stop, self._last = True, last
                return
        last()

    def __iter__(self) -> Iterator[bytes]:
        self._over.wait(_clock.FOREVER)
        yield from self._read
        if self._error is not None:
            raise self._error
        if not self._whole:
            yield from self._chunks


class Answer(ABC, Generic[R]):
    """A library's answer, its body not read yet."""

    heard: Heard
    response: R
    """What the caller gets."""

    def __init__(self) -> None:
        self._reading: Reading | None = None

    @abstractmethod
    def chunks(self) -> Iterator[bytes]:
        """The body as it travels: compressed, if it is."""

    @abstractmethod
    def replace(self, body: Iterator[bytes]) -> None:
        """Puts a body in the place of the one that was read from."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the connection; one that was read to the end can be used again."""

    @abstractmethod
    def cut(self) -> None:
        """Ends a read that hangs in another thread, where that is possible."""

    def peek(self, most: int, seconds: float) -> bytes | None:
        reading = self._read(most)
        reading.wait(_clock.clock() + seconds)
        body = iter(reading)
        self.replace(body)
        return reading.all()

    def drain(self) -> Reading:
        return self._read(DRAIN_MAX)

    def _read(self, most: int) -> Reading:
        chunks = self.chunks() if self._reading is None else iter(self._reading)
        self._reading = Reading(chunks, most)
        return self._reading

    def leave(self) -> None:
        """Closes it; if somebody reads still, that ends."""
        if self._reading is None:
            self.close()
        else:
            self._reading.after(self.close)
            if not self._reading.wait(0):
                self.cut()


def carry_out(flow: Flow, send: Callable[[], Answer[R]]) -> R:
    """Carries out the steps of one call and returns its last answer."""
    answer: Answer[R] | None = None
    kept = False

    def perform(step: Step) -> object:
        nonlocal answer
        if isinstance(step, Send):
            answer = send()
            return answer.heard
        if isinstance(step, Hold):
            bell = step.place
            assert isinstance(bell, _clock.Bell)
            bell.wait(step.until)
            bell.clear()
        elif isinstance(step, Rest):
            end = _clock.clock() + step.seconds
            reading = answer.drain() if answer is not None else None
            _clock.Bell().wait(step.until)
            if answer is not None and reading is not None:
                reading.wait(end)
                answer.leave()
                answer = None
        elif isinstance(step, Peek) and answer is not None:
            return answer.peek(step.most, step.seconds)
        return None

    try:
        step = next(flow)
        while True:
            try:
                result = perform(step)
            except BaseException as e:
                step = flow.throw(e)
            else:
                step = flow.send(result)
    except StopIteration:
        assert answer is not None  # a call without an answer raises
        kept = True
        return answer.response
    finally:
        if answer is not None and not kept:
            answer.leave()


class Replay(io.RawIOBase):
    """A file that reads chunks, for libraries that take one."""

    def __init__(self, chunks: Iterator[bytes], close: Callable[[], None]) -> None:
        self._chunks = chunks
        self._close = close
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = chunk
        n = min(len(buffer), len(self._left))
        buffer[:n] = self._left[:n]
        self._left = self._left[n:]
        return n

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._close()


def cut(fileno: Callable[[], int]) -> None:
    """Ends whatever reads from a socket, by its file descriptor; it stays its owner's to close."""
    try:
        with socket.socket(fileno=os.dup(fileno())) as s:
            s.shutdown(socket.SHUT_RDWR)
    except (OSError, ValueError, AttributeError):
        pass  # gone already, or no socket

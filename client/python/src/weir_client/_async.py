"""Carries a call out on asyncio's loop."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from . import _clock
from ._call import Flow
from ._refusal import DRAIN_MAX
from ._steps import Heard, Hold, Peek, Rest, Send, Step

R = TypeVar("R")


class Bell:
    """A place in a queue that any thread can ring."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._rung = False

    def ring(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ring)
        except RuntimeError:
            pass  # the loop is closed, and who waited there is gone with it

    def _ring(self) -> None:
        self._rung = True
        self._wake.set()

    def clear(self) -> None:
        self._rung = False

    async def wait(self, until: float) -> None:
        """Waits until it rings or until that time, and never less."""
        while not self._rung:
            left = until - _clock.clock()
            if left <= _clock.EPSILON:
                return
            self._wake.clear()
            timer = self._loop.call_later(left, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()


class Reading:
    """Reads up to so many bytes in a task of its own; iterating gives what was read and then the rest."""

    def __init__(self, chunks: AsyncIterator[bytes], most: int) -> None:
        self._chunks = chunks
        self._most = most
        self._read: list[bytes] = []
        self._whole = False
        self._stop = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        size = 0
        async for chunk in self._chunks:
            self._read.append(chunk)
            size += len(chunk)
            if size > self._most or self._stop:
                return
        self._whole = True

    async def wait(self, until: float) -> bool:
        """Waits for the end of the reading, until then at most; then it ends with the chunk at hand."""
        while not self._task.done():
            left = until - _clock.clock()
            if left <= _clock.EPSILON:
                self._stop = True
                return False
            await asyncio.wait((self._task,), timeout=left)
        return True

    def all(self) -> bytes | None:
        """The bytes, if these are all that there were."""
        return b"".join(self._read) if self._task.done() and self._whole else None

    async def end(self) -> None:
        """Ends the reading, whatever it waits for."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()  # taken note of: nobody reads on
        await _close(self._chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            await self._task
        finally:
            if not self._task.done():
                self._task.cancel()
        try:
            for chunk in self._read:
                yield chunk
            if not self._whole:
                async for chunk in self._chunks:
                    yield chunk
        finally:
            await _close(self._chunks)


async def _close(chunks: AsyncIterator[bytes]) -> None:
    """Ends a generator; left alone, the loop would end it some time."""
    if isinstance(chunks, AsyncGenerator):
        await chunks.aclose()


class Answer(ABC, Generic[R]):
    """A library's answer, its body not read yet."""

    heard: Heard
    response: R
    """What the caller gets."""

    def __init__(self) -> None:
        self._reading: Reading | None = None

    @abstractmethod
    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it travels: compressed, if it is."""

    @abstractmethod
    def replace(self, body: AsyncIterator[bytes]) -> None:
        """Puts a body in the place of the one that was read from."""

    @abstractmethod
    async def close(self) -> None:
        """Lets go of the connection; one that was read to the end can be used again."""

    async def peek(self, most: int, seconds: float) -> bytes | None:
        reading = self._read(most)
        await reading.wait(_clock.clock() + seconds)
        self.replace(aiter(reading))
        return reading.all()

    def drain(self) -> Reading:
        return self._read(DRAIN_MAX)

    def _read(self, most: int) -> Reading:
        chunks = self.chunks() if self._reading is None else aiter(self._reading)
        self._reading = Reading(chunks, most)
        return self._reading

    async def leave(self) -> None:
        """Closes it; if a task reads still, that ends."""
        if self._reading is not None:
            await self._reading.end()
        await self.close()


async def carry_out(flow: Flow, send: Callable[[], Awaitable[Answer[R]]]) -> R:
    """Carries out the steps of one call and returns its last answer."""
    answer: Answer[R] | None = None
    kept = False

    async def perform(step: Step) -> object:
        nonlocal answer
        if isinstance(step, Send):
            answer = await send()
            return answer.heard
        if isinstance(step, Hold):
            bell = step.place
            assert isinstance(bell, Bell)
            await bell.wait(step.until)
            bell.clear()
        elif isinstance(step, Rest):
            end = _clock.clock() + step.seconds
            reading = answer.drain() if answer is not None else None
            await Bell().wait(step.until)
            if answer is not None and reading is not None:
                await reading.wait(end)
                await answer.leave()
                answer = None
        elif isinstance(step, Peek) and answer is not None:
            return await answer.peek(step.most, step.seconds)
        return None

    try:
        step = next(flow)
        while True:
            try:
                result = await perform(step)
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
            await answer.leave()

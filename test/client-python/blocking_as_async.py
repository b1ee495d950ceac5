"""Owns a face of `AsyncClient` for `Client`, so that one table of scenarios drives both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pyrepl3 import AnyEvent, Client, Outcome, Run


class BlockingAsAsync:
    """Calls each method of a `Client` in a thread."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.client = Client(*args, **options)
        self.client_id = self.client.client_id
        self.tool = self.client.tool

    async def __aenter__(self) -> BlockingAsAsync:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.client.close)

    def transaction(self) -> Any:
        """Return the block as an asynchronous one."""
        return _Block(self.client.transaction())

    async def start(self, code: str, **options: Any) -> _Run:
        """Submit code."""
        return _Run(await asyncio.to_thread(self.client.start, code, **options))

    async def resume(self, execution_id: str) -> _Run:
        """Return an execution submitted earlier."""
        return _Run(await asyncio.to_thread(self.client.resume, execution_id))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        async def call(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *args, **options)

        return call


class _Run:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.execution_id = run.execution_id
        self.answer = run.answer
        self.detach = run.detach

    async def __aiter__(self) -> AsyncIterator[AnyEvent]:
        while True:
            event = await asyncio.to_thread(next, self.run, None)
            if event is None:
                return
            yield event

    async def outcome(self) -> Outcome:
        """Read the rest."""
        return await asyncio.to_thread(self.run.outcome)

    async def cancel(self) -> None:
        """Cancel it."""
        await asyncio.to_thread(self.run.cancel)


class _Block:
    def __init__(self, block: Any) -> None:
        self.block = block

    async def __aenter__(self) -> Any:
        return await asyncio.to_thread(self.block.__enter__)

    async def __aexit__(self, *error: Any) -> None:
        await asyncio.to_thread(self.block.__exit__, *error)

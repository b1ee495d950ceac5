"""Owns transactions of several executions: a checkpoint before, and back to it if anything fails."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Optional, Set, Type

from .outcome import Outcome

if TYPE_CHECKING:
    from .async_client import AsyncClient


class AsyncTransaction:
    """A block that keeps all of its changes or none: `async with client.transaction(): …`.

    Attributes:
        status: `open`, then `committed` or `rolled_back`.
    """

    def __init__(self, client: AsyncClient, open_ones: Set[AsyncTransaction]) -> None:
        self._client = client
        self._open_ones = open_ones
        self._checkpoint_id: Optional[str] = None
        self._must_roll_back = False
        self.status = "open"

    def note(self, outcome: Outcome) -> None:
        """Take notice of an execution within."""
        self._must_roll_back = self._must_roll_back or not outcome.has_succeeded

    def rollback(self) -> None:
        """Go back at the end of the block, whatever happens until then."""
        self._must_roll_back = True

    async def __aenter__(self) -> AsyncTransaction:
        self._checkpoint_id = (await self._client.checkpoint("transaction")).checkpoint_id
        self._open_ones.add(self)
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._open_ones.discard(self)
        if self._checkpoint_id is None:
            return
        if kind is not None or self._must_roll_back:
            await self._client.restore(self._checkpoint_id)
            self.status = "rolled_back"
        else:
            self.status = "committed"
        await self._client.delete_checkpoint(self._checkpoint_id)

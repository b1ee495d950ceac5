"""Owns top-level `await`: one event loop per session. Its background tasks continue whenever the loop runs."""

from __future__ import annotations

import contextlib

from .guard import interruptible
from .library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class Awaiter:
    """Runs coroutines of executions on the session's own event loop; asyncio is imported at the first use."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: Any | None = None

    @interruptible
    def run(self, coroutine: Coroutine[Any, Any, Any], context: Any) -> Any:
        """Return the coroutine's result. It runs in `context` itself, so that the variables that it sets there last.

        An interrupt cancels it, lets it clean up, and then raises.
        """
        asyncio = LIBRARY.load("asyncio", _make_policy)
        loop = self._loop
        if loop is None or loop.is_closed():
            loop = self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        task = loop.create_task(coroutine, context=context)
        try:
            return loop.run_until_complete(task)
        except (KeyboardInterrupt, SystemExit):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    loop.run_until_complete(task)
            raise


def _make_policy(asyncio: Any) -> None:
    """Make the policy now: asyncio would import itself for that, and user code may have put a file of its own in that place."""
    asyncio.get_event_loop_policy()

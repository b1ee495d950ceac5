"""Owns what both ways to the service have in common: the WebSocket (`SessionSocket`) and REST alone (`HttpRuns`)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional

from .events import AnyEvent
from .run_state import RunState

# Every event goes through this, with its run where this client has it.
OnEvent = Callable[[AnyEvent, Optional[RunState]], None]


@dataclass(frozen=True)
class ConnectionOptions:
    """How a client connects.

    Attributes:
        window_bytes: what may be on the way here without having been read.
        connect_seconds: for one connection to open.
        reconnect_seconds: for a lost connection to come back, before executions fail with `ConnectionLostError`.
        keepalive_seconds: of silence after which the service must show a sign of life, within as many again.
        call_seconds: of silence in a REST call.
    """

    window_bytes: int = 1 << 20
    connect_seconds: float = 10.0
    reconnect_seconds: float = 60.0
    keepalive_seconds: float = 20.0
    call_seconds: float = 120.0


class Transport:
    """A way to run code and hear of it."""

    async def submit(self, run: RunState) -> None:
        """Start an execution; its events go to `run` from now on."""
        raise NotImplementedError

    async def set_tools(self, tools: List[Dict[str, Any]]) -> None:
        """Replace the session's tools."""
        raise NotImplementedError

    def answer_input(self, execution_id: str, input_id: str, value: Optional[str]) -> None:
        """Send the answer of an `input()`; the connection sees to it that it arrives."""
        raise NotImplementedError

    def answer_tool(self, execution_id: str, call_id: str, result: Dict[str, Any]) -> None:
        """Send the answer of a tool call; the connection sees to it that it arrives."""
        raise NotImplementedError

    async def close(self) -> None:
        """End all connections; runs that wait fail with `ClientClosedError`."""
        raise NotImplementedError


class Backoff:
    """Grows the pause between attempts, with some chance in it so that many clients do not come at once."""

    def __init__(self, first_seconds: float = 0.05, max_seconds: float = 3.0) -> None:
        self._seconds = first_seconds
        self._max_seconds = max_seconds

    def next(self) -> float:
        """Return the seconds to wait now."""
        pause = self._seconds * (0.5 + random.random() / 2)
        self._seconds = min(self._seconds * 2, self._max_seconds)
        return pause

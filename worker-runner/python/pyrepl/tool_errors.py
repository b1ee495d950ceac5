"""Owns the exceptions that a tool call raises, as user code finds them in the module `tools`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ToolError(Exception):
    """A tool answered with an error. `type` and `data` come from the client, or are None."""

    def __init__(self, message: str = "", *, type: str | None = None, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.type = type
        self.data = data


class ToolTimeout(ToolError, TimeoutError):
    """The client did not answer in time."""


class ToolCancelled(ToolError):
    """The execution ended, or was interrupted, before the client answered."""


for _error in (ToolError, ToolTimeout, ToolCancelled):
    _error.__module__ = "tools"

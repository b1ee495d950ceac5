"""Owns the functions that show values to the client: `display`, `update_display` and `clear_output`."""

from __future__ import annotations

import os

from .guard import interruptible
from .mime import pack, plain_json, rich_bundle
from .output import Output
from .values import bounded_repr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

Metadata: TypeAlias = "dict[str, Any]"

MAX_ID_CHARS = 1024


class DisplayHandle:
    """A displayed object that can be replaced where it is shown."""

    def __init__(self, displays: Displays, display_id: str) -> None:
        self._displays = displays
        self.display_id = display_id

    def display(self, value: Any, **options: Any) -> None:
        """Show a value under this id once more."""
        self._displays.show(value, display_id=self.display_id, **options)

    def update(self, value: Any, **options: Any) -> None:
        """Replace what was shown under this id."""
        self._displays.show(value, display_id=self.display_id, is_update=True, **options)

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"


class Displays:
    """Sends display messages of the running execution; between executions there is nobody to show anything to."""

    def __init__(self, output: Output, get_execution_id: Callable[[], str | None]) -> None:
        self._output = output
        self._get_execution_id = get_execution_id

    def show(
        self,
        value: Any,
        *,
        raw: bool = False,
        metadata: Metadata | None = None,
        display_id: str | None = None,
        is_update: bool = False,
    ) -> None:
        """Send one value."""
        execution_id = self._get_execution_id()
        if execution_id is None:
            return
        if raw:
            items, extra = pack(dict(value)), {}
        else:
            items, extra = rich_bundle(value) or ({"text/plain": bounded_repr(value)}, {})
        message: dict[str, Any] = {
            "type": "display",
            "execution_id": execution_id,
            "mime": items,
            "metadata": {**extra, **plain_json(metadata or {})},
        }
        if display_id is not None:
            if len(display_id) > MAX_ID_CHARS:
                raise ValueError(f"display_id has more than {MAX_ID_CHARS} characters")
            message["display_id"] = display_id
        if is_update:
            message["update"] = True
        self._output.send_message(message)

    def clear(self, is_waiting: bool) -> None:
        """Clear what the execution has shown, now or when its next output comes."""
        execution_id = self._get_execution_id()
        if execution_id is not None:
            self._output.send_message({"type": "clear_output", "execution_id": execution_id, "wait": is_waiting})


def make_display(displays: Displays) -> Callable[..., DisplayHandle | None]:
    """Return the `display` of builtins."""

    def display(
        *values: Any, raw: bool = False, metadata: Metadata | None = None, display_id: Any = None, **_options: Any
    ) -> DisplayHandle | None:
        """Show values in their richest form. With `display_id` (True for a new one) returns a handle to update them."""
        shown_id = os.urandom(8).hex() if display_id is True else None if display_id is None else str(display_id)
        for value in values:
            displays.show(value, raw=raw, metadata=metadata, display_id=shown_id)
        return None if shown_id is None else DisplayHandle(displays, shown_id)

    display.__module__ = "builtins"
    display.__qualname__ = "display"
    return interruptible(display)


def make_update_display(displays: Displays) -> Callable[..., None]:
    """Return the `update_display` of builtins."""

    def update_display(value: Any, *, display_id: str, raw: bool = False, metadata: Metadata | None = None) -> None:
        """Replace what was displayed under `display_id`."""
        displays.show(value, raw=raw, metadata=metadata, display_id=str(display_id), is_update=True)

    update_display.__module__ = "builtins"
    update_display.__qualname__ = "update_display"
    return interruptible(update_display)


def make_clear_output(displays: Displays) -> Callable[..., None]:
    """Return the `clear_output` of `IPython.display`."""

    def clear_output(wait: bool = False) -> None:
        """Clear the output and displays of this execution; with `wait`, when its next output comes."""
        displays.clear(bool(wait))

    clear_output.__module__ = "IPython.display"
    clear_output.__qualname__ = "clear_output"
    return interruptible(clear_output)

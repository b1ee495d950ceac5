"""Owns having an installed IPython show values through the client: without a shell of its own it only prints their text."""

from __future__ import annotations

from .guard import interruptible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MODULE = "IPython.core.display_functions"
OLD_MODULE = "IPython.core.display"
"""Where the functions are in IPython before version 7.23."""


def make_ipython_step(
    display: Callable[..., Any], update_display: Callable[..., None], clear_output: Callable[..., None]
) -> Callable[[Any], None]:
    """Return the step that puts the functions of the session in the place of IPython's, right after the module is loaded."""

    def show(*values: Any, clear: bool = False, **options: Any) -> Any:
        """Show values in their richest form; with `clear`, in the place of the output so far."""
        if clear:
            clear_output(wait=True)
        return display(*values, **_plain_options(options))

    def update(value: Any, *, display_id: Any, **options: Any) -> None:
        """Replace what was displayed under `display_id`."""
        update_display(value, display_id=str(display_id), **_plain_options(options))

    def publish(
        data: Any, metadata: Any = None, *_: Any, transient: Any = None, update: bool = False, **_options: Any
    ) -> None:
        """Show a bundle of media types."""
        display_id = (transient or {}).get("display_id")
        if update and display_id is not None:
            update_display(data, raw=True, metadata=metadata, display_id=str(display_id))
        else:
            display(data, raw=True, metadata=metadata, display_id=display_id)

    functions = {"display": show, "update_display": update, "publish_display_data": publish}

    def replace(module: Any) -> None:
        if not hasattr(module, "publish_display_data"):
            return  # A newer IPython has the functions in another module.
        for name, function in functions.items():
            function.__module__ = module.__name__
            function.__name__ = function.__qualname__ = name
            setattr(module, name, interruptible(function))
        module.clear_output = clear_output

    return replace


def _plain_options(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("raw", "metadata", "display_id") if options.get(name) is not None}

"""Owns the description of an exception of user code: the usual traceback, bounded, with the frames of user code only."""

from __future__ import annotations

from types import TracebackType

from .guard import call_user, interruptible
from .library import LIBRARY
from .own_modules import OWN_PREFIX
from .values import bounded, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_TRACEBACK_CHARS = 1 << 18
MAX_MESSAGE_CHARS = 1 << 16
MAX_NAME_CHARS = 1000
_MAX_FRAMES = 1200


def describe(error: BaseException) -> dict[str, Any]:
    """Return the fields of an `error` message for `error`; runs user code (`__str__`) under the guard.

    Interrupts raise from here; anything else that goes wrong while telling leaves a shorter text.
    """
    name = type_name(error)[:MAX_NAME_CHARS]
    try:
        message = bounded(call_user(_text_of, error), MAX_MESSAGE_CHARS)
    except Exception as failure:
        message = f"<exception str() failed: {type_name(failure)}>"
    try:
        text = bounded(call_user(_traceback_text, error), MAX_TRACEBACK_CHARS)
    except Exception:
        text = plain_traceback(error, name, message)
    return {"exception_type": name, "exception_message": message, "traceback": text, "reason": _reason(error)}


def describe_plainly(error: BaseException) -> dict[str, Any]:
    """Return the same fields without running any user code."""
    name = type_name(error)[:MAX_NAME_CHARS]
    return {
        "exception_type": name,
        "exception_message": "",
        "traceback": plain_traceback(error, name, ""),
        "reason": _reason(error),
    }


def plain_traceback(error: BaseException, name: str, message: str) -> str:
    """Return files, lines and names only."""
    lines = ["Traceback (most recent call last):"]
    tb = error.__traceback__
    while tb is not None and len(lines) < 100:
        code = tb.tb_frame.f_code
        if not code.co_filename.startswith(OWN_PREFIX):
            lines.append(f'  File "{code.co_filename}", line {tb.tb_lineno}, in {code.co_name}')
        tb = tb.tb_next
    lines.append(f"{name}: {message}" if message else name)
    return "\n".join(lines) + "\n"


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    return "exception"


@interruptible
def _text_of(error: BaseException) -> str:
    return str(error)


@interruptible
def _traceback_text(error: BaseException) -> str:
    traceback = LIBRARY.load("traceback")
    first = _first_user_entry(error.__traceback__)
    limit: int | None = -_MAX_FRAMES if _is_longer(first, _MAX_FRAMES) else None
    # Exceptions in the chain may be as deep. The negative limit keeps those frames of each that are nearest to its error.
    told = traceback.TracebackException(type(error), error, first, limit=limit)
    _strip(told, set())
    text = "".join(told.format())
    if limit is not None:
        text = f"[only the last {_MAX_FRAMES} frames]\n{text}"
    return text


def _first_user_entry(tb: TracebackType | None) -> TracebackType | None:
    """Return the first entry of the execution's own code; the entries before it are our own call, or asyncio's."""
    entry = tb
    while entry is not None:
        if entry.tb_frame.f_code.co_filename.startswith("<execution "):
            return entry
        entry = entry.tb_next
    return tb


def _is_longer(tb: TracebackType | None, count: int) -> bool:
    while tb is not None and count >= 0:
        tb = tb.tb_next
        count -= 1
    return count < 0


def _strip(told: Any, seen: set[int]) -> None:
    """Remove our own frames from an exception and from the exceptions chained to it."""
    pending: list[Any] = [told]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        stack = current.stack
        if any(frame.filename.startswith(OWN_PREFIX) for frame in stack):
            stack[:] = [frame for frame in stack if not frame.filename.startswith(OWN_PREFIX)]
        pending.append(current.__cause__)
        pending.append(current.__context__)
        pending.extend(getattr(current, "exceptions", None) or ())

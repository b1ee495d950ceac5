"""Owns the list of the user's variables: which names, in which order, and texts of their values that are made without hanging."""

from __future__ import annotations

import os
import select
import sys
import time

from .processes import send_signal
from .values import bounded_repr, type_name
from .wire import from_json, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from .fork import Forker

MAX_VARIABLES = 500
MAX_REPR_CHARS = 200
_USER_REPR_SECONDS = 0.1
_SIGKILL = 9
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, range, slice)
_FUNCTIONS = (type(lambda: None), type(len))
_MAX_INT_BITS = 4096
_MAX_ITEM_CHARS = 1000
_C_METHOD = type(object.__dict__["__sizeof__"])
_clock = time.monotonic


class Bindings:
    """Notes in which order names were bound. It looks only at the names that executions mention."""

    __slots__ = ("_codes", "_counter", "_ids", "_order")

    def __init__(self) -> None:
        self._codes: tuple[CodeType | None, ...] = ()
        self._counter = 0
        self._ids: dict[str, int] = {}
        self._order: dict[str, int] = {}

    def expect(self, codes: tuple[CodeType | None, ...], namespace: dict[str, Any]) -> None:
        """Note the bindings of the execution before, and remember which names this one mentions."""
        self._note(namespace)
        self._codes = codes

    def newest_first(self, namespace: dict[str, Any]) -> list[str]:
        """Return the user's names, the newest binding first."""
        self._note(namespace)
        names = [
            name for name in namespace if type(name) is str and not (name.startswith("__") and name.endswith("__"))
        ]
        places = {name: (self._order.get(name, 0), place) for place, name in enumerate(names)}
        return sorted(names, key=places.__getitem__, reverse=True)

    def _note(self, namespace: dict[str, Any]) -> None:
        for code in self._codes:
            if code is None:
                continue
            for name in code.co_names:
                if name in namespace and self._ids.get(name) != id(namespace[name]):
                    self._counter += 1
                    self._order[name] = self._counter
                    self._ids[name] = id(namespace[name])
        self._codes = ()


def list_variables(namespace: dict[str, Any], names: list[str], forker: Forker) -> dict[str, Any]:
    """Return the fields of `variables`, at most 500 names."""
    values = [(name, namespace[name]) for name in names[:MAX_VARIABLES]]
    texts = {name: _plain_repr(value) for name, value in values}
    doubtful = [(name, value) for name, value in values if texts[name] is None]
    if doubtful:
        texts.update(_reprs_of_a_fork(doubtful, forker))
    return {
        "variables": [
            {
                "name": name,
                "type": type_name(value),
                "repr": texts[name] or _default_repr(value),
                "size": _size(value),
                "is_callable": callable(value),
            }
            for name, value in values
        ],
        "truncated": len(names) > MAX_VARIABLES,
    }


def _plain_repr(value: Any, depth: int = 0) -> str | None:
    """Return the bounded repr of a value whose repr runs no user code and takes no time; None for others."""
    kind = type(value)
    if kind is int and value.bit_length() > _MAX_INT_BITS:
        return f"<int of {value.bit_length()} bits>"
    if kind in (str, bytes, bytearray) and depth > 0 and len(value) > _MAX_ITEM_CHARS:
        return None
    if kind in _PLAIN:
        return _bounded(bounded_repr(value, MAX_REPR_CHARS))
    if kind in _FUNCTIONS:
        return _bounded(repr(value))
    if kind is type(sys):
        return f"<module {str(value.__dict__.get('__name__'))[:100]!r}>"
    if kind in (list, tuple, dict, set, frozenset) and len(value) <= MAX_REPR_CHARS and depth < 4:
        items = [*value.keys(), *value.values()] if kind is dict else list(value)
        if all(_plain_repr(item, depth + 1) is not None for item in items):
            return _bounded(bounded_repr(value, MAX_REPR_CHARS))
    if kind in (list, tuple) and len(value) > MAX_REPR_CHARS:
        start = _plain_repr(value[:50], depth + 1)
        return None if start is None else _bounded(f"{start[:100]}… [{len(value)} items]")
    if kind in (dict, set, frozenset) and len(value) > MAX_REPR_CHARS:
        return f"<{kind.__name__} of {len(value)} items>"
    return None


def _reprs_of_a_fork(values: list[tuple[str, Any]], forker: Forker) -> dict[str, str]:
    """Return what `repr` gives in a fork within 100 ms in all.

    A fork can be killed whatever the code in it does, and what that code changes is gone with it.
    """
    try:
        reading, writing = os.pipe()
    except OSError:
        return {}
    try:
        pid = forker.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return {}
    if pid == 0:
        _write_reprs(values, writing)
    os.close(writing)
    lines = _read_in_time(reading)
    os.close(reading)
    send_signal(pid, _SIGKILL)
    os.waitpid(pid, 0)
    found: dict[str, str] = {}
    for (name, _), line in zip(values, lines, strict=False):
        found[name] = str(from_json(line))[:MAX_REPR_CHARS]
    return found


def _write_reprs(values: list[tuple[str, Any]], writing: int) -> None:
    """Write one line of JSON for each value, and exit."""
    try:
        # What a `__repr__` prints must not appear in the next execution's output.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        for _, value in values:
            try:
                text = _bounded(bounded_repr(value, MAX_REPR_CHARS))
            except BaseException as error:
                text = f"<unprintable {type_name(value)} object: {type_name(error)}>"
            os.write(writing, to_json(text).encode("ascii") + b"\n")
    finally:
        os._exit(0)


def _read_in_time(reading: int) -> list[bytes]:
    """Return the whole lines that come until the fork is done or its time is up."""
    deadline = _clock() + _USER_REPR_SECONDS
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    data = b""
    while (left := deadline - _clock()) > 0 and poll.poll(left * 1000):
        piece = os.read(reading, 65536)
        if not piece:
            break
        data += piece
    return data.split(b"\n")[:-1]


def _default_repr(value: Any) -> str:
    return f"<{type_name(value)[:100]} object>"


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_REPR_CHARS else text[: MAX_REPR_CHARS - 1] + "…"


def _size(value: Any) -> int:
    """Return the bytes of the object itself; `__sizeof__` of user code is not called."""
    for each in type.__dict__["__mro__"].__get__(type(value)):
        own = each.__dict__.get("__sizeof__")
        if own is not None:
            return sys.getsizeof(value) if type(own) is _C_METHOD else object.__sizeof__(value)
    return object.__sizeof__(value)

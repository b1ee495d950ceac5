"""Owns writing values as pickles in which a small change of a value changes few bytes.

The pickler puts a mark behind each thousand entries of a list, dictionary or set. If an entry comes or goes, all later marks
stand elsewhere between the entries, and the edge would store all pieces behind it again. So a long container is written here
with one mark for all its entries. That is a pickle like any other: every unpickler reads it.
"""

from __future__ import annotations

from .unframed import Unframed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_BATCH = 1000
"""A container with more entries would get more than one mark."""
_MAX_LOOKED_AT = 10_000
_MAX_DEPTH = 3
# Opcodes of pickletools: what begins an empty container, and what adds everything since the mark to it.
_OPENING = {list: b"]", dict: b"}", set: b"\x8f"}
_ADDING = {list: b"e", dict: b"u", set: b"\x90"}
_PROTO, _MEMOIZE, _TUPLE, _POP, _STOP = b"\x80\x05", b"\x94", b"t", b"0", b"."


class PickleWriter:
    """Writes one pickle for each value; all share one memo. For the serializer only: it empties containers for a moment."""

    def __init__(self, make_pickler: Callable[[Any], Any], write: Callable[[Any], Any]) -> None:
        self._write = write
        self._target = write
        self._unframed = Unframed(lambda data: self._target(data))
        self._pickler = make_pickler(self._unframed)

    def write(self, value: Any) -> None:
        """Write the pickle of a value."""
        for part in _long_parts(value):
            self._write_long(part, _POP)
        if _is_long(value):
            self._write_long(value, _STOP)
        else:
            self._dump(value, self._write)

    def _dump(self, value: Any, target: Callable[[Any], Any]) -> None:
        self._target = target
        self._unframed.begin()
        self._pickler.dump(value)

    def _write_long(self, container: Any, end: bytes) -> None:
        """Write the container, and then `end` instead of the end of a pickle.

        The pickler memoizes the container while it is empty. Then it writes the entries as one tuple, which has no marks between
        them; at its end the opcode that makes a tuple is replaced by the one that adds the entries.
        """
        kind = type(container)
        opening = bytearray()
        entries, put_back = _take_entries(container)
        try:
            self._dump(container, opening.extend)
        finally:
            put_back()
        if bytes(opening) != _PROTO + _OPENING[kind] + _MEMOIZE + _STOP:
            # An earlier value has it already: this is a reference.
            self._write(opening[: -len(_STOP)] + end)
            return
        self._write(opening[: -len(_STOP)])
        tail = _Tail(self._write)
        self._dump(entries, tail.write)
        if tail.held != _TUPLE + _MEMOIZE + _STOP:
            raise RuntimeError("the pickler has ended a tuple in another way")
        # The pickler has counted the tuple as an entry of the memo.
        self._write(_ADDING[kind] + _MEMOIZE + end)


class _Tail:
    """Passes on all that it gets but the last three bytes."""

    def __init__(self, write: Callable[[Any], Any]) -> None:
        self._write = write
        self.held = b""

    def write(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        if len(view) < 3:
            joined = self.held + bytes(view)
            self._write(joined[:-3])
            self.held = joined[-3:]
            return
        self._write(self.held)
        self._write(view[:-3])
        self.held = bytes(view[-3:])


def _is_long(value: Any) -> bool:
    return type(value) in _OPENING and len(value) > _BATCH


def _long_parts(value: Any) -> Iterator[Any]:
    """Find long containers among the entries of built-in containers, not far below `value`."""
    level = [value]
    left = _MAX_LOOKED_AT
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            kind = type(container)
            if kind not in (dict, list, tuple) or left <= 0:
                continue
            entries = list(container.values()) if kind is dict else container
            yield from [entry for entry in entries if type(entry) in _OPENING and len(entry) > _BATCH]
            if len(entries) <= _BATCH:
                left -= len(entries)
                below += entries
        level = below


def _take_entries(container: Any) -> tuple[tuple[Any, ...], Callable[[], None]]:
    """Empty the container. Returns its entries, those of a dictionary as keys and values in turn, and how to put them back.

    A copy of a dictionary or set is put back, because it has the hashes: nothing is hashed or compared again.
    """
    if type(container) is list:
        entries = tuple(container)
        container.clear()
        return entries, lambda: container.extend(entries)
    kept = container.copy()
    entries = tuple(kept) if type(kept) is set else tuple(_alternating(kept))
    container.clear()
    return entries, lambda: container.update(kept)


def _alternating(mapping: dict[Any, Any]) -> Iterator[Any]:
    for item in mapping.items():
        yield from item

"""Owns filling the holes in the memory of a process before others are forked from it.

Imports leave holes all over the heap. A forked process would put its new objects into them, and the kernel would copy a page
for almost every object. With the holes filled, new objects lie side by side on pages of their own. What fills the holes is
never used or freed; the forked processes share it.
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Objects/obmalloc.c: pools of 16 KiB with a header of 48 bytes, each for blocks of one size, up to 512 bytes.
_POOL_BYTES, _POOL_HEADER_BYTES = 16384, 48
_MAX_BYTES_OF_A_SIZE = 262144
_BYTES_OBJECT_BYTES = 33
_LARGEST_MALLOC, _SMALLEST_MALLOC = 65536, 24
_KEPT: list[object] = []


class _MallocState(ctypes.Structure):
    """struct mallinfo2."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def fill_holes() -> None:
    """Fill the holes of Python's allocator and of malloc, as far as they are known."""
    _fill(16, object)
    _fill(32, lambda: complex(1.5, 2.5))
    for size in range(48, 513, 16):
        _fill(size, lambda size=size: bytes(size - _BYTES_OBJECT_BYTES))
    _fill_malloc()


def _fill(size: int, make: Callable[[], object]) -> None:
    """Fill the pools that have blocks of this size, up to the first pool that is empty."""
    made: list[object] = []
    pool = 0
    for _ in range(_MAX_BYTES_OF_A_SIZE // size):
        one = make()
        address = id(one)
        if address // _POOL_BYTES != pool:
            _KEPT.extend(made)
            made.clear()
            pool = address // _POOL_BYTES
            if address % _POOL_BYTES == _POOL_HEADER_BYTES:
                return
        made.append(one)
    _KEPT.extend(made)


def _fill_malloc() -> None:
    """Fill the holes of glibc's malloc; other libraries lack `mallinfo2`."""
    libc: Any = ctypes.CDLL(None)
    try:
        tell = libc.mallinfo2
    except AttributeError:
        return
    tell.restype = _MallocState
    malloc, free = libc.malloc, libc.free
    malloc.restype = ctypes.c_void_p
    malloc.argtypes = (ctypes.c_size_t,)
    free.argtypes = (ctypes.c_void_p,)
    state = tell()
    left: int = state.fordblks - state.keepcost
    # It comes from the end of the heap if it is larger than every hole, and marks where the end begins.
    marker: int = malloc(_LARGEST_MALLOC + 1) or 0
    size = _LARGEST_MALLOC
    while size >= _SMALLEST_MALLOC and left > 0:
        address: int = malloc(size) or 0
        if address < marker:
            left -= size
            continue
        free(address)
        size = size * 7 // 8
    free(marker)

"""Owns filling the holes in the memory of a process that is going to be forked."""

from __future__ import annotations

import ctypes

_POOL_BYTES = 16384
_POOL_HEADER = 48
_kept: list[object] = []


def fill_small() -> None:
    """Fill the holes of Python's allocator."""
    for size in range(48, 513, 16):
        pool: list[bytes] = []
        start = 0
        for _ in range(20000):
            block = bytes(size - 33)
            address = id(block)
            here = address & ~(_POOL_BYTES - 1)
            if here != start:
                _kept.extend(pool)
                pool = []
                start = here
                is_fresh = address - here == _POOL_HEADER
            pool.append(block)
            if is_fresh and len(pool) > 8:
                break


def fill_large() -> None:
    """Fill the holes of malloc."""
    libc = ctypes.CDLL(None)
    malloc, free, sbrk = libc.malloc, libc.free, libc.sbrk
    malloc.restype = sbrk.restype = ctypes.c_void_p
    malloc.argtypes = [ctypes.c_size_t]
    free.argtypes = [ctypes.c_void_p]
    sbrk.argtypes = [ctypes.c_ssize_t]
    first = sbrk(0)
    marker = malloc(100000)
    top = marker or 0
    size = 65536
    n = 0
    while size >= 24:
        for _ in range(20000):
            address = malloc(size) or 0
            n += size
            if address >= top:
                free(address)
                break
        size = size * 7 // 8
    free(marker)

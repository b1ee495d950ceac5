"""Owns the Linux calls that the standard library lacks; each fails quietly if the kernel or libc refuses it."""

from __future__ import annotations

import ctypes
import os
import resource
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_IONBF = 2

_libc = ctypes.CDLL(None, use_errno=True)
# Looked up once, because ctypes would use the builtins that user code may have replaced. PyDLL keeps the interpreter lock:
# setting a timer does not block, so no other thread should run.
_prctl = _libc.prctl
_timerfd_create = _libc.timerfd_create
_timerfd_settime = ctypes.PyDLL(None).timerfd_settime
_malloc_trim = getattr(_libc, "malloc_trim", None)
_open, _read, _close = os.open, os.read, os.close
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_getrlimit = resource.getrlimit
_setrlimit = resource.setrlimit


class _TimerSpec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("repeat_s", "repeat_ns", "first_s", "first_ns"))


class Timer:
    """A timerfd that becomes readable once, a fixed time after each `arm`."""

    __slots__ = ("_spec", "fd")

    def __init__(self, after_ms: int) -> None:
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self.fd: int = _timerfd_create(time.CLOCK_MONOTONIC, flags)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = ctypes.byref(_TimerSpec(0, 0, 0, after_ms * 1000000))

    def arm(self) -> None:
        """Start the time again."""
        _timerfd_settime(self.fd, 0, self._spec, None)

    def close(self) -> None:
        """Close the descriptor."""
        try:
            _close(self.fd)
        except OSError:
            return


def die_with_parent(signum: int) -> None:
    """Have the kernel send `signum` to this process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)


def set_dumpable(is_dumpable: bool) -> None:
    """Allow or forbid ptrace and `/proc/<pid>/mem` to processes of the same user."""
    _prctl(_PR_SET_DUMPABLE, int(is_dumpable), 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every orphaned descendant, as pid 1 always is."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def unbuffer_c_stdio() -> None:
    """Make C's stdout and stderr write at once, so that `printf` keeps its place in the output."""
    for name in ("stdout", "stderr"):
        try:
            stream = ctypes.c_void_p.in_dll(_libc, name)
        except ValueError:
            continue
        _libc.setvbuf(stream, None, _IONBF, 0)


def forbid_core_dumps() -> None:
    """Limit core files to one byte if the sandbox has not: then the host's crash handler is not started (core(5))."""
    if _getrlimit(resource.RLIMIT_CORE)[1] not in (0, 1):
        _setrlimit(resource.RLIMIT_CORE, (1, 1))


def give_back_memory() -> None:
    """Give memory that C's malloc holds and does not use back to the kernel."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def resident_bytes() -> int:
    """Return this process's resident size, shared pages included, in bytes; also if user code has used up the descriptors."""
    try:
        return _resident_pages() * _PAGE_BYTES
    except OSError:
        with SpareDescriptors():
            return _resident_pages() * _PAGE_BYTES


def _resident_pages() -> int:
    # Without the io module: this runs before each snapshot, and each page that it writes has to be copied again.
    descriptor = _open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(_read(descriptor, 128).split()[1])
    finally:
        _close(descriptor)


class SpareDescriptors:
    """While entered, raises the soft limit to the hard one: user code may hold all descriptors of the soft limit.

    A class, because a generator would go through contextlib, which uses the builtins that user code may have replaced.
    """

    __slots__ = ("_soft",)

    def __enter__(self) -> None:
        self._soft, hard = _getrlimit(resource.RLIMIT_NOFILE)
        _setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def __exit__(self, *_error: object) -> None:
        _, hard = _getrlimit(resource.RLIMIT_NOFILE)
        _setrlimit(resource.RLIMIT_NOFILE, (min(self._soft, hard), hard))


def has_capabilities(*, ignore_bounds: bool = False) -> bool:
    """Say whether this process has any capability, or can get one; the bounding set matters only to programs that it starts."""
    with open("/proc/self/status", "rb") as status:
        lines = [line for line in status if line.startswith(b"Cap")]
    sets = [line.split()[1] for line in lines if not (ignore_bounds and line.startswith(b"CapBnd"))]
    return any(int(one, 16) for one in sets)

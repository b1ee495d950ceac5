"""Owns the steps by which a process gives up privileges, for the ways into a sandbox; each raises OSError that names the step."""

from __future__ import annotations

import ctypes
import os
import resource

from . import linux

# linux/sched.h
NEW_MOUNTS, NEW_IPC = 0x20000, 0x8000000
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
# linux/prctl.h, linux/capability.h, linux/seccomp.h
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 22, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_SECCOMP_MODE_FILTER = 2
_SECCOMP_SET_MODE_FILTER, _SECCOMP_GET_NOTIF_SIZES = 1, 3
_SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_FILTER_INSTRUCTION_BYTES = 8
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def check(step: str, result: int) -> int:
    """Return the result of a call into libc; OSError if it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{step}: {os.strerror(code)}")
    return result


def write(path: str, text: str) -> None:
    """Write to a file of the kernel, in one call."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def hint_at_oom_score(score: int) -> None:
    """Tell the kernel how readily it may end this process when memory is short."""
    try:
        write("/proc/self/oom_score_adj", str(score))
    except OSError:
        return  # A container may forbid it. The kernel then chooses without this hint.


def set_limits(arguments: list[str]) -> None:
    """Set resource limits, given as arguments of prlimit(1)."""
    for argument in arguments:
        name, _, bounds = argument.lstrip("-").partition("=")
        soft, _, hard = bounds.partition(":")
        resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (int(soft), int(hard)))


def unshare(namespaces: int) -> None:
    """Give this process namespaces of its own."""
    check("unshare", _libc.unshare(namespaces))


def make_mounts_private() -> None:
    """Keep what this mount namespace mounts from all others."""
    check("mount /", _libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system, or change a mount."""
    arguments = [None if text is None else text.encode() for text in (source, target, kind)]
    data = None if options is None else options.encode()
    check(f"mount {target}", _libc.mount(*arguments, ctypes.c_ulong(flags), data))


def drop_capabilities(*, user: int | None = None, may_keep_bounds: bool = False) -> None:
    """Give up every capability for good; `user` is whom to become in between, after the bounding set and before the rest.

    An ordinary user may not change the bounding set (`may_keep_bounds`). It says what programs that are started may gain, which
    is nothing without new privileges.
    """
    check("ambient capabilities", _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    if user is not None:
        os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    check("capset", _libc.syscall(_SYS_CAPSET[os.uname().machine], header, nothing))
    if (capability == 0 and not may_keep_bounds) or linux.has_capabilities(ignore_bounds=capability == 0):
        raise OSError("the capabilities were not dropped")


def forbid_new_privileges() -> None:
    """Let no program that this process starts have more rights than it."""
    check("no_new_privs", _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def can_listen_to_calls() -> bool:
    """Say whether the kernel, and the container around this process, let a process answer calls of another one."""
    sizes = (ctypes.c_uint16 * 3)()
    number = _SYS_SECCOMP.get(os.uname().machine)
    return number is not None and _libc.syscall(number, _SECCOMP_GET_NOTIF_SIZES, 0, sizes) == 0


def add_filter_with_listener(program: bytes) -> int:
    """Put this process under a seccomp program; returns the descriptor by which another process answers its calls."""
    filter_program = _Program(len(program) // _FILTER_INSTRUCTION_BYTES, program)
    number = _SYS_SECCOMP[os.uname().machine]
    flags = _SECCOMP_FILTER_FLAG_NEW_LISTENER
    return check(
        "seccomp with a listener",
        _libc.syscall(number, _SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(filter_program)),
    )


def add_filter(program: bytes) -> None:
    """Put this process under a seccomp program, beside those it is under already."""
    filter_program = _Program(len(program) // _FILTER_INSTRUCTION_BYTES, program)
    check("seccomp", _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0))

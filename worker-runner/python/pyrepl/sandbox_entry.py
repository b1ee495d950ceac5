"""Owns a forked process's way into a sandbox that bubblewrap made: the steps that bubblewrap itself takes for a keeper.

bubblewrap's own process, the skeleton, keeps the namespaces alive and has the mounts. The new process joins them all except
the pid namespace, makes one of its own, and forks: the child is pid 1 there, so user code can neither see nor signal any
process outside, cannot kill it, and ends with it.
"""

from __future__ import annotations

import ctypes
import os
import resource

from . import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Entry(TypedDict):
        """Where to, and with what limits; the runner sends it."""

        id: int
        skeleton_pid: int
        group_entrances: list[str]
        oom_score: int
        niceness: int
        user: int
        hidden: list[str]
        rlimits: list[str]
        channel: str
        program: str
        workspace: str


# linux/sched.h
_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_ALL_BUT_PID = _CLONE_NEWNS | _CLONE_NEWCGROUP | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWUSER | _CLONE_NEWNET
# linux/mount.h
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096
# linux/prctl.h, linux/capability.h, linux/seccomp.h
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 22, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_SECCOMP_MODE_FILTER = 2
_FILTER_INSTRUCTION_BYTES = 8
# The number is the same on every architecture (asm-generic/unistd.h).
_SYS_PIDFD_GETFD = 438
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def join_skeleton(entry: Entry) -> tuple[int, int]:
    """Take this process, which has one thread, into the skeleton's namespaces; returns its standard input and error.

    OSError names the step that the kernel refuses.
    """
    # Only a dumpable process of an ordinary user may write to its own files in /proc.
    linux.set_dumpable(True)
    for path in entry["group_entrances"]:
        _write(path, "0")
    _hint_at_oom_score(entry["oom_score"])
    if entry["niceness"]:
        os.nice(entry["niceness"])
    os.umask(0o022)
    if os.geteuid() == 0:
        os.setgroups([])
    pidfd = os.pidfd_open(entry["skeleton_pid"])
    _check("setns", _libc.setns(pidfd, _ALL_BUT_PID))
    user = entry["user"]
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    token = _check("pidfd_getfd", _libc.syscall(_SYS_PIDFD_GETFD, pidfd, 0, 0))
    log = _check("pidfd_getfd", _libc.syscall(_SYS_PIDFD_GETFD, pidfd, 2, 0))
    os.close(pidfd)
    _check("unshare", _libc.unshare(_CLONE_NEWPID))
    return token, log


def confine(entry: Entry, seccomp_filter: bytes, token: int, log: int) -> None:
    """Finish the sandbox around this process, which is pid 1 of its namespace, and give up every privilege."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(token, 0)
    os.dup2(null, 1)
    os.dup2(log, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    _mount_proc(entry["hidden"])
    for argument in entry["rlimits"]:
        name, _, bounds = argument.lstrip("-").partition("=")
        soft, _, hard = bounds.partition(":")
        resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (int(soft), int(hard)))
    os.chdir(entry["workspace"])
    _drop_capabilities()
    _check("no_new_privs", _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    program = _Program(len(seccomp_filter) // _FILTER_INSTRUCTION_BYTES, seccomp_filter)
    _check("seccomp", _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


def _hint_at_oom_score(score: int) -> None:
    try:
        _write("/proc/self/oom_score_adj", str(score))
    except OSError:
        return  # A container may forbid it. The kernel then chooses without this hint.


def _mount_proc(hidden: list[str]) -> None:
    """Mount /proc of this pid namespace, read-only and without what tells about the machine."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _mount("proc", "/proc", "proc", flags)
    # No process of this user namespace can make another one; the seccomp filter refuses that too.
    _write("/proc/sys/user/max_user_namespaces", "0")
    for path in hidden:
        if os.path.isdir(path):
            _mount("tmpfs", path, "tmpfs", flags | _MS_RDONLY)
        elif os.path.exists(path):
            # Without its device, the file cannot even be opened.
            _mount("/dev/null", path, None, _MS_BIND)
            _mount(None, path, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | flags)
    _mount(None, "/proc", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | flags)


def _drop_capabilities() -> None:
    _check("ambient capabilities", _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check("capset", _libc.syscall(_SYS_CAPSET[os.uname().machine], header, nothing))
    if capability == 0 or linux.has_capabilities():
        raise OSError("the capabilities were not dropped")


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    arguments = [None if text is None else text.encode() for text in (source, target, kind)]
    _check(f"mount {target}", _libc.mount(*arguments, ctypes.c_ulong(flags), None))


def _check(step: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{step}: {os.strerror(code)}")
    return result


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)

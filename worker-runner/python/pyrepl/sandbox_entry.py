"""Owns a forked process's way into a sandbox that bubblewrap made: the steps that bubblewrap itself takes for a keeper.

bubblewrap's own process, the skeleton, keeps the namespaces alive and has the mounts. The new process joins them all except
the pid namespace, makes one of its own, and forks: the child is pid 1 there, so user code can neither see nor signal any
process outside, cannot kill it, and ends with it.
"""

from __future__ import annotations

import ctypes
import os

from . import linux
from .confinement import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REMOUNT,
    add_filter,
    check,
    drop_capabilities,
    forbid_new_privileges,
    hint_at_oom_score,
    mount,
    set_limits,
    write,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Entry(TypedDict):
        """The sandbox to join, and its limits. The runner sends it."""

        id: int
        skeleton_pid: int
        token_fd: int
        group_entrances: list[str]
        oom_score: int
        niceness: int
        user: int
        hidden: list[str]
        rlimits: list[str]
        channel: str
        program: str
        workspace: str
        egress: str


# linux/sched.h
_CLONE_NEWNS, _CLONE_NEWCGROUP, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_ALL_BUT_PID = _CLONE_NEWNS | _CLONE_NEWCGROUP | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWUSER | _CLONE_NEWNET
# The number is the same on every architecture (asm-generic/unistd.h).
_SYS_PIDFD_GETFD = 438

_libc = ctypes.CDLL(None, use_errno=True)


def join_skeleton(entry: Entry) -> tuple[int, int]:
    """Take this process, which has one thread, into the skeleton's namespaces; returns its standard input and error.

    OSError names the step that the kernel refuses.
    """
    # Only a dumpable process of an ordinary user may write to its own files in /proc.
    linux.set_dumpable(True)
    for path in entry["group_entrances"]:
        write(path, "0")
    hint_at_oom_score(entry["oom_score"])
    if entry["niceness"]:
        os.nice(entry["niceness"])
    os.umask(0o022)
    if os.geteuid() == 0:
        os.setgroups([])
    pidfd = os.pidfd_open(entry["skeleton_pid"])
    check("setns", _libc.setns(pidfd, _ALL_BUT_PID))
    user = entry["user"]
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    token = check("pidfd_getfd", _libc.syscall(_SYS_PIDFD_GETFD, pidfd, entry["token_fd"], 0))
    log = check("pidfd_getfd", _libc.syscall(_SYS_PIDFD_GETFD, pidfd, 2, 0))
    os.close(pidfd)
    check("unshare", _libc.unshare(_CLONE_NEWPID))
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
    set_limits(entry["rlimits"])
    os.chdir(entry["workspace"])
    drop_capabilities()
    forbid_new_privileges()
    add_filter(seccomp_filter)


def _mount_proc(hidden: list[str]) -> None:
    """Mount /proc of this pid namespace, read-only and without what tells about the machine."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("proc", "/proc", "proc", flags)
    # No process of this user namespace can make another one; the seccomp filter refuses that too.
    write("/proc/sys/user/max_user_namespaces", "0")
    for path in hidden:
        if os.path.isdir(path):
            mount("tmpfs", path, "tmpfs", flags | MS_RDONLY)
        elif os.path.exists(path):
            # Without its device, the file cannot even be opened.
            mount("/dev/null", path, None, MS_BIND)
            mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
    mount(None, "/proc", None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)

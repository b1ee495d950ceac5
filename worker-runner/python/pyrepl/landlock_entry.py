"""Owns a keeper's way into a sandbox without namespaces: a user of its own, Landlock's rules, limits and system call filters.

If the runner is root and may mount, the session's files are on a tmpfs that only its processes see; otherwise they are in a
folder that the runner made, and the warden measures them.
"""

from __future__ import annotations

import os
import stat

from . import landlock
from .confinement import (
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    NEW_IPC,
    NEW_MOUNTS,
    add_filter,
    add_filter_with_listener,
    drop_capabilities,
    forbid_new_privileges,
    hint_at_oom_score,
    make_mounts_private,
    mount,
    set_limits,
    unshare,
    write,
)
from .linux import set_dumpable
from .pid_filter import pid_filter
from .rendezvous import hand_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Tmpfs(TypedDict):
        """The tmpfs of a session: its mount point, its options, and its folders.

        `covers` says which places of the host they cover, `binds` which folders of the host are mounted there. The keys of
        `opened` are folders that only root may pass; the session gets to the paths below them that it needs.
        """

        point: str
        options: str
        folders: list[str]
        covers: dict[str, str]
        binds: dict[str, str]
        opened: dict[str, list[str]]

    class WardEntry(TypedDict):
        """What a session may do, and where; the runner sends it."""

        id: int
        terminal: str
        channel: str
        group_entrances: list[str]
        oom_score: int
        niceness: int
        user: int | None
        tmpfs: Tmpfs | None
        folder: str | None
        max_bytes: int
        max_files: int
        max_processes: int
        readable: list[str]
        data: list[str]
        devices: list[str]
        writable: list[str]
        rlimits: list[str]
        program: str
        preload: list[str]
        workspace: str
        egress: str
        environment: dict[str, str]


def confine(entry: WardEntry, seccomp_filter: bytes, warden: int) -> None:
    """Put this process, which has one thread, under the session's rules for good.

    OSError names the step that the kernel refuses.
    """
    for path in entry["group_entrances"]:
        write(path, "0")
    hint_at_oom_score(entry["oom_score"])
    os.setsid()
    os.umask(0o022)
    user = entry["user"]
    if entry["tmpfs"] is not None and user is not None:
        _mount_files(entry["tmpfs"], user)
    ruleset = landlock.make_ruleset(
        [
            *((path, landlock.READ) for path in entry["readable"]),
            *((path, landlock.READ_DATA) for path in entry["data"]),
            *((path, landlock.DEVICE) for path in entry["devices"]),
            *((path, landlock.OWN) for path in entry["writable"]),
        ]
    )
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
    drop_capabilities(user=user, may_keep_bounds=True)
    set_limits(entry["rlimits"])
    os.chdir(entry["workspace"])
    forbid_new_privileges()
    set_dumpable(False)
    landlock.enter(ruleset)
    add_filter(pid_filter(os.uname().machine, (os.getpid(), warden)))
    if entry["egress"]:
        hand_over(add_filter_with_listener(seccomp_filter))
    else:
        add_filter(seccomp_filter)
    os.environ.clear()
    os.environ.update(entry["environment"])


def _mount_files(tmpfs: Tmpfs, user: int) -> None:
    unshare(NEW_MOUNTS | NEW_IPC)
    make_mounts_private()
    point = tmpfs["point"]
    mount("pyrepl", point, "tmpfs", MS_NOSUID | MS_NODEV, tmpfs["options"])
    for name in tmpfs["folders"]:
        folder = f"{point}/{name}"
        os.mkdir(folder)
        os.chmod(folder, 0o1777)
        os.chown(folder, user, user)
    for name, source in tmpfs["binds"].items():
        os.mkdir(f"{point}/{name}")
        mount(source, f"{point}/{name}", None, MS_BIND)
    for closed, paths in tmpfs["opened"].items():
        _open_below(closed, paths)
    for place, name in tmpfs["covers"].items():
        mount(f"{point}/{name}", place, None, MS_BIND)


def _open_below(closed: str, paths: list[str]) -> None:
    """Replace a folder that only root may pass by a folder that contains only `paths`."""
    sources = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in paths]
    mount("pyrepl", closed, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=1k,mode=0755")
    for path, source in sources:
        is_folder = stat.S_ISDIR(os.fstat(source).st_mode)
        os.makedirs(path if is_folder else os.path.dirname(path), 0o755, exist_ok=True)
        if not is_folder:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        mount(f"/proc/self/fd/{source}", path, None, MS_BIND)
        os.close(source)

"""Owns Landlock: the rules for files, TCP ports and scopes under which a process and all that it starts run from then on.

Landlock has no wrapper in libc. Numbers and structures: linux/landlock.h, the same on every architecture.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_CHAR, _MAKE_DIR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
_MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK = 1 << 8, 1 << 9, 1 << 10, 1 << 11
_MAKE_SYM, _REFER, _TRUNCATE, _IOCTL_DEV = 1 << 12, 1 << 13, 1 << 14, 1 << 15
_RIGHTS_SINCE = ((1, (1 << 13) - 1), (2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV))
"""The version of the interface that brought each right."""
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_BIND_TCP_AND_CONNECT_TCP, _NET_SINCE = 3, 4
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS, _SCOPE_SINCE = 3, 6

READ = _READ_FILE | _READ_DIR | _EXECUTE
READ_DATA = _READ_FILE | _READ_DIR
DEVICE = _READ_FILE | _WRITE_FILE
# Devices cannot be made, and those that are there take no ioctl.
_CHANGE_FOLDER = _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM | _REFER
OWN = READ | _WRITE_FILE | _TRUNCATE | _CHANGE_FOLDER

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """Return the version of Landlock's interface that the kernel has, 0 if it has none or a container forbids it."""
    version: int = _libc.syscall(_SYS_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    return max(0, version)


def make_ruleset(rules: Iterable[tuple[str, int]]) -> int:
    """Return a descriptor of rules that allow what is listed, as (path, rights below it), and nothing else.

    Absent paths are left out. TCP is closed, and signals and abstract sockets end at the border, as far as the kernel can
    do that.
    """
    version = abi()
    handled = sum(rights for since, rights in _RIGHTS_SINCE if version >= since)
    net = _BIND_TCP_AND_CONNECT_TCP if version >= _NET_SINCE else 0
    scoped = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPE_SINCE else 0
    attributes = struct.pack("=QQQ", handled, net, scoped)
    size = ctypes.c_size_t(len(attributes))
    ruleset = _check("landlock_create_ruleset", _libc.syscall(_SYS_CREATE_RULESET, attributes, size, 0))
    for path, rights in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        is_folder = stat.S_ISDIR(os.fstat(place).st_mode)
        allowed = rights & handled & (-1 if is_folder else _OF_A_FILE)
        rule = struct.pack("=Qi", allowed, place)
        _check(f"landlock_add_rule {path}", _libc.syscall(_SYS_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0))
        os.close(place)
    return ruleset


def enter(ruleset: int) -> None:
    """Put this thread under the rules for good, and close their descriptor. The process must have set no_new_privs."""
    _check("landlock_restrict_self", _libc.syscall(_SYS_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _check(step: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{step}: {os.strerror(code)}")
    return result

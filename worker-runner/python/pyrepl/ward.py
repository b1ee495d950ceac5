"""Owns the start of one session's warden and keeper by themselves, without a zygote."""

from __future__ import annotations

import os
import re

from . import environment, keeper_start, linux
from .confinement import NEW_IPC, NEW_MOUNTS, can_listen_to_calls, make_mounts_private, mount, unshare
from .landlock import abi
from .rendezvous import CHANNEL
from .warden import guard
from .wire import from_json, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .landlock_entry import WardEntry

_REQUEST_FD = 3
_MAX_REQUEST_BYTES = 1 << 20


def main(at_start: frozenset[str]) -> NoReturn:
    """Read a request from descriptor 3, as a zygote does, and guard a keeper that runs by it."""
    linux.forbid_core_dumps()
    request = _read_request()
    os.closerange(_REQUEST_FD, os.sysconf("SC_OPEN_MAX"))
    made = keeper_start.make_session(environment.prepare(at_start))
    entry: WardEntry = request["entry"]

    def serve() -> NoReturn:
        keeper_start.serve(made, entry["preload"], CHANNEL, entry["program"], entry["workspace"])

    guard(entry, bytes.fromhex(request["filter"]), serve)


def probe(_at_start: frozenset[str]) -> NoReturn:
    """Print what the kernel, and the container around this process, allow.

    That is Landlock's version, whether root may mount, and whether a warden can answer calls that make sockets.
    """
    facts = {"abi": abi(), "can_mount": _can_mount(), "can_notify": _can_give_descriptors()}
    os.write(1, to_json(facts).encode("ascii"))
    os._exit(0)


def _can_give_descriptors() -> bool:
    """Say whether an answer can bring a descriptor along in one step, which came with Linux 5.14."""
    major, minor = (int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    return (major, minor) >= (5, 14) and can_listen_to_calls()


def _can_mount() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        unshare(NEW_MOUNTS | NEW_IPC)
        make_mounts_private()
        mount("pyrepl", "/tmp", "tmpfs", 0, "size=1m")
    except OSError:
        return False
    return True


def _read_request() -> Any:
    text = b""
    while len(text) < _MAX_REQUEST_BYTES:
        piece = os.read(_REQUEST_FD, 65536)
        if not piece:
            break
        text += piece
    return from_json(text)

"""Owns the seccomp program that keeps user code from signalling its keeper and its warden, which run as the same user.

In a pid namespace the kernel protects pid 1. Without one, a filter that knows the two pids does that.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# linux/bpf_common.h, linux/seccomp.h
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL_WITH_EPERM = 0x7FFF0000, 0x00050001
_FIRST_ARGUMENT, _ARGUMENT_BYTES = 16, 8

# Each call with the arguments that may name a process, by architecture: kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo,
# pidfd_open, and setpgid, after which a signal to one's own group would reach the keeper.
_CALLS = {
    "x86_64": ((62, (0,)), (200, (0,)), (234, (0, 1)), (129, (0,)), (297, (0, 1)), (434, (0,)), (109, (0, 1))),
    "aarch64": ((129, (0,)), (130, (0,)), (131, (0, 1)), (138, (0,)), (240, (0, 1)), (434, (0,)), (154, (0, 1))),
}


def pid_filter(machine: str, pids: Sequence[int]) -> bytes:
    """Return a program that refuses signals to `pids` and to the groups that they lead.

    Another program checks the architecture.
    """
    named = [*pids, *(-pid & 0xFFFFFFFF for pid in pids)]
    program = [(_LOAD, 0, 0, 0)]
    for number, arguments in _CALLS[machine]:
        checks: list[tuple[int, int, int, int]] = []
        for argument in arguments:
            checks.append((_LOAD, 0, 0, _FIRST_ARGUMENT + _ARGUMENT_BYTES * argument))
            for pid in named:
                checks += [(_JUMP_EQUAL, 0, 1, pid), (_RETURN, 0, 0, _FAIL_WITH_EPERM)]
        checks.append((_RETURN, 0, 0, _ALLOW))
        program += [(_JUMP_EQUAL, 0, len(checks), number), *checks]
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)

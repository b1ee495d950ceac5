"""Owns how a keeper starts: in a Python of its own, or in a process forked from the zygote."""

from __future__ import annotations

import gc
import os
import signal

from . import environment, linux
from .fork import Forker
from .keeper import Keeper
from .live import make_live
from .pipes import Pipes
from .python_facts import python_facts
from .ring import Ring
from .session_state import SessionState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .live import Live

    MadeSession = tuple[SessionState, Live, dict[str, Any]]


def main(at_start: frozenset[str]) -> NoReturn:
    """Run the keeper as docs/channel.md describes; never returns. `at_start` names the modules that a bare Python imports."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # Descriptors inherited from the runner are not for user code.
    made = make_session(environment.prepare(at_start))
    names = ("CHANNEL", "EGRESS", "PRELOAD", "PROGRAM", "RUNNER", "WORKSPACE")
    variables = {name: os.environ.pop(f"PYREPL_{name}", "") for name in names}
    preload = [name for name in variables["PRELOAD"].split(",") if name]
    workspace = os.path.realpath(variables["WORKSPACE"])
    serve(made, preload, variables["CHANNEL"], variables["PROGRAM"], workspace, variables["EGRESS"])


def make_session(own_imports: frozenset[str]) -> MadeSession:
    """Return a session that lacks only the parts that its keeper makes."""
    state = SessionState(Ring(), Pipes(), Forker())
    environment.set_up(state, own_imports)
    return state, make_live(state), python_facts()


def serve_warm(made: MadeSession, channel_path: str, program: str, workspace: str, egress: str = "") -> NoReturn:
    """Run the keeper in a process forked from the zygote, which has made the session and imported the modules already."""
    serve(made, [], channel_path, program, workspace, egress)


def serve(
    made: MadeSession, preload: list[str], channel_path: str, program: str, workspace: str, egress: str = ""
) -> NoReturn:
    """Run the keeper in this process, which has one thread.

    `preload` are modules to import first; `egress` is the port and the socket of the session's proxy.
    """
    state, live, facts = made
    linux.set_dumpable(False)
    linux.forbid_core_dumps()
    linux.adopt_orphans()
    if os.getpid() != 1:
        linux.die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    token = _read_token()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0, inheritable=True)
    os.close(null)
    linux.unbuffer_c_stdio()
    gc.disable()
    Keeper(state, live, channel_path, program, egress).run(token, facts, preload, workspace)


def _read_token() -> str:
    line = b""
    while not line.endswith(b"\n") and len(line) < 256:
        piece = os.read(0, 1)
        if not piece:
            break
        line += piece
    return line.decode("ascii").strip()

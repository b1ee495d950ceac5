"""Owns what user code finds when it starts: its `__main__`, builtins, streams, working directory and module list."""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType

from .checkpoint.surroundings import Baseline
from .display import Displays, make_display, make_update_display
from .execution import Executor
from .import_hook import StepFinder, show_open_figures
from .live import Live
from .mime import rich_bundle
from .own_modules import hide, isolate
from .prompt import make_getpass, make_input
from .streams import InputStream, OutputStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def furnish(live: Live) -> None:
    """Set up the namespace and the hooks for `live`, once, in the keeper before its first fork."""
    isolate()
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    main.__dict__.update(__annotations__={})
    live.namespace = main.__dict__
    live.executor = Executor(main.__dict__, builtins, live.guard)
    live.main_module = main

    stdin = InputStream(live.prompts.ask)
    stdout, stderr = OutputStream(live.output, 1), OutputStream(live.output, 2)
    live.streams = (stdin, stdout, stderr)
    builtins.input = make_input(live.prompts, _current_stdin, stdin)
    displays = Displays(live.output, lambda: live.prompts.execution_id)
    builtins.display = make_display(displays)  # type: ignore[attr-defined]
    builtins.update_display = make_update_display(displays)  # type: ignore[attr-defined]
    live.executor.mime_of = rich_bundle
    live.executor.after = show_open_figures
    _take_steps(live, live.executor)
    live.hidden.install()
    os.register_at_fork(after_in_child=live.become_foreign)


def _take_steps(live: Live, executor: Executor) -> None:
    """Have certain modules changed as soon as they are loaded, or now where they are."""

    def ask_for_passwords(getpass: Any) -> None:
        getpass.getpass = make_getpass(live.prompts)

    steps = {"getpass": ask_for_passwords, "linecache": executor.book.fill}
    for name, step in steps.items():
        if name in sys.modules:
            step(sys.modules[name])
    sys.meta_path.insert(0, StepFinder(steps))  # pyright: ignore[reportArgumentType]


def enter(live: Live, workspace: str) -> None:
    """Make this process the user's, in a fresh fork of the keeper."""
    sys.stdin, sys.stdout, sys.stderr = live.streams
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = live.streams
    assert live.main_module is not None
    sys.modules["__main__"] = live.main_module
    hide()
    live.guard.install()
    for name in ("PYREPL_CHANNEL", "PYREPL_PRELOAD", "PYREPL_WORKSPACE"):
        os.environ.pop(name, None)
    os.chdir(workspace)
    live.baseline = Baseline(workspace)
    sys.path.insert(0, "")
    sys.argv[:] = [""]


def _current_stdin() -> Any:
    return sys.stdin

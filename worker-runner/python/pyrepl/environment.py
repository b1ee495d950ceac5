"""Owns the surroundings in which user code starts: its `__main__`, builtins, streams, working directory and module list."""

from __future__ import annotations

import builtins
import os
import sys

from .checkpoint.surroundings import Baseline
from .display import Displays, make_clear_output, make_display, make_update_display
from .import_hook import StepFinder, show_open_figures
from .ipython_hook import MODULE, OLD_MODULE, make_ipython_step
from .library import LIBRARY
from .magics import Magics
from .mime import rich_bundle
from .notebook_lines import HELPER
from .own_modules import hide, isolate
from .packages import make_ready, packages_folder
from .prompt import make_getpass, make_input
from .streams import InputStream, OutputStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .session_state import SessionState


def prepare(at_start: frozenset[str]) -> frozenset[str]:
    """Keep our modules apart from user code's, once in a program; returns the names of the modules that our code has imported.

    `at_start` are the names of the modules that Python itself had imported.
    """
    LIBRARY.install()
    own_imports = frozenset(set(sys.modules) - at_start)
    isolate()
    return own_imports


def set_up(state: SessionState, own_imports: frozenset[str]) -> None:
    """Set up streams, builtins and hooks, once, in the keeper before its first fork."""
    state.own_imports = own_imports
    stdin = InputStream(state.prompts.ask)
    stdout, stderr = OutputStream(state.output, 1), OutputStream(state.output, 2)
    state.streams = (stdin, stdout, stderr)
    builtins.input = make_input(state.prompts, _current_stdin, stdin)
    displays = Displays(state.output, lambda: state.prompts.execution_id)
    display, update_display = make_display(displays), make_update_display(displays)
    builtins.display = display  # type: ignore[attr-defined]
    builtins.update_display = update_display  # type: ignore[attr-defined]
    setattr(builtins, HELPER, Magics(state.namespace, state.executor.run_nested, state.packages.install))
    state.executor.mime_of = rich_bundle
    state.executor.after = show_open_figures
    clear_output = make_clear_output(displays)
    show_by_ipython = make_ipython_step(display, update_display, clear_output)
    _install_import_steps(state, clear_output, {MODULE: show_by_ipython, OLD_MODULE: show_by_ipython})
    state.hidden.install()
    state.fork_hooks.install()
    os.register_at_fork(after_in_child=state.detach_after_user_fork)


def _install_import_steps(
    state: SessionState, clear_output: Callable[..., None], more: dict[str, Callable[[Any], None]]
) -> None:
    """Adapt certain library modules: now if they are loaded, otherwise as soon as they are."""

    def ask_for_passwords(getpass: Any) -> None:
        getpass.getpass = make_getpass(state.prompts)

    steps = {
        "getpass": ask_for_passwords,
        "linecache": state.executor.book.fill,
        "inspect": state.toolbox.use_inspect,
        **more,
    }
    finder = StepFinder(steps, state.toolbox, clear_output)
    for name, step in finder.steps.items():
        if name in sys.modules:
            step(sys.modules[name])
    sys.meta_path.insert(0, finder)  # pyright: ignore[reportArgumentType]


def activate(state: SessionState, workspace: str) -> None:
    """Turn this process, a fresh fork of the keeper, over to user code."""
    sys.stdin, sys.stdout, sys.stderr = state.streams
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = state.streams
    sys.modules["__main__"] = state.main_module
    hide()
    state.guard.install()
    LIBRARY.put_aside(state.own_imports)
    # A module that is edited twice within a second with the same size would be taken from the file of the first compilation.
    sys.dont_write_bytecode = True
    os.chdir(workspace)
    state.fork_hooks.packages_folder = packages_folder()
    make_ready(state.fork_hooks.packages_folder)
    state.baseline = Baseline(workspace)
    sys.path.insert(0, "")
    sys.argv[:] = [""]


def _current_stdin() -> Any:
    return sys.stdin

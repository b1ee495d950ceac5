"""Owns asking the runner to install packages: `%pip install` of an execution, and what a checkpoint brings back."""

from __future__ import annotations

import os
import sys

from .answers import Waiter
from .guard import interruptible
from .library import LIBRARY
from .packages import list_requirements, name_of, top_level_modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .messages import InstallAnswer
    from .session_state import SessionState

MAX_ARGUMENTS = 200
MAX_ARGUMENTS_CHARS = 32768


class PackageError(Exception):
    """A package that could not be installed."""

    __module__ = "builtins"


class PackageCalls:
    """Installs packages while an execution runs. pip itself runs in a process that the keeper starts."""

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def install(self, arguments: list[str]) -> None:
        """Run `pip install` with some arguments; PackageError if it fails. The packages can be imported afterwards."""
        if len(arguments) > MAX_ARGUMENTS or sum(map(len, arguments)) > MAX_ARGUMENTS_CHARS:
            raise PackageError("The command is too long; name fewer packages at a time, or a file with -r.")
        folder = self._state.baseline.packages_folder
        before = set(list_requirements(folder))
        answer = self._ask(arguments)
        if answer is None or answer["status"] != "ok":
            raise PackageError("The installation ended with its execution." if answer is None else answer["detail"])
        adopt_new_packages(folder)
        _tell_replaced(folder, before)

    def _ask(self, arguments: list[str]) -> InstallAnswer | None:
        output, answers = self._state.output, self._state.answers
        execution_id = self._state.prompts.execution_id
        if execution_id is None or not output.is_open:
            raise PackageError("Packages can be installed only while an execution runs.")
        install_id = os.urandom(8).hex()
        message: dict[str, Any] = {"execution_id": execution_id, "install_id": install_id}
        waiter = Waiter()
        answers.expect(install_id, waiter)
        try:
            output.send_message({"type": "install", "arguments": arguments, "cwd": os.getcwd(), **message})
            answers.wait(waiter)
        except BaseException:
            if output.is_open:
                output.send_message({"type": "install_cancel", **message})
            raise
        finally:
            answers.forget(install_id)
        return waiter.answer


def bring_back(state: SessionState, requirements: list[str]) -> list[dict[str, str]]:
    """Install what a checkpoint had and the session lacks, between executions; returns an entry for each that failed."""
    folder = state.baseline.packages_folder
    wanted = [each for each in requirements if each not in set(list_requirements(folder))]
    if not wanted:
        return []
    answer = _reinstall(state, wanted)
    failed = {} if answer["status"] == "ok" else dict.fromkeys(wanted, answer["detail"])
    if answer["status"] == "failed" and len(wanted) > 1:
        # One package that is gone must not keep the others away.
        for each in wanted:
            answer = _reinstall(state, [each])
            if answer["status"] == "ok":
                del failed[each]
                continue
            failed[each] = answer["detail"]
            if answer["status"] != "failed":
                break
    adopt_new_packages(folder)
    return [{"name": each, "type": "package", "reason": failed[each][:500]} for each in failed]


def _reinstall(state: SessionState, requirements: list[str]) -> InstallAnswer:
    install_id = os.urandom(8).hex()
    state.say({"type": "reinstall", "install_id": install_id, "requirements": requirements})
    answer: InstallAnswer = state.connection.receive_message()
    return answer


@interruptible
def adopt_new_packages(folder: str) -> None:
    """Let this process see what was installed, also through `.pth` files."""
    LIBRARY.load("importlib").invalidate_caches()
    try:
        has_paths = any(entry.endswith(".pth") for entry in os.listdir(folder))
    except OSError:
        return
    if has_paths:
        LIBRARY.load("site").addsitedir(folder, {*map(os.path.abspath, sys.path)})


def _tell_replaced(folder: str, before: set[str]) -> None:
    """Name the modules that are imported already and whose package has another version now."""
    names = {name_of(each) for each in before}
    changed = [each for each in list_requirements(folder) if each not in before]
    replaced = [each for each in changed if name_of(each) in names]
    # A package of the environment may have been imported as well.
    loaded = sorted(
        name
        for name in top_level_modules(folder, changed)
        if name in sys.modules and (replaced or not _is_from(sys.modules[name], folder))
    )
    if loaded:
        print(f"Note: {', '.join(loaded)} was imported before. Reset the session to use the new version.")


def _is_from(module: Any, folder: str) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.startswith(folder)

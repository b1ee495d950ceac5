"""Owns the state of a session besides its names: working directory, environment, module path, random state."""

from __future__ import annotations

import os
import sys

from ..library import LIBRARY
from ..packages import packages_folder
from .blob_format import Meta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RANDOM_STATE = "random.getstate()"
NUMPY_STATE = "numpy.random.get_state()"


class Baseline:
    """The environment when the first live process began; checkpoints hold the differences from it."""

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.environ = dict(os.environ)
        self.packages_folder = packages_folder()
        self._of_session: frozenset[str] = frozenset()

    def apply_session(self, values: dict[str, str | None]) -> None:
        """Set the variables that the client keeps for the session; None removes one. They are in no checkpoint."""
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            elif os.environ.get(name) != value:
                os.environ[name] = value
        self._of_session = frozenset(values)

    def describe(self) -> Meta:
        """Return the state to restore, as JSON."""
        environ = {key: value for key, value in os.environ.items() if key not in self._of_session}
        try:
            cwd = os.getcwd()
        except OSError:
            cwd = self.workspace
        return {
            "cwd": os.path.relpath(cwd, self.workspace) if _is_below(cwd, self.workspace) else cwd,
            "path": [entry for entry in sys.path if type(entry) is str],
            "environ": {key: value for key, value in environ.items() if self.environ.get(key) != value},
            "environ_removed": [key for key in self.environ if key not in os.environ],
            "recursion_limit": sys.getrecursionlimit(),
        }

    def restore(self, meta: Meta) -> list[dict[str, str]]:
        """Restore the state; returns an entry for each part that could not be restored."""
        missing: list[dict[str, str]] = []
        for key in meta.get("environ_removed", []):
            os.environ.pop(key, None)
        os.environ.update({str(key): str(value) for key, value in meta.get("environ", {}).items()})
        path = meta.get("path", [])
        sys.path[:] = [str(entry) for entry in path] + [entry for entry in sys.path if entry not in path]
        limit = meta.get("recursion_limit")
        if isinstance(limit, int) and limit > sys.getrecursionlimit():
            sys.setrecursionlimit(limit)
        cwd = os.path.join(self.workspace, str(meta.get("cwd", "")))
        try:
            os.chdir(os.path.normpath(cwd))
        except OSError as error:
            missing.append({"name": "os.getcwd()", "type": "str", "reason": str(error)[:500]})
        return missing


def random_states() -> dict[str, Any]:
    """Return the states of the random generators that are loaded, under their pseudo-names."""
    states: dict[str, Any] = {}
    random: Any = LIBRARY.loaded("random")
    if random is not None:
        states[RANDOM_STATE] = random.getstate()
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        states[NUMPY_STATE] = numpy_random.get_state(legacy=False)
    return states


def restore_random_state(name: str, state: Any) -> None:
    """Set one generator's state."""
    if name == RANDOM_STATE:
        LIBRARY.load("random").setstate(state)
    elif name == NUMPY_STATE:
        LIBRARY.import_for_user("numpy.random").set_state(state)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)

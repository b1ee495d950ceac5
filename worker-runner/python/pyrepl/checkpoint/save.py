"""Owns writing a checkpoint blob of a frozen session, in a process forked for that purpose."""

from __future__ import annotations

import builtins
import gc
import os
import sys
import types

from ..library import LIBRARY
from ..packages import list_requirements
from ..wire import KIND_BLOB, connect, to_json
from .blob_writer import BlobWriter
from .graph import group_names
from .groups import Skipped, write_group
from .names import LAST_VALUE, OWN_NAMES
from .pickling import Picklers
from .surroundings import random_states
from .workspace import write_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..messages import Serialize
    from ..session_state import SessionState


_RECURSION_LIMIT = 10000
_MAX_SKIPPED = 1000
_SOURCE_CHARS = 1 << 20


def serialize(state: SessionState, message: Serialize) -> None:
    """Write the blob to a connection of its own, then send `serialized`, or `serialize_failed`."""
    gc.disable()
    _mend_builtins()
    LIBRARY.show_all()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))
    state.ring.register(os.getpid())
    connection = connect(state.channel_path)
    connection.send_message({"type": "hello", "role": "serializer", "token": message["token"], "pid": os.getpid()})
    blob = BlobWriter(lambda piece: connection.send(KIND_BLOB, piece), message["max_blob_bytes"])
    try:
        skipped = _write(state, blob, message["max_workspace_bytes"])
        sha256 = blob.finish()
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"[:500]
        connection.send_message({"type": "serialize_failed", "id": message["id"], "detail": detail})
        return
    connection.send(KIND_BLOB, b"")
    connection.send_message(
        {
            "type": "serialized",
            "id": message["id"],
            "skipped": skipped[:_MAX_SKIPPED],
            "size": blob.size,
            "sha256": sha256,
            "packages": list_requirements(state.baseline.packages_folder),
        }
    )


def _mend_builtins() -> None:
    """Restore the builtins that user code replaced: the libraries used here rely on them, and user code no longer runs here."""
    own: Any = globals()["__builtins__"]
    for name, value in (own if isinstance(own, dict) else vars(own)).items():
        if name != "input":
            setattr(builtins, name, value)


def _write(state: SessionState, blob: BlobWriter, max_workspace_bytes: int) -> list[Skipped]:
    executor = state.executor
    picklers = Picklers(state.namespace, state.main_module, state.streams)
    blob.write_header({"executions": executor.count})
    skipped = write_files(blob, state.baseline.workspace, max_workspace_bytes)
    blob.write_section(b"E", {}, to_json(state.baseline.describe()).encode("ascii"))
    blob.write_section(
        b"R", {}, to_json({"requirements": list_requirements(state.baseline.packages_folder)}).encode("ascii")
    )
    sources = {"future": executor.book.future, "sources": executor.book.export(_SOURCE_CHARS)}
    blob.write_section(b"S", {}, to_json(sources).encode("ascii"))
    values = {name: value for name, value in state.namespace.items() if type(name) is str and name not in OWN_NAMES}
    _write_ties(blob, picklers, values)
    last_value = vars(builtins).get("_")
    if last_value is not None:
        values[LAST_VALUE] = last_value
    values.update(random_states())
    for names in group_names(values, set(picklers.elsewhere), picklers.is_elsewhere):
        skipped.extend(write_group(blob, picklers, values, names))
    return [entry for entry in skipped if entry["name"] != LAST_VALUE]


def _write_ties(blob: BlobWriter, picklers: Picklers, values: dict[str, Any]) -> None:
    """Write the names of modules and of the namespace itself, and remove them from `values`."""
    modules: dict[str, str] = {}
    for name, value in list(values.items()):
        if type(value) is types.ModuleType and sys.modules.get(value.__name__) is value:
            modules[name] = value.__name__
            del values[name]
        elif value is picklers.namespace:
            modules[name] = ""
            del values[name]
    blob.write_section(b"M", {}, to_json(modules).encode("ascii"))

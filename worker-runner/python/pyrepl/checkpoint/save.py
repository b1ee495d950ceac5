"""Owns making a checkpoint blob of a frozen session, in a process forked for that."""

from __future__ import annotations

import builtins
import gc
import os
import sys
import types

from ..wire import KIND_BLOB, Connection, Message, to_json
from .blob import BlobWriter
from .graph import group_names
from .groups import Skipped, write_group
from .pickling import Picklers
from .surroundings import random_states
from .workspace import write_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..live import Live


LAST_VALUE = "builtins._"
_OWN_NAMES = frozenset(("__builtins__", "__name__", "__doc__", "__package__", "__loader__", "__spec__"))
_RECURSION_LIMIT = 10000
_MAX_SKIPPED = 1000
_SOURCE_CHARS = 1 << 20


def serialize(live: Live, message: Message) -> None:
    """Write the blob to a connection of its own, and say what is in it."""
    gc.disable()
    _mend_builtins()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))
    live.ring.enrol(os.getpid())
    connection = Connection(live.channel_path)
    connection.send_message({"type": "hello", "role": "serializer", "token": message["token"], "pid": os.getpid()})
    blob = BlobWriter(lambda piece: connection.send(KIND_BLOB, piece), int(message["max_blob_bytes"]))
    try:
        skipped = _write(live, blob, int(message["max_workspace_bytes"]))
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
        }
    )


def _mend_builtins() -> None:
    """Undo what user code did to builtins, for the libraries that work here; this process ends with the checkpoint."""
    own: Any = globals()["__builtins__"]
    for name, value in (own if isinstance(own, dict) else vars(own)).items():
        if name != "input":
            setattr(builtins, name, value)


def _write(live: Live, blob: BlobWriter, max_workspace_bytes: int) -> list[Skipped]:
    main_module, executor = live.main_module, live.executor
    assert main_module is not None and executor is not None
    picklers = Picklers(live.namespace, main_module, live.streams)
    blob.write_header({"executions": executor.count})
    skipped = write_files(blob, live.baseline.workspace, max_workspace_bytes)
    blob.write_section(b"E", {}, to_json(live.baseline.describe()).encode("ascii"))
    sources = {"future": executor.book.future, "sources": executor.book.export(_SOURCE_CHARS)}
    blob.write_section(b"S", {}, to_json(sources).encode("ascii"))
    values = {name: value for name, value in live.namespace.items() if type(name) is str and name not in _OWN_NAMES}
    _write_ties(blob, picklers, values)
    last_value = vars(builtins).get("_")
    if last_value is not None:
        values[LAST_VALUE] = last_value
    values.update(random_states())
    for names in group_names(values, set(picklers.elsewhere), picklers.is_elsewhere):
        skipped.extend(write_group(blob, picklers, values, names))
    return [entry for entry in skipped if entry["name"] != LAST_VALUE]


def _write_ties(blob: BlobWriter, picklers: Picklers, values: dict[str, Any]) -> None:
    """Write, and take out of `values`, the names of modules and of the namespace itself."""
    modules: dict[str, str] = {}
    for name, value in list(values.items()):
        if type(value) is types.ModuleType and sys.modules.get(value.__name__) is value:
            modules[name] = value.__name__
            del values[name]
        elif value is picklers.namespace:
            modules[name] = ""
            del values[name]
    blob.write_section(b"M", {}, to_json(modules).encode("ascii"))

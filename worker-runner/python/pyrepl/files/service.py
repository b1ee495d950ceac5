"""Owns one call on the files of the workspace: which request of the runner goes to which part, and its answer."""

from __future__ import annotations

import os

from ..messages import refuse_unknown
from ..wire import KIND_BLOB, KIND_JSON, ConnectionEnded, connect, parse_message
from . import listing, tree
from .changes import Watch
from .content import PIECE_BYTES, Staged, check_target, open_file
from .entry import etag_of
from .place import Workspace
from .refusal import Refused, refusal_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..messages import CommitFiles, FilesRequest, ReadFile, WriteFile
    from ..wire import Connection

_MAX_STAGED = 256


def serve(channel_path: str, token: str, workspace: str) -> None:
    """Say hello and obey the runner until the connection ends."""
    connection = connect(channel_path)
    connection.send_message({"type": "hello", "role": "files", "token": token, "pid": os.getpid()})
    service = _Service(connection, Workspace(workspace))
    try:
        while True:
            service.serve_one()
    except ConnectionEnded:
        service.discard()


class _Service:
    def __init__(self, connection: Connection, workspace: Workspace) -> None:
        self._connection = connection
        self._workspace = workspace
        self._staged: list[Staged] = []
        self._watch: Watch | None = None

    def serve_one(self) -> None:
        """Answer one request. After a refusal nothing more is obeyed: the rest of a content may be on its way."""
        message: FilesRequest = self._connection.receive_message()
        try:
            self._obey(message)
        except Refused as refused:
            self._refuse(refused)
        except OSError as error:
            self._refuse(refusal_of(error))

    def discard(self) -> None:
        """Give up the content that was not put in its place."""
        for staged in self._staged:
            staged.discard()

    def _obey(self, message: FilesRequest) -> None:
        workspace = self._workspace
        if message["type"] == "list_files":
            self._say("listed", listing.list_folder(workspace, message["path"], recursive=message["recursive"]))
        elif message["type"] == "read_file":
            self._read(message)
        elif message["type"] == "write_file":
            self._write(message)
        elif message["type"] == "commit_files":
            self._commit(message)
        elif message["type"] == "delete_file":
            tree.delete(workspace, message["path"], recursive=message["recursive"])
            self._say("deleted", {})
        elif message["type"] == "move_file":
            self._say("entry", {"entry": tree.move(workspace, message["from"], message["to"]), "is_new": False})
        elif message["type"] == "make_folder":
            entry, is_new = tree.make_folder(workspace, message["path"])
            self._say("entry", {"entry": entry, "is_new": is_new})
        elif message["type"] == "watch_files":
            self._watch = Watch(workspace)
            self._say("watching", {})
        elif message["type"] == "report_files":
            if self._watch is None:
                raise Refused("runner_error", "Nothing is watched.")
            self._say("changed", self._watch.report())
        else:
            refuse_unknown(message)

    def _read(self, message: ReadFile) -> None:
        """Describe the file; then send the part of it that the runner asks for."""
        descriptor, path, details = open_file(self._workspace, message["path"])
        self._say(
            "opened",
            {
                "path": path,
                "size": details.st_size,
                "etag": etag_of(details),
                "modified_at": max(0.0, details.st_mtime_ns / 1e9),
            },
        )
        order = self._connection.receive_message()
        at, end = int(order["start"]), min(int(order["end"]), details.st_size)
        while at < end:
            piece = os.pread(descriptor, min(PIECE_BYTES, end - at), at)
            if not piece:
                raise Refused("runner_error", "The file became shorter while it was read.")
            self._connection.send(KIND_BLOB, piece)
            at += len(piece)
        self._connection.send(KIND_BLOB, b"")

    def _write(self, message: WriteFile) -> None:
        """Stage the content that follows."""
        path, folder = message["path"], message["folder"]
        if len(self._staged) >= _MAX_STAGED:
            raise Refused("invalid_request", f"One call takes at most {_MAX_STAGED} files.")
        check_target(self._workspace, path, folder, message)
        staged = Staged(self._workspace, path, message.get("size"), folder)
        self._staged.append(staged)
        while True:
            kind, piece = self._connection.receive()
            if kind != KIND_BLOB:
                raise ConnectionEnded
            if not piece:
                break
            staged.write(piece)
        self._say("staged", {"size": staged.size})

    def _commit(self, message: CommitFiles) -> None:
        staged, self._staged = self._staged, []
        written: list[dict[str, Any]] = []
        try:
            for one in staged:
                written.append(one.commit(message["folder"], message))
        finally:
            for one in staged:
                one.discard()
        self._say("written", {"files": written})

    def _say(self, kind: str, fields: dict[str, Any]) -> None:
        self._connection.send_message({"type": kind, **fields})

    def _refuse(self, refused: Refused) -> None:
        """Say why, and take no more; the runner reads the refusal before it closes the connection."""
        self.discard()
        self._say("file_refused", {"code": refused.code, "detail": refused.detail})
        while True:
            kind, payload = self._connection.receive()
            if kind == KIND_JSON:
                parse_message(kind, payload)

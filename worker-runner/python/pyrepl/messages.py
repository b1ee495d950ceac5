"""Owns the shapes of the channel's JSON messages (docs/channel.md) for the type checker, and the error for an unknown one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal, Never, NoReturn, NotRequired, TypeAlias, TypedDict

    # From the runner.

    class Spawn(TypedDict):
        """Fork a live process; a snapshot also leaves a copy that waits with `snapshot_token`."""

        type: Literal["spawn"]
        token: str
        snapshot_token: NotRequired[str]

    class Signal(TypedDict):
        """Send a signal to a process of the session."""

        type: Literal["signal"]
        id: str
        pid: int
        signal: int

    class Sweep(TypedDict):
        """Kill every other process of the sandbox except `keep`."""

        type: Literal["sweep"]
        id: str
        keep: list[int]

    class SpawnFiles(TypedDict):
        """Fork a process that makes one call on the files of the workspace."""

        type: Literal["spawn_files"]
        id: str
        token: str

    class Interrupts(TypedDict):
        """Tell how many interrupts the running code has noticed."""

        type: Literal["interrupts"]
        id: str

    class Execute(TypedDict):
        """Run code."""

        type: Literal["execute"]
        execution_id: str
        code: str
        tools: NotRequired[list[ToolDefinition]]
        max_tool_calls: NotRequired[int]
        max_parallel_tool_calls: NotRequired[int]
        env: NotRequired[dict[str, str | None]]

    class ToolDefinition(TypedDict):
        """A tool of the client."""

        name: str
        python_name: str
        description: NotRequired[str]
        input_schema: NotRequired[dict[str, Any]]
        output_schema: NotRequired[dict[str, Any] | bool]
        timeout: float
        inject: bool

    class ToolAnswer(TypedDict):
        """The outcome of `tool_call`."""

        type: Literal["tool_answer"]
        call_id: str
        status: Literal["ok", "error", "timed_out", "cancelled"]
        value: NotRequired[Any]
        error: NotRequired[dict[str, Any]]

    class Install(TypedDict):
        """Start the installer, which gets the rest of the request."""

        type: Literal["install"]
        id: str
        request: dict[str, Any]

    class InstallAnswer(TypedDict):
        """The outcome of `install` or `reinstall`."""

        type: Literal["install_answer"]
        install_id: str
        status: Literal["ok", "failed", "unavailable", "disabled"]
        detail: str

    class InputResponse(TypedDict):
        """The client's answer to `input`."""

        type: Literal["input_response"]
        input_id: str
        value: str | None

    class TakeSnapshot(TypedDict):
        """Fork a snapshot, after killing the snapshots in `drop`."""

        type: Literal["snapshot"]
        id: str
        token: str
        drop: NotRequired[list[int]]
        max_resident_bytes: NotRequired[int]
        is_resting: NotRequired[bool]

    class Reap(TypedDict):
        """Kill snapshots, and tell which have ended."""

        type: Literal["reap"]
        id: str
        drop: NotRequired[list[int]]

    class Complete(TypedDict):
        """Find completions at the cursor."""

        type: Literal["complete"]
        id: str
        code: str
        cursor: int

    class IsComplete(TypedDict):
        """Tell whether code is complete."""

        type: Literal["is_complete"]
        id: str
        code: str

    class Variables(TypedDict):
        """List the user's variables."""

        type: Literal["variables"]
        id: str

    class Load(TypedDict):
        """Load the checkpoint blob whose frames follow."""

        type: Literal["load"]
        id: str
        clear_existing: NotRequired[bool]

    class Serialize(TypedDict):
        """Write a checkpoint blob."""

        type: Literal["serialize"]
        id: str
        token: str
        max_blob_bytes: int
        max_workspace_bytes: int

    class Exit(TypedDict):
        """End this process."""

        type: Literal["exit"]

    class ListFiles(TypedDict):
        """List a folder of the workspace."""

        type: Literal["list_files"]
        path: str
        recursive: bool

    class ReadFile(TypedDict):
        """Open a file; the next message asks for a part of it."""

        type: Literal["read_file"]
        path: str

    class Condition(TypedDict):
        """The condition for replacing a file."""

        if_match: NotRequired[list[str] | Literal["*"]]
        if_none_match: NotRequired[list[str] | Literal["*"]]

    class WriteFile(Condition):
        """Stage the content that follows, for a path below `folder`, or of the workspace if that is null."""

        type: Literal["write_file"]
        path: str
        folder: str | None
        size: NotRequired[int]

    class CommitFiles(Condition):
        """Put everything that was staged in its place."""

        type: Literal["commit_files"]
        folder: str | None

    class DeleteFile(TypedDict):
        """Delete a file or folder."""

        type: Literal["delete_file"]
        path: str
        recursive: bool

    MoveFile = TypedDict("MoveFile", {"type": Literal["move_file"], "from": str, "to": str})
    """Move or rename a file or folder."""

    class MakeFolder(TypedDict):
        """Make a folder and those above it."""

        type: Literal["make_folder"]
        path: str

    class WatchFiles(TypedDict):
        """Remember the files as they are."""

        type: Literal["watch_files"]

    class ReportFiles(TypedDict):
        """Tell which files have changed since."""

        type: Literal["report_files"]

    FilesRequest: TypeAlias = (
        ListFiles | ReadFile | WriteFile | CommitFiles | DeleteFile | MoveFile | MakeFolder | WatchFiles | ReportFiles
    )
    KeeperRequest: TypeAlias = Spawn | SpawnFiles | Signal | Sweep | Interrupts | Install
    LiveRequest: TypeAlias = (
        Execute
        | InputResponse
        | ToolAnswer
        | InstallAnswer
        | TakeSnapshot
        | Reap
        | Complete
        | IsComplete
        | Variables
        | Load
        | Exit
    )
    SnapshotRequest: TypeAlias = Spawn | Serialize | Exit

    # To the runner.

    Message: TypeAlias = Mapping[str, Any]


class UnknownMessage(Exception):
    """The runner sent a message that this process does not know."""

    def __init__(self, message_type: object) -> None:
        super().__init__(message_type)
        self.message_type = message_type


def refuse_unknown(message: Never) -> NoReturn:
    """Raise UnknownMessage. The type checker reports an error here if a union gains a member that the caller does not handle."""
    found: Any = message
    raise UnknownMessage(found.get("type"))


def unsupported(error: UnknownMessage) -> Message:
    """Return the message that tells the runner which message was unknown."""
    return {"type": "unsupported", "message_type": str(error.message_type)[:100]}

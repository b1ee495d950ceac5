"""The client of PyREPL3: run Python in a session that lives on a server.

>>> from pyrepl3 import Client
>>> with Client("http://127.0.0.1:8787") as client:
...     client.run("sum(range(10))").value
45
"""

from .async_client import AsyncClient
from .async_run import AsyncRun
from .client import Client
from .errors import (
    ClientClosedError,
    ConnectionLostError,
    ExecutionFailedError,
    FailedError,
    ProtocolError,
    PyREPL3Error,
    RefusedError,
    ServiceError,
)
from .events import (
    AnyEvent,
    ClearOutput,
    Display,
    Event,
    ExecutionError,
    InputRequest,
    Output,
    OutputTruncated,
    Result,
    ToolCall,
    ToolDone,
    UnknownEvent,
)
from .outcome import FileChange, Outcome
from .run import Run
from .seed_client import PyREPL3Client
from .tool_box import Tool
from .transport import ConnectionOptions

__all__ = [
    "AnyEvent",
    "AsyncClient",
    "AsyncRun",
    "ClearOutput",
    "Client",
    "ClientClosedError",
    "ConnectionLostError",
    "ConnectionOptions",
    "Display",
    "Event",
    "ExecutionError",
    "ExecutionFailedError",
    "FailedError",
    "FileChange",
    "InputRequest",
    "Outcome",
    "Output",
    "OutputTruncated",
    "ProtocolError",
    "PyREPL3Client",
    "PyREPL3Error",
    "RefusedError",
    "Result",
    "Run",
    "ServiceError",
    "Tool",
    "ToolCall",
    "ToolDone",
    "UnknownEvent",
]

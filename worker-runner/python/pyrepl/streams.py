"""Owns the objects that user code sees as sys.stdout, sys.stderr and sys.stdin."""

from __future__ import annotations

import io
from functools import partial

from .output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class _BinaryOutput(io.BufferedIOBase):
    """The `buffer` of an output stream: bytes are decoded as UTF-8 and then written as text."""

    def __init__(self, stream: OutputStream, descriptor: int) -> None:
        self._stream = stream
        self._descriptor = descriptor

    @property
    def name(self) -> str:
        return self._stream.name

    @property
    def mode(self) -> str:
        return "wb"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        """Write bytes."""
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        raw = bytes(memoryview(data))
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("utf-8", "surrogateescape")
        self._stream.write(text)
        return len(raw)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self.flush()


class OutputStream(io.TextIOBase):
    """sys.stdout or sys.stderr. `write` is an attribute of the object, which saves one call for every print."""

    encoding = "utf-8"
    errors = "surrogateescape"
    line_buffering = True
    write_through = False
    mode = "w"

    def __init__(self, output: Output, descriptor: int) -> None:
        self.name: str = "<stdout>" if descriptor == 1 else "<stderr>"
        self._output = output
        self._descriptor = descriptor
        self.write = partial(output.write, descriptor)  # pyright: ignore[reportIncompatibleMethodOverride]
        self.flush = output.flush  # pyright: ignore[reportIncompatibleMethodOverride]
        self.buffer = _BinaryOutput(self, descriptor)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def reconfigure(self, **_options: Any) -> None:
        """Accept the options of TextIOWrapper and ignore them: the stream is always UTF-8 and line buffered."""
        self.flush()

    def close(self) -> None:
        self.flush()

    def __repr__(self) -> str:
        return f"<OutputStream name={self.name!r} encoding='utf-8'>"


class _BinaryInput(io.BufferedIOBase):
    """The `buffer` of sys.stdin."""

    def __init__(self, stream: InputStream) -> None:
        self._stream = stream
        self._held = b""

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        if not self._held:
            self._held = self._stream.readline().encode("utf-8", "surrogateescape")
        return self._take(size)

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        if size is None or size < 0:
            rest = self._held + self._stream.read().encode("utf-8", "surrogateescape")
            self._held = b""
            return rest
        while len(self._held) < size:
            line = self._stream.readline()
            if not line:
                break
            self._held += line.encode("utf-8", "surrogateescape")
        return self._take(size)

    def read1(self, size: int = -1) -> bytes:
        return self.readline(size)

    def _take(self, size: int | None) -> bytes:
        end = len(self._held) if size is None or size < 0 else size
        taken, self._held = self._held[:end], self._held[end:]
        return taken


class InputStream(io.TextIOBase):
    """sys.stdin: each line is an `input` question to the client."""

    encoding = "utf-8"
    errors = "surrogateescape"
    mode = "r"
    name = "<stdin>"

    def __init__(self, ask: Callable[[str, bool], str | None]) -> None:
        self._ask = ask
        self._held = ""
        self.buffer = _BinaryInput(self)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def isatty(self) -> bool:
        return False

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
        """Return one line with its line end, or an empty string at the end of input."""
        if not self._held:
            answer = self._ask("", False)
            if answer is None:
                return ""
            self._held = answer if answer.endswith("\n") else answer + "\n"
        end = self._held.find("\n") + 1
        if size is not None and 0 <= size < end:
            end = size
        line, self._held = self._held[:end], self._held[end:]
        return line

    def read(self, size: int | None = -1) -> str:  # type: ignore[override]
        """Return `size` characters, or everything up to the end of input."""
        pieces: list[str] = []
        wanted = -1 if size is None else size
        while wanted != 0:
            line = self.readline(wanted)
            if not line:
                break
            pieces.append(line)
            if wanted > 0:
                wanted -= len(line)
        return "".join(pieces)

    def reconfigure(self, **_options: Any) -> None:
        """Accept the options of TextIOWrapper and ignore them."""

    def close(self) -> None:
        """Stay open: `exit()` closes sys.stdin, but the session continues."""

    def __repr__(self) -> str:
        return "<InputStream name='<stdin>' encoding='utf-8'>"

"""Owns Python text that is written straight to fd 1 and 2 instead of the channel."""

from __future__ import annotations

import os

_write = os.write


class PlainOutput:
    """Text straight to fd 1 and 2: between executions, and in processes that user code forked."""

    __slots__ = ("_held", "is_line_buffered")

    def __init__(self) -> None:
        self.is_line_buffered = False
        self._held = ["", "", ""]

    def write(self, stream: int, text: str) -> int:
        """Write `text`; if line buffered, hold it until a line ends."""
        if self.is_line_buffered:
            self._held[stream] += text
            if "\n" in text:
                self.flush()
        else:
            self._write_through(stream, text)
        return len(text)

    def flush(self) -> None:
        """Write the text that is held."""
        for stream in (1, 2):
            held, self._held[stream] = self._held[stream], ""
            if held:
                self._write_through(stream, held)

    @staticmethod
    def _write_through(stream: int, text: str) -> None:
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode("utf-8", "surrogatepass")
        view = memoryview(data)
        while view:
            view = view[_write(stream, view) :]


def as_plain_text(text: object) -> str:
    """Return the text of a str subclass without running its methods; TypeError for anything else."""
    if not isinstance(text, str):
        raise TypeError(f"write() argument must be str, not {type(text).__name__}")
    return str.__str__(text)

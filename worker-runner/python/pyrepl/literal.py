"""Owns deciding whether a place in unfinished Python source is inside a string or a comment, where no names are completed."""

from __future__ import annotations

from .library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A comment, an opening quote with its prefix, or one bracket that counts inside the fields of an f-string.
_NEXT = r"#[^\n]*|(?i:\b(?P<prefix>[rbuft]{1,3}))?(?P<quote>\'\'\'|\"\"\"|\'|\")|[{}]"


def is_in_text(before: str) -> bool:
    """Say whether the end of `before` is inside a string or a comment. The field of an f-string is code."""
    re = LIBRARY.load("re")
    pattern = re.compile(_NEXT)
    # Of each f-string whose field is open: its quote, and how many brackets are open in the field.
    fields: list[tuple[str, int]] = []
    at = 0
    while True:
        found: Any = pattern.search(before, at)
        if found is None:
            return False
        at = found.end()
        text = found.group()
        if text.startswith("#"):
            if at == len(before):
                return True
        elif text == "{":
            if fields:
                quote, depth = fields[-1]
                fields[-1] = quote, depth + 1
        elif text == "}":
            if fields:
                quote, depth = fields.pop()
                if depth > 1:
                    fields.append((quote, depth - 1))
                else:
                    ended, at = _skip_text(before, at, quote, is_formatted=True)
                    if ended == "open":
                        return True
                    if ended == "field":
                        fields.append((quote, 1))
        else:
            prefix = (found["prefix"] or "").lower()
            is_formatted = "f" in prefix or "t" in prefix
            ended, at = _skip_text(before, at, found["quote"], is_formatted=is_formatted)
            if ended == "open":
                return True
            if ended == "field":
                fields.append((found["quote"], 1))


def _skip_text(before: str, at: int, quote: str, *, is_formatted: bool) -> tuple[str, int]:
    """Return how the text of a string goes on from `at`: `closed`, `open` at the end, or `field`; and the place behind that."""
    while at < len(before):
        if before[at] == "\\":
            at += 2
        elif before.startswith(quote, at):
            return "closed", at + len(quote)
        elif before[at] == "\n" and len(quote) == 1:
            return "closed", at
        elif is_formatted and before[at] == "{":
            if not before.startswith("{{", at):
                return "field", at + 1
            at += 2
        else:
            at += 1
    return "open", at

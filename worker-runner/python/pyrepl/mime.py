"""Owns turning a value into a MIME bundle by the `_repr_*_` methods that notebooks know."""

from __future__ import annotations

import binascii
import sys
from io import BytesIO

from .guard import interruptible
from .library import LIBRARY
from .values import bounded_repr, json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

MAX_ITEM_CHARS = 8 << 20
MAX_BUNDLE_CHARS = 24 << 20
MAX_BUNDLE_ITEMS = 1000

_METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_pdf_", "application/pdf"),
    ("_repr_latex_", "text/latex"),
    ("_repr_json_", "application/json"),
    ("_repr_javascript_", "application/javascript"),
)
_NAMES = frozenset([name for name, _ in _METHODS] + ["_repr_mimebundle_"])
_mro_of = type.__dict__["__mro__"].__get__
_dict_of = type.__dict__["__dict__"].__get__
_b64encode = binascii.b2a_base64

Bundle: TypeAlias = "tuple[dict[str, str], dict[str, Any]]"


def rich_bundle(value: Any) -> Bundle | None:
    """Return MIME items and metadata of a value whose class has `_repr_*_` methods, None for any other.

    Runs user code under the guard; a method that raises is left out.
    """
    found = _methods_of(type(value))
    if not found and not _is_figure(value):
        return None
    items: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if "_repr_mimebundle_" in found:
        _add_bundle(call_quietly(value._repr_mimebundle_, include=None, exclude=None), items, metadata)
    for name, media_type in _METHODS:
        if name in found and media_type not in items:
            _add_item(call_quietly(getattr, value, name), media_type, items, metadata)
    if not items and _is_figure(value):
        items["image/png"] = call_quietly(_figure_png, value)
    packed = pack(items)
    if not packed:
        return None
    packed.setdefault("text/plain", bounded_repr(value))
    return packed, plain_json(metadata)


def pack(items: dict[Any, Any]) -> dict[str, str]:
    """Return the items as text, binary ones in base64, JSON ones as JSON text. An item that is too large becomes a note."""
    packed: dict[str, str] = {}
    left = MAX_BUNDLE_CHARS
    for media_type, content in items.items():
        if len(packed) == MAX_BUNDLE_ITEMS:
            break
        text = _as_text(content)
        if type(media_type) is not str or text is None:
            continue
        if len(text) > min(left, MAX_ITEM_CHARS):
            packed.setdefault("text/plain", f"[{media_type}: {len(text)} characters, more than the limit]")
            continue
        left -= len(text)
        packed[media_type] = text
    return packed


def plain_json(metadata: Any) -> dict[str, Any]:
    """Return metadata as plain JSON; empty if JSON cannot hold it or it is nested too deep."""
    try:
        json = LIBRARY.load("json")
        text = json.dumps(metadata, allow_nan=False)
        copy = json.loads(text) if len(text) <= 65536 else {}
    except Exception:
        return {}
    return copy if isinstance(copy, dict) and json_text(copy) is not None else {}


def call_quietly(function: Any, *arguments: Any, **options: Any) -> Any:
    """Call user code; None if it raises an Exception."""
    try:
        return _call(function, arguments, options)
    except Exception:
        return None


@interruptible
def _call(function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return function(*arguments, **options)


def _methods_of(kind: type) -> Any:
    found = set()
    for base in _mro_of(kind)[:-1]:
        found |= _NAMES & _dict_of(base).keys()
    return found


def _add_bundle(result: Any, items: dict[str, Any], metadata: dict[str, Any]) -> None:
    if isinstance(result, tuple) and len(result) == 2:
        result, extra = result
        if isinstance(extra, dict):
            metadata.update(extra)
    if isinstance(result, dict):
        items.update(result)


def _add_item(method: Any, media_type: str, items: dict[str, Any], metadata: dict[str, Any]) -> None:
    result = call_quietly(method) if method is not None else None
    if isinstance(result, tuple) and len(result) == 2:
        result, extra = result
        metadata[media_type] = extra
    if result is not None:
        items[media_type] = result


@interruptible
def _as_text(content: Any) -> str | None:
    if isinstance(content, str):
        return str.__str__(content)
    if isinstance(content, (bytes, bytearray, memoryview)):
        return _b64encode(bytes(content), newline=False).decode("ascii")
    try:
        return str(LIBRARY.load("json").dumps(content, allow_nan=False))
    except Exception:
        return None


def _is_figure(value: Any) -> bool:
    figures = sys.modules.get("matplotlib.figure")
    kind = getattr(figures, "Figure", None)
    return isinstance(kind, type) and issubclass(type(value), kind)


@interruptible
def _figure_png(figure: Any) -> bytes:
    target = BytesIO()
    figure.savefig(target, format="png", bbox_inches="tight")
    return target.getvalue()

"""An agent's tool: it runs the code that a language model wrote, and gives back text and images for the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List

from pyrepl3 import Client

_MAX_CHARS = 4000
_MAX_IMAGES = 4

# What a model is told of the tool.
RUN_CODE_TOOL: Dict[str, Any] = {
    "name": "run_code",
    "description": "Runs Python in a session that keeps its variables. Gives back the output, the last value and the figures.",
    "input_schema": {
        "type": "object",
        "properties": {"code": {"type": "string", "description": "Python code"}},
        "required": ["code"],
    },
}


@dataclass(frozen=True)
class CodeReport:
    """What a model gets; `images` are PNG in base64."""

    text: str
    images: List[str]


def _truncate(text: str) -> str:
    """Keep the beginning and the end, because errors stand at the end."""
    if len(text) <= _MAX_CHARS:
        return text
    half = _MAX_CHARS // 2
    return f"{text[:half]}\n[{len(text) - _MAX_CHARS} characters left out]\n{text[-half:]}"


def run_code(client: Client, code: str, timeout: float = 30) -> CodeReport:
    """Run code; code that fails leaves no trace in the session, so that the model can try again."""
    outcome = client.run(code, timeout=timeout, policy="rollback_on_failure")
    parts = [outcome.stdout, outcome.stderr, outcome.repr or "", outcome.error.traceback if outcome.error else ""]
    text = [part.rstrip() for part in parts if part.strip()]
    bundles = [*(display.mime for display in outcome.displays), outcome.mime]
    images = [mime["image/png"] for mime in bundles if "image/png" in mime]
    if len(images) > _MAX_IMAGES:
        text.append(f"[{len(images) - _MAX_IMAGES} images left out]")
    return CodeReport(_truncate("\n".join(text)) or "(no output)", images[:_MAX_IMAGES])

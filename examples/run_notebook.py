"""Runs a script of cells and writes what they print as Markdown; cells before the first changed one do not run again.

    python examples/run_notebook.py analysis.py report.md --url http://127.0.0.1:8787

A line that begins with `# %%` begins a cell. After each cell the state is saved as a checkpoint, under a name made of the
code up to there. The next run takes up the state of the last cell whose code is unchanged; the output of the cells before
comes from their executions.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
import uuid
from pathlib import Path
from typing import Dict, List, Optional

from pyrepl3 import Client, Outcome
from pyrepl3.records import Checkpoint


def split_cells(script: str) -> List[str]:
    r"""Return the code of each cell; empty ones are left out.

    >>> split_cells("a = 1\n# %% next\nb = 2\n")
    ['a = 1', 'b = 2']
    """
    return [cell.strip() for cell in re.split(r"^# %%.*$", script, flags=re.MULTILINE) if cell.strip()]


def run_cells(client: Client, cells: List[str]) -> List[Outcome]:
    """Run the cells up to the first that fails, and return their outcomes."""
    saved = {str(checkpoint.name).partition(".")[0]: checkpoint for checkpoint in client.checkpoints()}
    outcomes: List[Outcome] = []
    state: Optional[Checkpoint] = None
    is_unchanged = True
    for index, cell in enumerate(cells):
        key = hashlib.sha256("\0".join(cells[: index + 1]).encode()).hexdigest()[:32]
        if is_unchanged and key in saved:
            state = saved[key]
            outcomes.append(client.resume(str(state.name)).outcome())
            continue
        if is_unchanged:
            _go_back(client, state)
            is_unchanged = False
        outcome = client.run(cell, execution_id=f"{key}.{uuid.uuid4().hex}", timeout=300)
        outcomes.append(outcome)
        if outcome.error is not None:
            break
        client.checkpoint(outcome.execution_id)
    return outcomes


def _go_back(client: Client, state: Optional[Checkpoint]) -> None:
    if state is None:
        client.reset()
    else:
        client.restore(state.checkpoint_id)


def write_report(cells: List[str], outcomes: List[Outcome], path: Path) -> None:
    """Write code, output, values and figures; the figures are files beside the report."""
    lines: List[str] = []
    for number, (cell, outcome) in enumerate(zip(cells, outcomes), 1):
        lines += ["```python", cell, "```", ""]
        text = outcome.stdout + outcome.stderr + (outcome.error.traceback if outcome.error else outcome.repr or "")
        if text.strip():
            lines += ["```", text.rstrip(), "```", ""]
        bundles: List[Dict[str, str]] = [dict(display.mime) for display in outcome.displays] + [dict(outcome.mime)]
        for count, mime in enumerate(mime for mime in bundles if "image/png" in mime):
            figure = path.with_name(f"{path.stem}-{number}-{count + 1}.png")
            figure.write_bytes(base64.b64decode(mime["image/png"]))
            lines += [f"![]({figure.name})", ""]
    path.write_text("\n".join(lines))


def main() -> int:
    """Run the script of the command line; the result is the exit code."""
    parser = argparse.ArgumentParser(description="Run a script of cells and write a report.")
    parser.add_argument("script", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8787")
    parser.add_argument("--client-id", default="notebook")
    options = parser.parse_args()
    cells = split_cells(options.script.read_text())
    with Client(options.url, client_id=options.client_id, session=options.script.stem) as client:
        outcomes = run_cells(client, cells)
    write_report(cells, outcomes, options.report)
    return 0 if all(outcome.has_succeeded for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())

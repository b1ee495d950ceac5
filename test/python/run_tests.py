"""Runs every Python test in the folder of the first argument; writes the counts as JSON to the file of the second."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path

from needs import REASON_PREFIX


def main() -> int:
    """Run the tests; the result is the exit code."""
    folder = str(Path(sys.argv[1]).resolve())
    sys.path.insert(0, folder)
    suite = unittest.defaultTestLoader.discover(folder, top_level_dir=folder)
    result = unittest.TextTestRunner().run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    counts = {
        "passed": max(0, result.testsRun - failed - len(result.skipped)),
        "failed": failed,
        "skipped": [
            {
                "name": test.id(),
                "parts": [reason.removeprefix(REASON_PREFIX)] if reason.startswith(REASON_PREFIX) else [],
            }
            for test, reason in result.skipped
        ],
    }
    Path(sys.argv[2]).write_text(json.dumps(counts))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

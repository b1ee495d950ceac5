"""Measures the Python client for `npm run bench`: prints one line of JSON.

python bench_client.py URL ROUNDS BULK_CODE
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from pyrepl3 import Client, ConnectionOptions

_WINDOW_BYTES = 4 << 20


def main() -> None:
    """Run `1` again and again, then code with much output once."""
    url, rounds, bulk = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with Client(url, options=ConnectionOptions(window_bytes=_WINDOW_BYTES)) as client:
        for _ in range(50):
            client.run("1")
        samples: list[float] = []
        for _ in range(rounds):
            started = time.perf_counter()
            client.run("1")
            samples.append(time.perf_counter() - started)
        started = time.perf_counter()
        outcome = client.run(bulk, timeout=120).check()
        seconds = time.perf_counter() - started
        client.end(purge=True)
    print(
        json.dumps(
            {
                "p50_ms": statistics.median(samples) * 1000,
                "bulk_bytes": len(outcome.stdout),
                "bulk_ms": seconds * 1000,
            }
        )
    )


if __name__ == "__main__":
    main()

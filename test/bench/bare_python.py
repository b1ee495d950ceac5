"""The least that an interpreter can do: answer each line on standard input with one line, or write in bulk."""

import json
import sys

OUTPUT_BYTES = 65536


def main() -> None:
    """Answer until standard input ends: `{"code": …}` is run, `{"bulk": n}` writes n bytes first."""
    namespace: dict[str, object] = {}
    for line in sys.stdin:
        request = json.loads(line)
        for start in range(0, request.get("bulk", 0), OUTPUT_BYTES):
            text = "x" * min(OUTPUT_BYTES, request["bulk"] - start)
            sys.stdout.write(json.dumps({"type": "output", "data": {"data": text}}) + "\n")
        exec(request.get("code", ""), namespace)
        sys.stdout.write(json.dumps({"type": "result", "data": {"id": request.get("id"), "value": None}}) + "\n")
        sys.stdout.flush()


main()

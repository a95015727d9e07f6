"""Print the catalog with which tap-zendesk reads one stream: its own schema, selected.

    PEER_VENV/bin/python benchmarks/peer_tap_zendesk.py STREAM

`tap-zendesk --discover` would make the same, with requests about every stream.
"""

from __future__ import annotations

import json
import sys

from tap_zendesk.streams import STREAMS


def main(name: str) -> None:
    """Print it as JSON."""
    stream = STREAMS[name](None, {})
    metadata = stream.load_metadata()
    for entry in metadata:
        if not entry["breadcrumb"]:
            entry["metadata"]["selected"] = True
    entry = {"stream": name, "tap_stream_id": name, "schema": stream.load_schema(), "metadata": metadata}
    print(json.dumps({"streams": [entry]}))


if __name__ == "__main__":
    main(sys.argv[1])

"""What a user of zenpy writes to keep a stream: one loop over its generator, each object as a line of JSON.

    PEER_VENV/bin/python benchmarks/peer_zenpy.py URL STREAM START FOLDER

zenpy is a library: it stores nothing and remembers nothing, so a run that was killed starts from the beginning. It speaks to
https://SUBDOMAIN.zendesk.com; `peer_setup.py` leads that to the URL.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from zenpy import Zenpy

TOKEN = "benchmark-token"


def main(stream: str, start_time: int, folder: Path) -> None:
    """Read the stream from `start_time` (epoch seconds) to its end."""
    tickets = Zenpy(subdomain="acme", oauth_token=TOKEN).tickets
    read = tickets.events if stream == "ticket_events" else tickets.metrics_incremental
    with (folder / f"{stream}.jsonl").open("w") as file:
        for event in read(start_time=start_time):
            file.write(json.dumps(event.to_dict()) + "\n")


if __name__ == "__main__":
    main(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))

"""What a user of dlt writes to read a stream into Parquet: its `rest_api` source, declared as its documentation says.

    PEER_VENV/bin/python benchmarks/peer_dlt.py URL STREAM START FOLDER [--json-columns]

An incremental cursor over the stream's time, the id as primary key, pages by `next_page`. `merge` is what a user would ask for;
on files dlt can only append, and says so. The link alone never ends here (the last page has one too), so a paginator of the
user's own stops at `end_of_stream`, as small as it can be. By default dlt makes a table of each nested list; `--json-columns`
asks for a JSON column each instead (`max_table_nesting` 0), as this pipeline does. Everything else is dlt's default.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import dlt
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator
from dlt.sources.rest_api import rest_api_source
from requests import Response


class UntilEndOfStream(JSONLinkPaginator):
    """Follows `next_page` until `end_of_stream`."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Note the next page, if there is one."""
        page = response.json()
        self._next_reference = None if page["end_of_stream"] else page["next_page"]


def epoch(moment: str | int) -> int:
    """Epoch seconds of what the cursor holds."""
    return moment if isinstance(moment, int) else int(dt.datetime.fromisoformat(moment).timestamp())


def main(url: str, stream: str, start_time: int, folder: Path, *, json_columns: bool) -> None:
    """Read the stream from `start_time` (epoch seconds), or from where the last run's state says, to its end."""
    is_audits = stream == "ticket_events"
    resource = {
        "name": stream,
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {
            "path": f"incremental/{stream}",
            "params": {"start_time": "{incremental.start_value}"},
            "data_selector": stream,
            "paginator": UntilEndOfStream(),
            "incremental": {
                "cursor_path": "timestamp" if is_audits else "time",
                "initial_value": start_time if is_audits else f"{dt.datetime.fromtimestamp(start_time, dt.UTC):%FT%TZ}",
                "convert": epoch,
            },
        },
    }
    client = {"base_url": f"{url}/api/v2/", "auth": {"type": "bearer", "token": "x"}}
    source = rest_api_source({"client": client, "resources": [resource]}, name="zendesk")
    if json_columns:
        source.max_table_nesting = 0
    pipeline = dlt.pipeline(
        "zendesk",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(folder / "stored").as_uri()),
        dataset_name="zendesk",
    )
    while pipeline.has_pending_data:  # of a run that was killed: dlt finishes that first, and reads nothing new in the same run
        pipeline.run()
    print(pipeline.run(source, loader_file_format="parquet"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), json_columns="--json-columns" in sys.argv)

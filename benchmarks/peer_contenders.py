"""The contenders that read a stream: how each is started on it, and which rows it has stored.

Each is configured as its documentation says and given its best reasonable option. What a peer lacks is stated, and not built.
A peer that only prints messages writes them to a file, one more at each start, and is given the last state that it printed: the
plainest target there is, so that none costs it anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from page_server import LAST_DAY_START
from peer_setup import AIRBYTE, DLT, TAP_ZENDESK, ZENPY, Peer

HERE = Path(__file__).parent
TO_ITSELF = {"NO_PROXY": "*", "no_proxy": "*", "RUNTIME__DLTHUB_TELEMETRY": "false"}
"""Nothing leaves the machine."""
TOKEN = "benchmark-token"  # no single letter: one peer masks its token wherever it stands in a record
DAY = f"{datetime.fromtimestamp(LAST_DAY_START, UTC):%Y-%m-%d}"


@dataclass(frozen=True)
class Task:
    """What is to be read, and where to.

    Attributes:
        start_time: epoch seconds; the stream is read from there to its end.
        folder: all that the contender writes lies in it, and is still there when it starts again.
    """

    url: str
    stream: str
    start_time: int
    folder: Path

    @property
    def start_date(self) -> str:
        """`start_time` as ISO 8601."""
        return f"{datetime.fromtimestamp(self.start_time, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def written(self, name: str, content: object) -> str:
        """The path of a JSON file in the folder."""
        path = self.folder / name
        path.write_text(json.dumps(content))
        return str(path)


@dataclass(frozen=True)
class Contender:
    """A program that reads a stream.

    Attributes:
        command: what starts it; called again for a restart.
        stored_ids: the id of every stored row, as often as it is stored.
        is_slow: of a long stream it is given a part.
        is_hosted: it takes no other address than Zendesk's own.
        lacks: why it can't read a stream, by stream.
        keeps: what it keeps of a stream if not its rows, by stream.
    """

    name: str
    command: Callable[[Task], list[str]]
    stored_ids: Callable[[Task], Iterator[int]]
    peer: Peer | None = None
    is_slow: bool = False
    is_hosted: bool = False
    lacks: Mapping[str, str] = field(default_factory=dict)
    keeps: Mapping[str, str] = field(default_factory=dict)

    def env(self, task: Task) -> dict[str, str]:
        """Its variables."""
        on_own_address = {"PEER_URL": task.url, "PYTHONPATH": str(HERE / "peer_site")}
        return {**TO_ITSELF, **(on_own_address if self.is_hosted else {})}


def _script(python: str | Path, name: str, task: Task, *more: str) -> list[str]:
    return [str(python), str(HERE / name), task.url, task.stream, str(task.start_time), str(task.folder), *more]


def _fetch(task: Task) -> list[str]:
    return [sys.executable, str(HERE / "pipeline_fetch.py"), task.url, task.stream, DAY, DAY, str(task.folder)]


def _dlt(*more: str) -> Callable[[Task], list[str]]:
    return lambda task: _script(DLT.bin / "python", "peer_dlt.py", task, *more)


def _tap_zendesk(task: Task) -> list[str]:
    script = [str(TAP_ZENDESK.bin / "python"), str(HERE / "peer_tap_zendesk.py"), task.stream]
    catalog = json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    config = {"subdomain": "acme", "access_token": TOKEN, "start_date": task.start_date}
    command = [str(TAP_ZENDESK.bin / "tap-zendesk"), "--config", task.written("config.json", config)]
    command += ["--catalog", task.written("catalog.json", catalog)]
    states = [message["value"] for message in _messages(task) if message["type"] == "STATE"]
    return _into_file(task, command + (["--state", task.written("state.json", states[-1])] if states else []))


def _airbyte(task: Task) -> list[str]:
    name = "ticket_comments" if task.stream == "ticket_events" else task.stream
    stream = {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]}
    catalog = {"streams": [{"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}]}
    credentials = {"credentials": "oauth2.0", "access_token": TOKEN}
    config = {"subdomain": "acme", "start_date": task.start_date, "credentials": credentials}
    command = [str(AIRBYTE.bin / "source-zendesk-support"), "read", "--config", task.written("config.json", config)]
    command += ["--catalog", task.written("catalog.json", catalog)]
    states = [message["state"] for message in _messages(task) if message["type"] == "STATE"]
    return _into_file(task, command + (["--state", task.written("state.json", states[-1:])] if states else []))


def _into_file(task: Task, command: list[str]) -> list[str]:
    starts = len(list(task.folder.glob("messages-*")))
    return ["sh", "-c", f'exec "$@" > messages-{starts}.jsonl 2> log-{starts}', "sh", *command]


def _messages(task: Task) -> Iterator[dict[str, Any]]:
    for file in sorted(task.folder.glob("messages-*")):
        yield from _lines(file)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The whole lines: a kill may have cut the last one."""
    with file.open() as lines:
        yield from (json.loads(line) for line in lines if line.endswith("\n"))


def _ids_in_files(pattern: str) -> Callable[[Task], Iterator[int]]:
    def ids(task: Task) -> Iterator[int]:
        for file in task.folder.glob(pattern.format(stream=task.stream)):
            yield from pq.read_table(file, columns=["id"], partitioning=None)["id"].to_pylist()

    return ids


def _ids_of_tap(task: Task) -> Iterator[int]:
    return (message["record"]["id"] for message in _messages(task) if message["type"] == "RECORD")


def _ids_of_airbyte(task: Task) -> Iterator[int]:
    return (message["record"]["data"]["id"] for message in _messages(task) if message["type"] == "RECORD")


def _ids_of_zenpy(task: Task) -> Iterator[int]:
    return (row["id"] for row in _lines(task.folder / f"{task.stream}.jsonl"))


BARE_LOOP = Contender(
    "bare loop", lambda task: _script(sys.executable, "bare_loop.py", task), stored_ids=_ids_in_files("*.parquet")
)
PIPELINE = Contender("this pipeline's fetch", _fetch, stored_ids=_ids_in_files("{stream}/*/*.parquet"))
DLT_AS_IT_COMES = Contender("dlt", _dlt(), stored_ids=_ids_in_files("stored/zendesk/{stream}/*.parquet"), peer=DLT)
CONTENDERS = [
    BARE_LOOP,
    PIPELINE,
    DLT_AS_IT_COMES,
    replace(DLT_AS_IT_COMES, name="dlt, JSON columns", command=_dlt("--json-columns")),
    Contender(
        "zenpy",
        lambda task: _script(ZENPY.bin / "python", "peer_zenpy.py", task),
        stored_ids=_ids_of_zenpy,
        peer=ZENPY,
        is_slow=True,
        is_hosted=True,
    ),
    Contender(
        "tap-zendesk",
        _tap_zendesk,
        stored_ids=_ids_of_tap,
        peer=TAP_ZENDESK,
        is_slow=True,
        is_hosted=True,
        lacks={"ticket_events": "doesn't read the stream: its `ticket_audits` sends a request for each ticket"},
    ),
    Contender(
        "airbyte-source-zendesk-support",
        _airbyte,
        stored_ids=_ids_of_airbyte,
        peer=AIRBYTE,
        is_slow=True,
        is_hosted=True,
        keeps={"ticket_events": "its `ticket_comments` reads the stream and keeps the Comment child events alone"},
    ),
]

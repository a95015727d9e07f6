"""Runs all readers, each in a process of its own in the readers' environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ticket_events_pipeline_tests.readers.lake import ZONE, questions
from ticket_events_pipeline_tests.support.checkout import CHECKOUT

PYTHON = CHECKOUT / ".venv-readers" / "bin" / "python"
NEEDS_JAVA = "spark"

ENVIRONMENT = {
    "PYTHONPATH": str(CHECKOUT),
    "TZ": ZONE,  # a reader that depends on the machine's zone shows it
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=1 "
    "--conf spark.sql.codegen.wholeStage=false --driver-java-options -XX:TieredStopAtLevel=1 pyspark-shell",
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "true",
}


HAS_JAVA = shutil.which("java") is not None


def ask(name: str, folder: Path, asked: Path) -> dict[str, Any]:
    """The answers of one reader; `folder` is for its link `data`.

    Raises:
        RuntimeError: the readers aren't installed, or its process failed.
    """
    if not PYTHON.exists():
        raise RuntimeError(f"There is no {PYTHON}: run make .venv-readers/.installed")
    command = [PYTHON, "-m", "ticket_events_pipeline_tests.readers.probe", name, str(asked)]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the reader {name} failed:\n{done.stderr[-4000:]}")
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


def run_readers(lake: Path, folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """The answers of each reader about the root `lake`; `folder` is for small roots and links."""
    answers = {}
    for name, asked in questions(lake, folder, names).items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps(asked))
        place = folder / name
        place.mkdir()
        answers[name] = ask(name, place, file)
    return answers

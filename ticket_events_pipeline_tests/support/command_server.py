"""Commands in processes of their own that need not import Dagster and Arrow again.

A server process, one for all tests of a pytest process, has imported the libraries and the modules of the command line.
For each command it forks a child, which gets the command's own environment, folder, arguments and outputs, and ends as any
program does. The definitions are not imported by the server: they read the environment when they are loaded.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_ENV = {"LANG": "C.UTF-8", "PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Of the server. A library that starts threads when it is imported would make a fork unsafe."""

_PRELOADED = (
    "ticket_events_pipeline.defs.definitions",
    "dagster._cli",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.storage.root",
    "dagster._core.workspace.context",
    "alembic.command",
    "antlr4",
    "upath",
)
"""What commands import when they run, in addition to the modules of the command line."""

_READ_AT_START = ("PYTHON", "LC_", "LANG")
"""The interpreter reads these variables before any module: the server can't run a command with other values."""


class CommandServer:
    """The server, started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, program: str, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
        """Run a program text as a new interpreter would; its exit code, and what it wrote, standard output first."""
        assert all(_ENV.get(name) == value for name, value in env.items() if name.startswith(_READ_AT_START))
        with tempfile.TemporaryDirectory(prefix="ticket-events-command-") as folder:
            outputs = [Path(folder) / name for name in ("out", "err")]
            order = {"program": program, "argv": argv, "cwd": str(cwd), "env": dict(env), "outputs": [*map(str, outputs)]}
            code = self._answer(json.dumps(order))
            return code, "".join(file.read_text() for file in outputs)

    def _answer(self, order: str) -> int:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{order}\n")
            process.stdin.flush()
            return int(process.stdout.readline())
        except BaseException:  # a timeout, say: the next command begins with a new server
            self.stop()
            raise

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_ENV,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        atexit.register(self.stop)
        return self._process

    def stop(self) -> None:
        """End the server and the command that it runs."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with process:
                process.wait()


@functools.cache
def command_server() -> CommandServer:
    """The server of this process."""
    return CommandServer()


def _preload() -> None:
    import ticket_events_pipeline.cli as commands

    for name in [*_PRELOADED, *(module.name for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."))]:
        importlib.import_module(name)
    assert "ticket_events_pipeline.definitions" not in sys.modules
    gc.freeze()


def _next_order() -> dict[str, Any]:
    """Fork for each order on the standard input; returns in the child, with its order."""
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 sees a thread of Arrow's allocator
            child = os.fork()
        if not child:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
    sys.exit()


def _become(order: dict[str, Any]) -> None:
    """Take on what a new process would have begun with."""
    for number, path in enumerate([os.devnull, *order["outputs"]]):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    time.tzset()
    tempfile.tempdir = None
    sys.argv[:] = order["argv"]
    sys.path[0] = order["cwd"]


def _run(program: str) -> int:
    """Run it as the interpreter does; its exit code."""
    try:
        exec(program, {"__name__": "__main__"})  # noqa: S102
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


class _End:
    """The last thing at exit: nothing is torn down, which takes longer than many commands, as each page has to be copied."""

    code = 0

    def __call__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)


if __name__ == "__main__":
    atexit.register(_end := _End())  # before all others, so it is called after them
    _preload()
    _order = _next_order()
    _become(_order)
    _end.code = _run(_order["program"])

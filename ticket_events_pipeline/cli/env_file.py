"""The file `.env`: the packaged template with the variables that are set, as python-dotenv reads it.

Dagster and `ticket-events` both read it with python-dotenv, and nothing else does: systemd's units only start in its folder.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from importlib.resources import files

from dotenv import dotenv_values

from ticket_events_pipeline.errors import UsageError

_TEMPLATES = files("ticket_events_pipeline.cli") / "templates"
_VARIABLE = re.compile(r"^#(\w+)=.*$", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~-]+")


def template(name: str) -> str:
    """The text of a packaged template."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def known_variables() -> list[str]:
    """The names of all variables, in the template's order."""
    return _VARIABLE.findall(template("env.example"))


def env_text(values: Mapping[str, str]) -> str:
    """The template with each of `values` in the place of its commented line.

    Raises:
        UsageError: a value can't be kept in such a file; the message names the variable and not the value.
    """

    def line(found: re.Match[str]) -> str:
        name = found[1]
        return f"{name}={_quoted(values[name])}" if name in values else found[0]

    text = _VARIABLE.sub(line, template("env.example"))
    read = dotenv_values(stream=io.StringIO(text, newline=None))
    changed = [name for name, value in values.items() if read.get(name) != value]
    if changed:
        raise UsageError(f"{changed[0]}: it holds a character that a file .env can't keep, a carriage return perhaps.")
    return text


def _quoted(value: str) -> str:
    """The value as python-dotenv reads it: in quotes, it expands `${NAME:-DEFAULT}` and drops backslashes before quotes."""
    if _PLAIN.fullmatch(value):
        return value
    kept = re.sub(r"\$(?=\{)|\\", r"${:-\g<0>}", value)  # the default of a variable without a name
    return "'" + kept.replace("'", r"\'") + "'"

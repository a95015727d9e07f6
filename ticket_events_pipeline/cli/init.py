"""`ticket-events init`: writes the folder that a deployment starts in, and says what to type next.

Nothing is written before all answers have been checked, and a file that is there already is never changed.
"""

from __future__ import annotations

import datetime as dt
import getpass
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
from dotenv import dotenv_values

from ticket_events_pipeline.cli.env_file import env_text, known_variables, template
from ticket_events_pipeline.cli.next_steps import is_sandbox, print_next_steps
from ticket_events_pipeline.cli.systemd import unit_files
from ticket_events_pipeline.credentials import find_credentials, parse_subdomain
from ticket_events_pipeline.day import Day, wall_clock, zone
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.root import parse_root
from ticket_events_pipeline.settings import load_settings

MONTHS_BACK = 3
"""The proposed start date is the first day of the month so many months ago: a quarter to compare with."""

_CLIENT = ("ZENDESK_OAUTH_CLIENT_ID", "ZENDESK_OAUTH_CLIENT_SECRET")
_START, _TIMEZONE, _ROOT = "TICKET_EVENTS_START_DATE", "TICKET_EVENTS_TIMEZONE", "TICKET_EVENTS_ROOT"


@dataclass(frozen=True)
class InitOptions:
    """What the command line gave; None where it gave nothing."""

    subdomain: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    start_date: str | None = None
    timezone: str | None = None
    root: str | None = None
    is_sandbox: bool = False

    @property
    def variables(self) -> dict[str, str]:
        """The variables that were given."""
        given = {
            "ZENDESK_SUBDOMAIN": self.subdomain,
            **dict(zip(_CLIENT, (self.client_id, self.client_secret), strict=True)),
            _START: self.start_date,
            _TIMEZONE: self.timezone,
            _ROOT: self.root,
            "ZENDESK_SANDBOX": "1" if self.is_sandbox else None,
        }
        return {name: value.strip() for name, value in given.items() if value is not None}


def run_init(folder: Path, options: InitOptions) -> bool:
    """Ask for what is missing, check it, and write the folder; False if a file that differs was left as it is.

    Raises:
        click.UsageError: something is missing and there is no terminal to ask at.
        SettingsError: an answer is wrong; nothing was written.
        UsageError: the folder can't be written, or its `.env` is there and options would change it.
    """
    folder = Path(os.path.abspath(folder.expanduser()))
    env_path = folder / ".env"
    if os.path.lexists(env_path):
        if options.variables:
            raise UsageError(f"{env_path} is there already, so the options change nothing: edit that file.")
        values = _stored_values(env_path)
    else:
        values = _new_values(folder, options)
    home = folder / (values.get("DAGSTER_HOME") or _default_home(folder, values))
    texts = {home / "dagster.yaml": template("dagster.yaml"), folder / "workspace.yaml": template("workspace.yaml")}
    if not os.path.lexists(env_path):
        texts[env_path] = env_text(values)
    if sys.platform == "linux":
        units = unit_files(folder, Path(sysconfig.get_path("scripts")), _service_user())
        texts.update({folder / "systemd" / name: text for name, text in units.items()})
    different = _write(folder, home, texts)
    if "DAGSTER_HOME" not in values:
        click.echo(f"{env_path} was there already: add the line DAGSTER_HOME={home} to it.")
    print_next_steps(folder, home, values)
    return not different


def _stored_values(path: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(path).items() if value}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't read this file ({type(error).__name__}).") from None


def _new_values(folder: Path, options: InitOptions) -> dict[str, str]:
    """The variables of a new `.env`: those that are exported or given, and the answers to questions; checked."""
    exported = {name: os.environ[name].strip() for name in known_variables() if os.environ.get(name, "").strip()}
    if options.is_sandbox:
        exported = {name: value for name, value in exported.items() if not name.startswith("ZENDESK_")}
    values = {**exported, **options.variables}
    if not is_sandbox(values):
        _ask_for_account(values)
    values[_ROOT] = _absolute(values.get(_ROOT) or str(folder / "data"))
    values["DAGSTER_HOME"] = str(_default_home(folder, values))
    load_settings(values)
    return values


def _default_home(folder: Path, values: Mapping[str, str]) -> Path:
    """The sandbox's records are kept apart: a day of one account is not a day of another."""
    home = folder / ".dagster_home"
    return home / "sandbox" if is_sandbox(values) else home


def _absolute(root: str) -> str:
    try:
        return parse_root(root)
    except ValueError:
        return root  # the settings name the problem, together with all others


def _ask_for_account(values: dict[str, str]) -> None:
    """Add what an account needs: the required answers first, so that a script learns of all that it lacks at once."""
    has_server = "ZENDESK_BASE_URL" in values or "ZENDESK_SUBDOMAIN" in values
    asked = [] if has_server else ["ZENDESK_SUBDOMAIN"]
    if set(find_credentials(values).variables) <= set(_CLIENT):
        asked += [name for name in _CLIENT if name not in values]
    if asked and not sys.stdin.isatty():
        _refuse_to_ask(asked)
    for name in asked:
        text, parse = _QUESTIONS[name]
        values[name] = click.prompt(text, value_proc=_checked(parse), hide_input=name == _CLIENT[1])
    _ask(values, _TIMEZONE, "Timezone of the days (it can't be changed once days are stored)", _timezone, _machine_timezone())
    if _START not in values:
        click.echo(
            "Days before the first day are not fetched. A million events take about 100 minutes at Zendesk's usual 10 requests "
            "a minute; you can set an earlier first day at any time."
        )
    _ask(values, _START, "First day", lambda text: str(Day.parse(text)), _proposed_start())


def _ask(values: dict[str, str], name: str, text: str, parse: Callable[[str], str], proposal: str) -> None:
    """Ask for a variable that has a proposal; where nobody can be asked, take it and say so."""
    if name in values:
        return
    if sys.stdin.isatty():
        values[name] = click.prompt(text, default=proposal, value_proc=_checked(parse))
    else:
        values[name] = proposal
        click.echo(f"{text}: {proposal}")


def _checked(parse: Callable[[str], str]) -> Callable[[str], str]:
    """The parser for a question, which is asked again after a wrong answer."""

    def parsed(text: str) -> str:
        try:
            return parse(text.strip())
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return parsed


def _some_text(text: str) -> str:
    if not text:
        raise ValueError("an answer is needed")
    return text


def _timezone(text: str) -> str:
    zone(text)
    return text


_QUESTIONS: dict[str, tuple[str, Callable[[str], str]]] = {
    "ZENDESK_SUBDOMAIN": ("Subdomain (acme for https://acme.zendesk.com)", lambda text: parse_subdomain(_some_text(text))),
    _CLIENT[0]: ("Unique identifier of a confidential OAuth client, made by an admin", _some_text),
    _CLIENT[1]: ("Its secret (not shown)", _some_text),
}


def _refuse_to_ask(names: list[str]) -> NoReturn:
    options = {
        "ZENDESK_SUBDOMAIN": "--subdomain",
        _CLIENT[0]: "--client-id",
        _CLIENT[1]: "--client-secret-file (or the variable ZENDESK_OAUTH_CLIENT_SECRET)",
    }
    raise click.UsageError(f"There is no terminal to ask at. Give {', '.join(options[name] for name in names)}; or --sandbox.")


def _proposed_start() -> str:
    today = Day.containing(wall_clock()).date
    year, month = divmod(today.year * 12 + today.month - 1 - MONTHS_BACK, 12)
    return str(dt.date(year, month + 1, 1))


def _machine_timezone() -> str:
    """The machine's IANA zone; UTC if it doesn't say."""
    name = os.environ.get("TZ", "").removeprefix(":") or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    try:
        return _timezone(re.sub(r"^(posix|right)/|^Etc/(?=UTC$)", "", name)) if name else "UTC"
    except ValueError:
        return "UTC"


def _service_user() -> str | None:
    """Whose the units run as: the user who writes them, but never root."""
    return None if os.geteuid() == 0 else getpass.getuser()


def _write(folder: Path, home: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Write the files that are missing, report on every one, and return those that are there and differ."""
    different = []
    _make_folder(folder)
    _make_folder(home)
    for path, text in texts.items():
        if not os.path.lexists(path):
            _create(path, text)
            click.echo(f"written    {path}")
        elif _holds(path, text):
            click.echo(f"unchanged  {path}")
        else:
            different.append(path)
            click.secho(f"left       {path}: it is there already, and differs from what this version would write", fg="yellow")
    return different


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


def _make_folder(path: Path) -> None:
    """Make the folder and the missing ones above it; only their owner may enter them."""
    try:
        for folder in (*reversed(path.parents), path):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: can't make this folder ({error.filename}: {error.strerror}).") from None


def _create(path: Path, text: str) -> None:
    """Create the file whole or not at all; only its owner may read `.env`."""
    mode = 0o600 if path.name == ".env" else 0o644
    try:
        path.parent.mkdir(exist_ok=True)
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink()
                raise
    except OSError as error:
        raise UsageError(f"{path}: can't write this file ({error.strerror}).") from None

"""Reading variables: texts in, parsed values out, and every problem collected.

What each variable means is the matter of `settings` and of the settings of alerts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from ticket_events_pipeline.credentials import CredentialFindings, find_credentials, split_url
from ticket_events_pipeline.errors import SettingsError

NONE = "none"
"""Turns a list off: a blank variable counts as unset."""

GREATEST_NUMBER = 999_999

_WHOLE_NUMBER = re.compile(r"[0-9]{1,6}")
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

_LINKABLE = re.compile(r"[A-Za-z0-9:/.\-_~%\[\]]+")  # it is put between the brackets of a message's link

_T = TypeVar("_T")


class VariableReader:
    """Reads variables and collects problems; an empty or blank variable counts as unset."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def text(self, name: str) -> str:
        """The variable without surrounding blanks."""
        return self._env.get(name, "").strip()

    def parsed(self, name: str, default: str, *, parse: Callable[[str], _T]) -> _T:
        """The parsed variable; the parsed default if there is a problem."""
        try:
            return parse(self.text(name) or default)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return parse(default)

    def whole_number(self, name: str, default: int) -> int:
        """A number from 1 to 999999."""
        return self.parsed(name, str(default), parse=whole_number)

    def flag(self, name: str, *, default: str = "0") -> bool:
        """Whether it is on."""
        return self.parsed(name, default, parse=flag)

    def credentials(self) -> CredentialFindings:
        """The credentials that are set."""
        return find_credentials({name: self.text(name) for name in self._env})

    def raise_problems(self) -> None:
        """Raise the problems, if there are any.

        Raises:
            SettingsError: with every problem found.
        """
        if self.problems:
            raise SettingsError(self.problems)


def whole_number(text: str, least: int = 1, greatest: int = GREATEST_NUMBER) -> int:
    """The number.

    Raises:
        ValueError: it is none, or out of range.
    """
    if not _WHOLE_NUMBER.fullmatch(text) or not least <= int(text) <= greatest:
        raise ValueError(f"{text!r} is not a whole number from {least} to {greatest}")
    return int(text)


def flag(text: str) -> bool:
    """Whether it is on.

    Raises:
        ValueError: it says neither.
    """
    if text.lower() not in ON + OFF:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return text.lower() in ON


def listed(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list, each once, in order; `none` is an empty list."""
    if text.lower() == NONE:
        return ()
    return tuple(dict.fromkeys(part for part in (part.strip() for part in text.split(",")) if part))


def percent(text: str) -> float:
    """The percentage.

    Raises:
        ValueError: it is none, or 0.
    """
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", text, re.ASCII) or not 0 < float(text) <= 100:
        raise ValueError(f"{text!r} is not a percentage above 0 and up to 100, as in 95 or 97.5")
    return float(text)


def parse_link_base(text: str) -> str:
    """An address that links are made of, without a trailing slash; empty text stays empty.

    Raises:
        ValueError: it is no address of a page, or holds what would end a link. The text is not quoted: it may hold a secret.
    """
    if not text:
        return ""
    url = split_url(text)
    if url.scheme not in ("http", "https") or url.username is not None or not _LINKABLE.fullmatch(text):
        raise ValueError("give http or https, host and path only, as in http://127.0.0.1:3000")
    return text.rstrip("/")

"""Every error a caller can meet, by what the caller can do about it.

`UsageError`: change what you set or asked. `AccountError`: Zendesk refuses, retrying cannot clear it. `TransientError`: it
may clear by itself, later. `DataError`: what was sent or stored cannot be taken as it is. A message says what was tried,
what came back and what to do; it never holds a credential.
"""

from __future__ import annotations


class TicketEventsError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(TicketEventsError):
    """What was set or asked cannot work; change it."""


class SettingsError(UsageError):
    """Environment variables are missing, malformed or contradict each other; every problem in one message.

    Attributes:
        problems: one sentence each, each naming its variables.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(["The settings don't work yet:", *(f"  - {problem}" for problem in problems)]))


class ForeignRootError(UsageError):
    """The root holds files of another account, timezone, sideload or support type scope."""


class DayNotFetchedError(UsageError):
    """A day is to be summarised whose raw events have not landed."""


class AccountError(TicketEventsError):
    """Zendesk refuses for a reason that a retry cannot clear."""


class AuthenticationError(AccountError):
    """401, or a redirect to a sign-in page: the credentials are wrong."""


class ForbiddenError(AccountError):
    """403: not an admin, a wrong OAuth scope, or an integration that Zendesk blocks."""


class BlockedError(ForbiddenError):
    """A 403 of what stands before the API: this machine or program is blocked, and the credentials were never looked at."""


class AccountNotFoundError(AccountError):
    """404: no such account, or no such endpoint on it."""


class RequestRefusedError(AccountError):
    """Any other answer that says the request itself is wrong."""


class TransientError(TicketEventsError):
    """Zendesk or the network failed, more often or longer than a pass waits for."""


class DaysHeldError(TransientError):
    """Another pass reads the same days of the same stream."""


class LockHeldError(TransientError):
    """Another process holds the lock of a small file, and doesn't let go: it stands still, or the disk hangs."""


class DataError(TicketEventsError):
    """What was sent or stored cannot be taken as it is."""


class OverfullSecondError(DataError):
    """One second holds more events than the server puts on a page, and the stream can't get past it."""


class DamagedFileError(DataError):
    """A stored file can't be read or isn't what its name says."""


class NewerFileError(DamagedFileError):
    """A stored file can't be read because a newer version of this program wrote it.

    Attributes:
        problem: what is wrong with the file, as a sentence.
        remedy: what to do, as a sentence.
    """

    def __init__(self, url: str, *, version: str, known: int) -> None:
        self.problem = (
            f"The file was written by a newer version of this program: its columns are of schema version {version}, and this "
            f"program knows versions up to {known}."
        )
        self.remedy = "Upgrade this program; until then, the file stays as it is."
        super().__init__(f"{url} can't be read. {self.problem} {self.remedy}")

"""All errors of this package, by what the caller can do about them.

`UsageError`: change the settings or the request. `AccountError`: Zendesk refuses, and a retry cannot help. `TransientError`: a
later retry may help. `DataError`: what was sent or stored cannot be used. A message says what was tried, what came back and
what to do; it never contains a credential.
"""

from __future__ import annotations


class TicketEventsError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(TicketEventsError):
    """The settings or the request cannot work; change them."""


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


class ForeignHomeError(UsageError):
    """The DAGSTER_HOME shows the days of another account or root."""


class DayNotFetchedError(UsageError):
    """The raw events of a day to summarise have not been fetched."""


class ClosedDayError(UsageError):
    """What the tables of a day are made from has been pruned, so it is neither fetched nor made again."""


class AccountError(TicketEventsError):
    """Zendesk refuses for a reason that a retry cannot change."""


class AuthenticationError(AccountError):
    """401, or a redirect to a sign-in page: the credentials are wrong."""


class ForbiddenError(AccountError):
    """403: not an admin, a wrong OAuth scope, or an integration that Zendesk blocks."""


class BlockedError(ForbiddenError):
    """A 403 from what protects the API: this machine or program is blocked, and the credentials were not checked."""


class AccountNotFoundError(AccountError):
    """404: no such account, or no such endpoint on it."""


class RequestRefusedError(AccountError):
    """Any other answer that rejects the request itself."""


class TransientError(TicketEventsError):
    """Zendesk or the network failed more often or longer than a fetch retries."""


class DaysHeldError(TransientError):
    """Another fetch reads the same days of the same stream."""


class LockHeldError(TransientError):
    """Another process does not release the lock of a small file: it is suspended, or the disk hangs."""


class DataError(TicketEventsError):
    """What was sent or stored cannot be used."""


class OverfullSecondError(DataError):
    """One second has more events than a page of the server, so that the stream cannot continue after it."""


class DamagedFileError(DataError):
    """A stored file can't be read or isn't what its name says."""


class ReplacedFileError(DamagedFileError):
    """Another run has replaced a stored file while it was read: what is in it now can be read."""


class NewerFileError(DamagedFileError):
    """A stored file can't be read because a newer version of this program wrote it.

    Attributes:
        problem: what is wrong with the file, as a sentence.
        remedy: what to do, as a sentence.
    """

    def __init__(self, url: str, *, version: str, known: int, versioned: str = "its columns are of schema version") -> None:
        self.problem = (
            f"The file was written by a newer version of this program: {versioned} {version}, and this "
            f"program knows versions up to {known}."
        )
        self.remedy = "Upgrade this program; until then, the file stays as it is."
        super().__init__(f"{url} can't be read. {self.problem} {self.remedy}")

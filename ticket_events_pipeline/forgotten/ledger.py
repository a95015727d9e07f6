"""The ledger of what was forgotten: salted hashes of ids and addresses, in a small file of the root.

With it, a later fetch of the same days blanks the same rows again. It holds nothing that can be read. Anyone who has the file
can still test a guess: ids are numbers that can all be tried.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from ticket_events_pipeline.errors import DamagedFileError, NewerFileError, TransientError
from ticket_events_pipeline.storage.store import Fence, Store

FOLDER = "_forgotten"
"""The leading underscore keeps query engines from reading it as part of a table."""

LEDGER = f"{FOLDER}/ledger.json"

REQUESTER, TICKET, ADDRESS = "requester", "ticket", "address"
"""Kinds of entries: a user's id, a ticket's number, an e-mail address in lower case."""

KINDS = (REQUESTER, TICKET, ADDRESS)

_VERSION = 1

_SALT_BYTES, _HASH_BYTES = 32, 16

_ATTEMPTS = 20
"""Each repeats only because another process has just changed the ledger."""

_HASH = re.compile(rf"[0-9a-f]{{{2 * _HASH_BYTES}}}")

_RISK = "Without it, a fetch could bring back what was forgotten, so nothing is fetched. Restore it from a backup."

_ADVICE = f"{_RISK} If there is none, remove it and run every `ticket-events forget` again."

Log = Callable[[str], None]


@dataclass(frozen=True)
class Ledger:
    """What was forgotten in a root.

    Attributes:
        salt: random, of this root alone.
        hashes: by kind, hexadecimal.
        custom_fields: numbers of the custom fields that the ticket tables tracked when something was forgotten.
    """

    salt: bytes
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    custom_fields: frozenset[str] = frozenset()

    def holds(self, kind: str, value: int | str) -> bool:
        """Whether the id or address was forgotten."""
        found = self.hashes.get(kind, frozenset())
        return bool(found) and self._hash(kind, value) in found

    def has(self, kind: str) -> bool:
        """Whether anything of the kind was forgotten."""
        return bool(self.hashes.get(kind))

    def count(self, kind: str) -> int:
        """How many of the kind were forgotten."""
        return len(self.hashes.get(kind, ()))

    def with_entries(self, entries: Mapping[str, Iterable[int | str]], custom_fields: Iterable[str] = ()) -> Ledger:
        """With further ids and addresses, by kind."""
        added = {kind: frozenset(self._hash(kind, value) for value in entries.get(kind, ())) for kind in KINDS}
        hashes = {kind: self.hashes.get(kind, frozenset()) | added[kind] for kind in KINDS}
        return Ledger(self.salt, hashes, self.custom_fields.union(custom_fields))

    def _hash(self, kind: str, value: int | str) -> str:
        return hashlib.blake2b(f"{kind}:{value}".encode(), key=self.salt, digest_size=_HASH_BYTES).hexdigest()

    def to_bytes(self) -> bytes:
        """As stored."""
        fields = {
            "version": _VERSION,
            "salt": self.salt.hex(),
            "hashes": {kind: sorted(self.hashes.get(kind, ())) for kind in KINDS},
            "custom_fields": sorted(self.custom_fields),
        }
        return json.dumps({**fields, "sha256": _digest(fields)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, content: bytes, url: str) -> Ledger:
        """The inverse of `to_bytes`.

        Raises:
            NewerFileError: a newer version of this program wrote it.
            DamagedFileError: it is no ledger.
        """
        try:
            fields = json.loads(content)
            version, digest = fields["version"], fields.pop("sha256")
            if isinstance(version, int) and version > _VERSION:
                raise NewerFileError(url, version=str(version), known=_VERSION, versioned="it is a ledger of version")
            if version != _VERSION or digest != _digest(fields):
                raise ValueError("its checksum doesn't fit")
            hashes = {kind: frozenset(fields["hashes"][kind]) for kind in KINDS}
            if not all(_HASH.fullmatch(one) for found in hashes.values() for one in found):
                raise ValueError("not hashes")
            return cls(bytes.fromhex(fields["salt"]), hashes, frozenset(fields["custom_fields"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedFileError(f"{url}, the ledger of what was forgotten, can't be read ({error}). {_ADVICE}") from error


def read_ledger(store: Store) -> Ledger | None:
    """The ledger of a root; None if nothing was ever forgotten.

    Raises:
        DamagedFileError: it can't be read.
    """
    content = _content(store)
    return None if content is None else Ledger.from_bytes(content, store.url(LEDGER))


def lost_ledger_error(store: Store, file: str) -> DamagedFileError:
    """What to raise where there is no ledger, although `file`, the URL of a stored one, has blanked rows."""
    return DamagedFileError(
        f"{store.url(LEDGER)}, the ledger of what was forgotten, is gone: {file} has rows that were blanked by it. {_RISK} If "
        "there is none, run every `ticket-events forget` again."
    )


def add_to_ledger(
    store: Store, entries: Mapping[str, Iterable[int | str]], *, custom_fields: Iterable[str] = (), log: Log = lambda _: None
) -> Ledger:
    """Enter ids and addresses, by kind; returns the ledger with them, which is durable by then.

    Entries that other processes make at the same time are kept.

    Raises:
        DamagedFileError: the ledger can't be read.
        TransientError: other processes don't stop changing it.
    """
    wanted = {kind: list(values) for kind, values in entries.items()}
    fields = list(custom_fields)
    for _ in range(_ATTEMPTS):
        before = _content(store)
        known = Ledger(secrets.token_bytes(_SALT_BYTES)) if before is None else Ledger.from_bytes(before, store.url(LEDGER))
        after = known.with_entries(wanted, fields)
        if before is not None and after.to_bytes() == before:
            return after
        if _replace(store, before, after.to_bytes(), log):
            return after
    raise TransientError(f"{store.url(LEDGER)} was changed by others {_ATTEMPTS} times in between. Run it again.")


def _replace(store: Store, before: bytes | None, after: bytes, log: Log) -> bool:
    """Compare and swap, durably: whether the file still had the content `before` and was replaced."""

    def check(content: bytes | None) -> None:
        if content != before:
            raise _OvertakenError

    try:
        with store.writer(LEDGER, fence=Fence(LEDGER, check, FOLDER, log)) as file:
            file.write(after)
    except _OvertakenError:
        return False
    return True


class _OvertakenError(Exception):
    """Another process has changed the ledger."""


def _content(store: Store) -> bytes | None:
    try:
        with closing(store.reader(LEDGER)) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

"""Where the files are: a folder, or a prefix in a bucket of one of the known object stores.

A root is logged and shown, so it holds no credential: an object store is reached through its provider's own variables.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AZURE_CONTAINER = re.compile(r"[A-Za-z0-9$][A-Za-z0-9-]*(@[A-Za-z0-9][A-Za-z0-9.-]*)?")
_SEGMENT = re.compile(r"[A-Za-z0-9._=+@-]+")
_DAY_FOLDER = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})")


@dataclass(frozen=True)
class Provider:
    """An object store that a root may be in.

    Attributes:
        library_scheme: the scheme that obstore knows it by; `s3` for everything that is compatible with S3.
        extra: of this package, which installs what it needs.
        bucket_pattern: what its bucket names look like.
        endpoint_variables: the environment variables that set another endpoint; the first that is set is used.
        endpoint_variable: the one that a message names.
        http_variable: the environment variable that allows plain http to another machine.
        credential_variables: the environment variables that hold credentials, as a message names them.
        lists_put_conditions: whether its listing has the version that a conditional put needs.
        not_enough: environment variables that look like credentials, and why they aren't.
    """

    library_scheme: str
    extra: str
    bucket_pattern: re.Pattern[str]
    endpoint_variables: tuple[str, ...]
    endpoint_variable: str
    http_variable: str
    credential_variables: str
    lists_put_conditions: bool = True
    not_enough: Mapping[str, str] = field(default_factory=dict)


def _azure(scheme: str) -> Provider:
    return Provider(
        library_scheme=scheme,
        extra="azure",
        bucket_pattern=_AZURE_CONTAINER,
        endpoint_variables=("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        endpoint_variable="AZURE_STORAGE_ENDPOINT",
        http_variable="AZURE_ALLOW_HTTP",
        credential_variables="AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        not_enough={"AZURE_STORAGE_CONNECTION_STRING": "is not read: set the account's name and key that it contains"},
    )


PROVIDERS = {
    "s3": Provider(
        library_scheme="s3",
        extra="s3",
        bucket_pattern=_BUCKET,
        endpoint_variables=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        endpoint_variable="AWS_ENDPOINT_URL",
        http_variable="AWS_ALLOW_HTTP",
        credential_variables="AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    "gs": Provider(
        library_scheme="gs",
        extra="gcs",
        bucket_pattern=_BUCKET,
        endpoint_variables=("GOOGLE_BASE_URL",),
        endpoint_variable="GOOGLE_BASE_URL",
        http_variable="GOOGLE_ALLOW_HTTP",
        credential_variables="GOOGLE_APPLICATION_CREDENTIALS",
        lists_put_conditions=False,  # they need the generation
        not_enough={"GOOGLE_SKIP_SIGNATURE": "is for reading only: a put and a delete need credentials"},
    ),
    "abfss": _azure("abfss"),
    "az": _azure("az"),
}
"""By the scheme of a root. S3-compatible stores need no row: AWS_ENDPOINT_URL names them."""


@dataclass(frozen=True)
class ObjectRoot:
    """A prefix in a bucket.

    Attributes:
        scheme: a key of PROVIDERS.
        bucket: its name; on Azure the container, or `container@account.dfs.core.windows.net`.
        prefix: the folder in the bucket, without a slash at either end; empty for the whole bucket.
    """

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> ObjectRoot:
        """The inverse of `str`; trailing slashes are ignored.

        Raises:
            ValueError: it names no bucket, or holds what doesn't belong there; the message doesn't repeat the text.
        """
        found = _URI.fullmatch(text)
        scheme = found[1].lower() if found else ""
        if not found or scheme not in PROVIDERS:
            raise ValueError(f"{scheme or 'this'}:// can't hold the files; set a folder, {_known_schemes()}")
        bucket, _, prefix = found[2].partition("/")
        if ":" in bucket.rpartition("@")[0]:  # s3://key:secret@bucket
            raise ValueError("holds a secret before the @; give the store's credentials in its own variables instead")
        if "?" in text or "#" in text:
            raise ValueError(f"takes no options: {scheme}://bucket/prefix; set the provider's own variables (AWS_REGION, …)")
        if not PROVIDERS[scheme].bucket_pattern.fullmatch(bucket):
            raise ValueError(f"names no bucket: {scheme}://bucket/prefix is expected")
        prefix = prefix.rstrip("/")
        segments = prefix.split("/") if prefix else []
        if not all(_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments):
            raise ValueError("has a prefix that isn't made of letters, digits and . _ = + @ - between single slashes")
        return cls(scheme, bucket, prefix)

    @property
    def provider(self) -> Provider:
        """The object store that it is in."""
        return PROVIDERS[self.scheme]

    @property
    def library_url(self) -> str:
        """The root as obstore opens it."""
        return f"{self.provider.library_scheme}{str(self)[len(self.scheme) :]}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}{'/' if self.prefix else ''}{self.prefix}"


def is_object_store(root: str) -> bool:
    """Whether the text has the form of an object store's root."""
    return _URI.match(root) is not None


def parse_root(text: str) -> str:
    """A folder's absolute path, or an object store's URI.

    Raises:
        ValueError: a slash of a URI is missing; or see `ObjectRoot.parse`.
    """
    if _ONE_SLASH.match(text):
        raise ValueError(
            "has one slash after its scheme: scheme://bucket/prefix is expected; a folder of that name begins with ./"
        )
    return str(ObjectRoot.parse(text)) if is_object_store(text) else os.path.abspath(os.path.expanduser(text))


def sandbox_root(root: str) -> str:
    """Where the sandbox writes: below the root, apart from an account's files."""
    return f"{root}/sandbox" if is_object_store(root) else os.path.join(root, "sandbox")


def oldest_day_folder(root: str) -> dt.date | None:
    """The oldest `<asset>/date=YYYY-MM-DD` in a root on this machine; None if there is none, or no such folder."""
    found = (_DAY_FOLDER.fullmatch(path.name) for path in Path(root).glob("[!_]*/date=*"))
    days = []
    for name in found:
        with suppress(ValueError):
            days.append(dt.date.fromisoformat(name[1] if name else ""))
    return min(days, default=None)


def _known_schemes() -> str:
    *others, last = (f"{scheme}://" for scheme in PROVIDERS)
    return f"{', '.join(others)} or {last}"

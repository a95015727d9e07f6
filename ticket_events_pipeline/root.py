"""Where the files lie: a folder, or a prefix in a bucket of an object store. Told from text here, opened by `lake.store`.

A root is logged and shown, so it holds no credential: an object store is reached by its provider's own variables.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_AZURE = ("abfss", "az")
_SCHEMES = ("s3", "gs", *_AZURE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AZURE_CONTAINER = re.compile(r"[A-Za-z0-9$][A-Za-z0-9-]*(@[A-Za-z0-9][A-Za-z0-9.-]*)?")
_SEGMENT = re.compile(r"[A-Za-z0-9._=+@-]+")


@dataclass(frozen=True)
class ObjectRoot:
    """A prefix in a bucket.

    Attributes:
        scheme: `s3`, `gs`, `abfss` or `az`.
        bucket: its name; on Azure the container, or `container@account.dfs.core.windows.net`.
        prefix: below which everything lies, without a slash at either end; empty for the whole bucket.
    """

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> ObjectRoot:
        """The inverse of `str`; slashes at the end don't count.

        Raises:
            ValueError: it names no bucket, or holds what doesn't belong there; says so without repeating it.
        """
        found = _URI.fullmatch(text)
        scheme = found[1].lower() if found else ""
        if not found or scheme not in _SCHEMES:
            raise ValueError(f"{scheme or 'this'}:// is no place for the files; set a folder, s3://, gs://, abfss:// or az://")
        bucket, _, prefix = found[2].partition("/")
        if ":" in bucket.rpartition("@")[0]:  # s3://key:secret@bucket
            raise ValueError("holds a secret before the @; give the store's credentials in its own variables instead")
        if "?" in text or "#" in text:
            raise ValueError(f"takes no options: {scheme}://bucket/prefix; set the provider's own variables (AWS_REGION, …)")
        if not (_AZURE_CONTAINER if scheme in _AZURE else _BUCKET).fullmatch(bucket):
            raise ValueError(f"names no bucket: {scheme}://bucket/prefix is expected")
        prefix = prefix.rstrip("/")
        segments = prefix.split("/") if prefix else []
        if not all(_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments):
            raise ValueError("has a prefix that isn't made of letters, digits and . _ = + @ - between single slashes")
        return cls(scheme, bucket, prefix)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}{'/' if self.prefix else ''}{self.prefix}"


def is_object_store(root: str) -> bool:
    """Whether the root is meant to be an object store's."""
    return _URI.match(root) is not None


def parse_root(text: str) -> str:
    """A folder's absolute path, or an object store's URI.

    Raises:
        ValueError: see `ObjectRoot.parse`.
    """
    return str(ObjectRoot.parse(text)) if is_object_store(text) else os.path.abspath(os.path.expanduser(text))


def sandbox_root(root: str) -> str:
    """Where the sandbox writes: below the root, apart from an account's files."""
    return f"{root}/sandbox" if is_object_store(root) else os.path.join(root, "sandbox")

"""Who is let in: the sandbox's documented demo credentials, and the bearer tokens that it hands out.

Nothing here is secret, and nothing here is checked against a real account.
https://developer.zendesk.com/api-reference/introduction/security-and-auth/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DEMO = "sandbox"
"""Every demo credential is this word, so that no one can take it for a secret."""

TOKEN_LIFETIME_SECONDS = 1800

READ_SCOPES = frozenset({"read", "read write", "write read"})

Access = Literal["granted", "unknown", "forbidden"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the sandbox accepts: bearer token, OAuth client, and Basic with an API token or a password."""

    bearer_token: str = DEMO
    client_id: str = DEMO
    client_secret: str = DEMO
    email: str = f"{DEMO}@example.com"
    api_token: str = DEMO
    password: str = DEMO


DEMO_CREDENTIALS = Credentials()


@dataclass(frozen=True, slots=True)
class _Issued:
    expires_at: float
    scope: str


class Doorkeeper:
    """Checks `Authorization` headers and grants client-credentials tokens. Times are epoch seconds."""

    def __init__(self, credentials: Credentials, *, token_lifetime_seconds: int = TOKEN_LIFETIME_SECONDS) -> None:
        self._credentials = credentials
        self._lifetime = token_lifetime_seconds
        self._issued: dict[str, _Issued] = {}

    def check(self, authorization: str, now: float) -> Access:
        """Whether that header lets its bearer read: `unknown` is a 401, `forbidden` (a token of a wrong scope) a 403."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            return "granted" if self._is_known_pair(value) else "unknown"
        if scheme.lower() != "bearer":
            return "unknown"
        if value == self._credentials.bearer_token:
            return "granted"
        issued = self._issued.get(value)
        if issued is None or now >= issued.expires_at:
            return "unknown"
        return "granted" if issued.scope in READ_SCOPES else "forbidden"

    def grant(self, asked: Mapping[str, object], now: float) -> tuple[int, dict[str, object]]:
        """Status and body that a request for a token gets."""
        if asked.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type", "error_description": "The grant type is not supported."}
        if (asked.get("client_id"), asked.get("client_secret")) != (
            self._credentials.client_id,
            self._credentials.client_secret,
        ):
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed."}
        # A wrong scope name is granted all the same, as Zendesk does, and refused wherever the token is used.
        scope = str(asked.get("scope", "read"))
        token = f"{DEMO}-issued-{len(self._issued) + 1}"
        self._issued[token] = _Issued(now + self._lifetime, scope)
        return 200, {"access_token": token, "token_type": "bearer", "scope": scope, "expires_in": self._lifetime}

    def _is_known_pair(self, encoded: str) -> bool:
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        known = self._credentials
        return pair in (f"{known.email}/token:{known.api_token}", f"{known.email}:{known.password}")

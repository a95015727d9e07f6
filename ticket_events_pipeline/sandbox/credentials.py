"""Authentication of the sandbox: its documented demo credentials, and the bearer tokens that it issues.

None of them is secret. A sandbox that other machines reach accepts a secret of its user's instead, and nothing else.

https://developer.zendesk.com/api-reference/introduction/security-and-auth/
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

DEMO = "sandbox"
"""Every demo credential is this word, so that no one can take it for a secret."""

TOKEN_LIFETIME_SECONDS = 1800
"""Of a token whose request says nothing about it."""

LIFETIME_BOUNDS = (300, 172_800)
"""A request may ask for more than the first and less than the second, in seconds."""

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

SHORTEST_SECRET = 24
"""Characters of a token that can't be guessed: `openssl rand -hex 16` gives 32."""


def only_token(token: str) -> Credentials:
    """Credentials of which `token` is the only one that anybody knows: none of the demo credentials, and no token is issued.

    Raises:
        ValueError: it is too short to be a secret, or can't be sent in a header. It isn't quoted.
    """
    if not re.fullmatch(rf"[!-~]{{{SHORTEST_SECRET},}}", token):
        raise ValueError(
            f"is not a secret of at least {SHORTEST_SECRET} visible ASCII characters: make one by openssl rand -hex 16"
        )
    unknown = secrets.token_hex()
    return Credentials(token, unknown, unknown, unknown, unknown, unknown)


@dataclass(frozen=True, slots=True)
class TokenWorld:
    """How the account issues tokens, where Zendesk's documentation leaves it open.

    Attributes:
        states_lifetime: whether the answer to a grant has `expires_in`.
        keeps_older: whether the earlier tokens of a client stay valid after another grant.
        fixed_ends_at: when the fixed bearer token expires; None: never.
        states_end: whether the account answers questions about the token in use; if not, with a 404.
    """

    states_lifetime: bool = True
    keeps_older: bool = True
    fixed_ends_at: float | None = None
    states_end: bool = True


@dataclass(frozen=True, slots=True)
class _Token:
    created_at: float
    expires_at: float | None
    scope: str


class Doorkeeper:
    """Checks `Authorization` headers and grants client-credentials tokens. Times are epoch seconds."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        token_lifetime_seconds: int = TOKEN_LIFETIME_SECONDS,
        world: TokenWorld | None = None,
    ) -> None:
        self._credentials = credentials
        self._lifetime = token_lifetime_seconds
        self._world = world or TokenWorld()
        self._tokens = {credentials.bearer_token: _Token(0, self._world.fixed_ends_at, "read")}
        self._grants = 0

    def check(self, authorization: str, now: float) -> Access:
        """Whether the header gives access: `unknown` is a 401, `forbidden` (a token of a wrong scope) a 403."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            return "granted" if self._is_known_pair(value) else "unknown"
        token = self._valid_token(scheme, value, now)
        if token is None:
            return "unknown"
        return "granted" if token.scope in READ_SCOPES else "forbidden"

    def grant(self, asked: Mapping[str, object], now: float) -> tuple[int, dict[str, object]]:
        """Status and body of the answer to a request for a token."""
        if asked.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type", "error_description": "The grant type is not supported."}
        if (asked.get("client_id"), asked.get("client_secret")) != (
            self._credentials.client_id,
            self._credentials.client_secret,
        ):
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed."}
        lifetime = _asked_lifetime(asked["expires_in"]) if "expires_in" in asked else self._lifetime
        if lifetime is None:
            return 400, {"error": "invalid_request", "error_description": "expires_in must be between 300 and 172800."}
        # Like Zendesk, this grants a token for a wrong scope name, and refuses the token when it is used.
        scope = str(asked.get("scope", "read"))
        expiry = {"expires_in": lifetime} if self._world.states_lifetime else {}
        return 200, {"access_token": self._issue(lifetime, scope, now), "token_type": "bearer", "scope": scope, **expiry}

    def current_token(self, authorization: str, now: float) -> tuple[int, dict[str, object]]:
        """Status and body of the answer to a request for the token in use."""
        scheme, _, value = authorization.partition(" ")
        token = self._valid_token(scheme, value, now)
        if token is None and self.check(authorization, now) == "unknown":
            return 401, {"error": "invalid_token", "error_description": "The access token provided is expired or invalid."}
        if token is None or not self._world.states_end:  # Basic auth uses none
            return 404, {"error": "RecordNotFound", "description": "Not found"}
        shown = {
            "scopes": token.scope.split(),
            "created_at": _iso(token.created_at),
            "expires_at": None if token.expires_at is None else _iso(token.expires_at),
        }
        return 200, {"token": shown}

    def _valid_token(self, scheme: str, value: str, now: float) -> _Token | None:
        token = self._tokens.get(value) if scheme.lower() == "bearer" else None
        return token if token is None or token.expires_at is None or now < token.expires_at else None

    def _issue(self, lifetime_seconds: int, scope: str, now: float) -> str:
        if not self._world.keeps_older:
            fixed = self._credentials.bearer_token
            self._tokens = {fixed: self._tokens[fixed]}
        self._grants += 1
        name = f"{DEMO}-issued-{self._grants}"
        self._tokens[name] = _Token(now, now + lifetime_seconds, scope)
        return name

    def _is_known_pair(self, encoded: str) -> bool:
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        known = self._credentials
        return pair in (f"{known.email}/token:{known.api_token}", f"{known.email}:{known.password}")


def _asked_lifetime(asked: object) -> int | None:
    """The lifetime that a request asks for, as a number or as text of a form; None if it is out of bounds."""
    try:
        seconds = int(asked) if isinstance(asked, str | int) else 0
    except ValueError:
        return None
    return seconds if LIFETIME_BOUNDS[0] < seconds < LIFETIME_BOUNDS[1] else None


def _iso(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(int(epoch_seconds), UTC).isoformat().replace("+00:00", "Z")

"""The account and its credentials: server, names, the four ways to authenticate, and the checks of their variables.

No message and no repr contains any part of a credential.
https://developer.zendesk.com/api-reference/introduction/security-and-auth/
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

API_TOKENS_END = "2027-04-30"
"""The day on which API tokens stop working, as Zendesk announced it."""

CLIENT_CREDENTIALS = "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"
"""The credentials for scheduled runs; messages recommend them."""

SUPPORT_TYPE_SCOPES = ("agent", "all", "ai_agent")
"""Whose tickets the ticket events are fetched for: agents', all, or those of an AI agent."""

DEFAULT_SUPPORT_TYPE_SCOPE = "agent"
"""Zendesk's default, and the value in files from before there was a choice."""

HOW_TO_SET_CREDENTIALS = (
    f"no credentials are set: set {CLIENT_CREDENTIALS}, of an OAuth client (tokens are fetched and renewed for you); or, for a "
    f"trial, ZENDESK_OAUTH_TOKEN; or ZENDESK_EMAIL and ZENDESK_API_TOKEN, until {API_TOKENS_END}; or ZENDESK_SANDBOX=1 to try "
    "it without an account"
)
_API_TOKEN_WARNING = (
    "ZENDESK_API_TOKEN: Zendesk deactivates API tokens that are unused for 30 days, so a pipeline that is off for a month "
    "loses its token, and deletes them 60 days later. New ones can't be created since 2026-10-27, and all of them end on "
    f"{API_TOKENS_END}. Set {CLIENT_CREDENTIALS} instead"
)
_PASSWORD_WARNING = (
    f"ZENDESK_PASSWORD: Zendesk ended password access for all accounts at the end of 2025. Set {CLIENT_CREDENTIALS} instead"
)
FORMER_SUBDOMAINS = "ZENDESK_FORMER_SUBDOMAINS"

SANDBOX_ACCOUNT = "sandbox"
"""The simulated account's name, in files and quotas."""

SANDBOX_URL, SANDBOX_TOKEN = "ZENDESK_SANDBOX_URL", "ZENDESK_SANDBOX_TOKEN"
"""Where a sandbox runs as a service (`ticket-events sandbox --listen`), and the only credential that it accepts."""

# A DNS label: it becomes the first part of a host name that credentials are sent to.
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_EMAIL = re.compile(r"[^\s:@]+@[^\s:@/]+")  # a colon would end the user name of Basic auth, "/token" is added by us
_VISIBLE_ASCII = re.compile(r"[!-~]+")  # anything else breaks the header, and an HTTP library's complaint would quote it


@dataclass(frozen=True)
class BearerToken:
    """A fixed OAuth access token: for a trial, since it ends."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class ClientCredentials:
    """An OAuth client that fetches its own tokens (client-credentials grant)."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class ApiToken:
    """Basic auth as `{email}/token:{api_token}`, until API_TOKENS_END."""

    email: str = field(repr=False)
    api_token: str = field(repr=False)


@dataclass(frozen=True)
class Password:
    """Basic auth with an agent's password, which Zendesk ended for all accounts at the end of 2025."""

    email: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True)
class SandboxToken:
    """The token of a sandbox that runs as a service.

    It gives access to simulated tickets only: no other credential is ever sent over plain http to another machine.
    """

    token: str = field(repr=False)


Credentials = ClientCredentials | BearerToken | ApiToken | Password | SandboxToken


@dataclass(frozen=True)
class Server:
    """A base URL, without trailing slash or user, and the credentials for it."""

    base_url: str
    credentials: Credentials


@dataclass(frozen=True)
class AccountNames:
    """The names of one account over time, to decide whether a file belongs to it.

    Attributes:
        current: the name for new files; None if it is not known.
        former: earlier names of the account (ZENDESK_FORMER_SUBDOMAINS).
    """

    current: str | None
    former: tuple[str, ...] = ()

    def current_of(self, name: str) -> str:
        """The account's current name if `name` is one of its names; otherwise `name`."""
        return self.current if self.current is not None and name in self.former else name

    def how_to_include(self, name: str) -> str:
        """A sentence on how to make `name` a former name of this account; empty if it can't be one."""
        if SANDBOX_ACCOUNT in (name, self.current) or not _SUBDOMAIN.fullmatch(name):
            return ""
        names = ",".join((*self.former, name))
        return (
            f"If {name} is this account's former name, set {FORMER_SUBDOMAINS}={names}: its files then belong to this account."
        )


@dataclass(frozen=True)
class CredentialFindings:
    """The credentials that are set. `credentials` is None if there are problems or no variable is set."""

    credentials: Credentials | None
    variables: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def parse_subdomain(text: str) -> str:
    """The subdomain in lower case; empty text stays empty.

    Raises:
        ValueError: it is not a single DNS label.
    """
    if text and not _SUBDOMAIN.fullmatch(text.lower()):
        raise ValueError("give the first part of the host only: acme for https://acme.zendesk.com")
    return text.lower()


def parse_former_subdomains(text: str) -> tuple[str, ...]:
    """The subdomains in `text`, which commas separate, in lower case and each once; none for empty text.

    Raises:
        ValueError: one of them is not a single DNS label; the message gives its position, not its text.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for number, name in enumerate(names, 1):
        try:
            parse_subdomain(name)
        except ValueError as error:
            raise ValueError(f"name {number} of {len(names)}: {error}; separate several by commas") from None
    return tuple(dict.fromkeys(name.lower() for name in names))


def parse_base_url(text: str) -> str:
    """The base URL without a trailing slash; empty text stays empty.

    Raises:
        ValueError: credentials must not be sent to this URL. The text is not quoted: people paste user:password@ into URLs.
    """
    if not text:
        return ""
    url = split_url(text)
    if url.username is not None or url.password is not None or url.query or url.fragment:
        raise ValueError("give scheme, host and path only, no user, query or fragment")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise ValueError(
            "must begin with https:// (plain http only to a loopback address), or credentials would be sent unencrypted"
        )
    if re.search(r"/api(/v2)?/?$", url.path):
        raise ValueError("give it without /api/v2, which the requests add")
    return text.rstrip("/")


def parse_sandbox_url(text: str) -> str:
    """The URL of a sandbox that runs as a service, without a trailing slash; empty text stays empty.

    Raises:
        ValueError: it is no such URL. The text is not quoted: people paste user:password@ into URLs.
    """
    if not text:
        return ""
    url = split_url(text)
    if url.scheme not in ("http", "https") or url.username is not None or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("give scheme, host and port only, as in http://sandbox:8743")
    if f".{url.hostname}".endswith(".zendesk.com"):
        raise ValueError("names the host of `ticket-events sandbox`; for an account at Zendesk set ZENDESK_SUBDOMAIN instead")
    return text.rstrip("/")


def parse_sandbox_token(text: str) -> str:
    """The token; empty text stays empty.

    Raises:
        ValueError: it can't be sent in a header.
    """
    if text and not _VISIBLE_ASCII.fullmatch(text):
        raise ValueError("contains a character that no token has (a space, a line end, non-ASCII)")
    return text


def parse_support_type_scope(text: str) -> str:
    """The scope in lower case; empty text means the default.

    Raises:
        ValueError: it is none of SUPPORT_TYPE_SCOPES.
    """
    scope = text.lower() or DEFAULT_SUPPORT_TYPE_SCOPE
    if scope not in SUPPORT_TYPE_SCOPES:
        raise ValueError(f"{text!r} is none of {', '.join(SUPPORT_TYPE_SCOPES)}")
    return scope


def split_url(text: str) -> SplitResult:
    """The parts of an http URL.

    Raises:
        ValueError: it is not one. The text is not quoted: it may contain a credential.
    """
    try:
        url = urlsplit(text)
        if not url.hostname or url.port == 0 or not _VISIBLE_ASCII.fullmatch(text):
            raise ValueError
    except ValueError:  # its own text would quote the URL
        raise ValueError("is not a URL of the form https://host") from None
    return url


def is_loopback(host: str) -> bool:
    """Whether a connection to `host` stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def account_of(base_url: str) -> str:
    """The account's name in `base_url`: the subdomain of a zendesk.com host, else the host without its port."""
    host = urlsplit(base_url).hostname or ""
    return host.removesuffix(".zendesk.com").split(".")[0] if host.endswith(".zendesk.com") else host


def zendesk_subdomain(host: str) -> str | None:
    """The subdomain of a zendesk.com host; None for any other host."""
    name = host.removesuffix(".zendesk.com")
    return name if name != host and _SUBDOMAIN.fullmatch(name) else None


def find_credentials(variables: Mapping[str, str]) -> CredentialFindings:
    """The one set of credentials among `variables` (an empty value counts as unset), or what is wrong with them."""
    present = tuple(name for name in _VARIABLES if variables.get(name))
    # An e-mail address alone selects no kind: it may be left over next to an OAuth token.
    asked = [(kind, names) for kind, names in _KINDS if set(names) & set(present) - {"ZENDESK_EMAIL"}]
    if len(asked) > 1:
        sets = " and ".join("/".join(name for name in names if name in present) for _, names in asked)
        return CredentialFindings(None, present, (f"{len(asked)} sets of credentials are set, {sets}: keep one",))
    if not asked:
        alone = f"ZENDESK_EMAIL is set without ZENDESK_API_TOKEN. Better set {CLIENT_CREDENTIALS}"
        return CredentialFindings(None, present, (alone,) if present else ())
    kind, names = asked[0]
    problems = [problem for name in names if (problem := _problem_with(name, variables.get(name, "")))]
    if problems:
        return CredentialFindings(None, present, tuple(problems))
    warning = _WARNINGS.get(names[-1])
    warnings = (warning,) if warning else ()
    return CredentialFindings(kind(*(variables[name] for name in names)), present, warnings=warnings)


_KINDS: tuple[tuple[Callable[..., Credentials], tuple[str, ...]], ...] = (
    (ClientCredentials, ("ZENDESK_OAUTH_CLIENT_ID", "ZENDESK_OAUTH_CLIENT_SECRET")),
    (BearerToken, ("ZENDESK_OAUTH_TOKEN",)),
    (ApiToken, ("ZENDESK_EMAIL", "ZENDESK_API_TOKEN")),
    (Password, ("ZENDESK_EMAIL", "ZENDESK_PASSWORD")),
)
_WARNINGS = {"ZENDESK_API_TOKEN": _API_TOKEN_WARNING, "ZENDESK_PASSWORD": _PASSWORD_WARNING}
_VARIABLES = dict.fromkeys(name for _, names in _KINDS for name in names)


def _problem_with(name: str, value: str) -> str | None:
    if not value:
        return f"{name} is not set, but its counterpart is"
    if name == "ZENDESK_EMAIL":
        return None if _EMAIL.fullmatch(value) else "ZENDESK_EMAIL: is not an e-mail address (give it without /token)"
    if name == "ZENDESK_PASSWORD":
        return None if value.isprintable() else "ZENDESK_PASSWORD: contains a line end or another control character"
    return (
        None
        if _VISIBLE_ASCII.fullmatch(value)
        else f"{name}: contains a character that no token has (a space, a line end, non-ASCII)"
    )

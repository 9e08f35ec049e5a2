# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Authentication: challenges (RFC 9110, section 11), token requests (distribution, "Token Authentication") and their cache."""

from __future__ import annotations

import json
import re
import time
import typing as t
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from .._errors import (
    InvalidInput,
    ProtocolError,
    RegistryError,
    Unauthorized,
    UnsafeTarget,
    printable,
    without_secrets,
)
from .._parallel import SingleFlight
from .credentials import Credentials
from .origin import Origin, check_hop, is_listed, origin_of, safe_url

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Commas stand between parameters as well as between challenges, and some registries forget them.
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|\Z)")
_JUNK = re.compile(r'[\s,]*(?:"(?:[^"\\]|\\.)*"?|[^\s,"]+)')
_TOKEN_TEXT = re.compile(r"[\x21-\x7e]+\Z")
_MIN_LIFETIME = 60
_MAX_LIFETIME = 24 * 3600
# Docker Hub's token service stands beside its registry; others like it are named with trusted_realms.
_KNOWN_REALMS = {"registry-1.docker.io": "auth.docker.io"}


@dataclass(frozen=True)
class Challenge:
    """One way in that a 401 offers: the scheme in lower case and its parameters."""

    scheme: str
    parameters: t.Mapping[str, str] = field(default_factory=dict)


def parse_challenges(values: t.Iterable[str]) -> list[Challenge]:
    """Read ``WWW-Authenticate`` values: several headers, several challenges in one, quoted commas.

    What cannot be read is passed over, as another challenge may still do.
    """
    challenges = []
    for value in values:
        position = 0
        while True:
            scheme = _SCHEME.match(value, position)
            if not scheme:
                junk = _JUNK.match(value, position)
                if not junk:
                    break
                position = junk.end()
                continue
            position = scheme.end()
            parameters: dict[str, str] = {}
            found = _PARAMETER.match(value, position)
            while found:
                quoted, plain = found.group(2), found.group(3)
                text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
                parameters.setdefault(found.group(1).lower(), text)
                position = found.end()
                found = _PARAMETER.match(value, position)
            challenges.append(Challenge(scheme.group(1).lower(), parameters))
    return challenges


def wanted_access(challenges: t.Iterable[Challenge]) -> set[tuple[str, frozenset[str]]]:
    """Return the resources of all scopes in ``challenges`` with the actions on them, which come in any order."""
    scopes = " ".join(challenge.parameters.get("scope", "") for challenge in challenges).split()
    parts = (one.rpartition(":") for one in scopes)
    return {(resource, frozenset(actions.split(","))) for resource, _colon, actions in parts}


class Answer(t.NamedTuple):
    """What a token service answered."""

    status: int
    body: bytes


class Fetch(t.Protocol):
    """Sends one token request, following no redirect; given by the transport."""

    def __call__(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer: ...


@dataclass(frozen=True)
class Token:
    value: str
    expires: float


def scope(repository: str, *actions: str) -> str:
    """Return the scope for ``actions`` on ``repository``, such as ``repository:team/app:pull,push``."""
    return f"repository:{repository}:{','.join(actions)}"


CATALOG_SCOPE = "registry:catalog:*"


class Authorizer:
    """Answers the challenges of one origin with one set of credentials.

    Tokens are kept in memory, by the scopes that they were asked for. Threads that need the same token share one
    request for it, and no lock is held while it is under way.
    """

    def __init__(
        self,
        origin: Origin,
        credentials: t.Callable[[str], Credentials],
        fetch: Fetch,
        trusted_realms: t.Sequence[str] = (),
        clock: t.Callable[[], float] = time.monotonic,
        hide: t.Callable[[str], None] | None = None,
        depth: t.Callable[[], int] = lambda: 0,
    ) -> None:
        """``credentials`` gives those for a repository (the empty name: for the registry itself).

        ``hide`` is told every token, to keep it out of output: some registries quote it when they refuse it. ``depth``
        gives the registry's inwardness(), where its name does not tell.
        """
        self._origin = origin
        self._credentials = credentials
        self._fetch = fetch
        self._trusted_realms = trusted_realms
        self._clock = clock
        self._hide = hide
        self._depth = depth
        self._way: Challenge | None = None
        self._tokens: SingleFlight[tuple[Credentials, frozenset[str]], Token] = SingleFlight()

    @property
    def scheme(self) -> str | None:
        """``basic`` or ``bearer``, as the registry asked for it, or None while it has not asked."""
        return self._way.scheme if self._way else None

    def header(self, scopes: t.Sequence[str]) -> str | None:
        """Return the ``Authorization`` for a request that needs ``scopes``, or None while no challenge was seen.

        Once the registry has shown its way in, tokens are fetched ahead, so that no upload is sent in vain.
        """
        credentials = self._for(scopes)
        if credentials.token:
            if not _TOKEN_TEXT.match(credentials.token):
                raise InvalidInput(f"The token from {credentials.source} holds characters that no token has.")
            return f"Bearer {credentials.token}"
        if self._way is None:
            return None
        if self._way.scheme == "basic":
            return f"Basic {credentials.basic}" if credentials.username else None
        return f"Bearer {self._token(credentials, self._way, scopes, scopes).value}"

    def answer(self, challenges: t.Sequence[Challenge], scopes: t.Sequence[str], sent: str | None) -> str:
        """Return the ``Authorization`` that answers a 401 whose request carried ``sent``. Raises Unauthorized."""
        credentials = self._for(scopes)
        if credentials.token:
            raise Unauthorized(f"{self._origin.host} does not accept the token from {credentials.source}.")
        offered = {challenge.scheme: challenge for challenge in reversed(challenges)}
        bearer = offered.get("bearer")
        if bearer and bearer.parameters.get("realm"):
            try:
                rejected = sent[len("Bearer ") :] if sent and sent.startswith("Bearer ") else None
                asked = _asked(bearer.parameters.get("scope", "").split(), scopes)
                value = self._token(credentials, bearer, scopes, asked, rejected).value
                self._way = bearer
                return f"Bearer {value}"
            except RegistryError:
                if "basic" not in offered or credentials.anonymous:
                    raise
        if "basic" in offered or (not challenges and self._way and self._way.scheme == "basic"):
            if credentials.anonymous:
                raise Unauthorized(
                    f"{self._origin.host} asks for a user name and password, and none were found:"
                    " set username and password, or auth_file."
                )
            if not credentials.username:
                raise Unauthorized(
                    f"{self._origin.host} takes a user name and password, not an identity token."
                )
            value = f"Basic {credentials.basic}"
            if sent == value:
                raise Unauthorized(
                    f"{self._origin.host} does not accept the user name and password from {credentials.source}."
                )
            self._way = offered.get("basic", self._way)
            return value
        schemes = printable(", ".join(challenge.scheme for challenge in challenges), 200) or "none at all"
        raise Unauthorized(
            f"{self._origin.host} offers no way to authenticate that is supported (offered: {schemes})."
        )

    def _for(self, scopes: t.Sequence[str]) -> Credentials:
        """Credentials may be bound to a path: the first scope is that of the request's own repository."""
        kind, _colon, rest = (scopes[0] if scopes else "").partition(":")
        return self._credentials(rest.rpartition(":")[0] if kind == "repository" else "")

    def _token(
        self,
        credentials: Credentials,
        way: Challenge,
        scopes: t.Sequence[str],
        asked: t.Sequence[str],
        rejected: str | None = None,
    ) -> Token:
        return self._tokens.get(
            (credentials, frozenset(scopes)),
            lambda: self._request(credentials, way, asked),
            lambda token: token.value != rejected and token.expires > self._clock(),
        )

    def _request(self, credentials: Credentials, way: Challenge, scopes: t.Sequence[str]) -> Token:
        realm = way.parameters["realm"]
        self._check_realm(realm, credentials)
        answer = Answer(0, b"")
        for attempt in _without_delete(scopes):
            answer = self._ask(realm, way.parameters.get("service"), attempt, credentials)
            if answer.status == 200:
                return self._read_token(answer.body, realm)
            if answer.status != 400:
                break
        if answer.status in (400, 401, 403):
            who = (
                "anonymous access" if credentials.anonymous else f"the credentials from {credentials.source}"
            )
            raise Unauthorized(
                f"The token service {origin_of(realm).host} refuses {who} (HTTP {answer.status})"
                + _said(answer.body, credentials)
                + ": check the user name, the password and the rights on the repository.",
                status=answer.status,
                url=safe_url(realm),
            )
        raise ProtocolError(
            f"The token service {origin_of(realm).host} answered HTTP {answer.status}{_said(answer.body, credentials)}.",
            status=answer.status,
            url=safe_url(realm),
        )

    def _ask(
        self, realm: str, service: str | None, scopes: t.Sequence[str], credentials: Credentials
    ) -> Answer:
        fields = [("service", service)] if service else []
        if credentials.identity_token:
            form = [("grant_type", "refresh_token"), ("client_id", "ocikit.registry")] + fields
            form += [("scope", " ".join(scopes))] if scopes else []
            form += [("refresh_token", credentials.identity_token)]
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._fetch("POST", realm, headers, _query(form).encode())
            if answer.status not in (404, 405) or not credentials.password:
                return answer
        fields += [("scope", one) for one in scopes]
        headers = {}
        if credentials.username:
            fields.append(("account", credentials.username))
            headers["Authorization"] = f"Basic {credentials.basic}"
        parts = urlsplit(realm)
        query = _query(parse_qsl(parts.query, keep_blank_values=True) + fields)
        return self._fetch("GET", urlunsplit(parts._replace(query=query, fragment="")), headers, None)

    def _read_token(self, body: bytes, realm: str) -> Token:
        try:
            data = json.loads(body)
            value = data.get("token") or data.get("access_token")
            lifetime = float(data.get("expires_in") or 0)
        except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
            value, lifetime = None, 0.0
        if not isinstance(value, str) or not _TOKEN_TEXT.match(value):
            raise ProtocolError(
                f"The token service {origin_of(realm).host} gave no token.", url=safe_url(realm)
            )
        if self._hide:
            self._hide(value)
        lifetime = min(max(_MIN_LIFETIME, lifetime), _MAX_LIFETIME)
        return Token(value, self._clock() + lifetime - min(10.0, lifetime * 0.2))

    def _check_realm(self, realm: str, credentials: Credentials) -> None:
        """Let credentials go to the token service only where it belongs to the registry. Raises UnsafeTarget."""
        target = check_hop(self._origin, realm, "token service address", self._depth())
        if target.scheme == "http" and target.host != self._origin.host:
            raise UnsafeTarget(
                f"The token service of {self._origin.host} is on another host without TLS: {target.host}."
            )
        if credentials.anonymous or self._trusts(target):
            return
        raise UnsafeTarget(
            f"{self._origin.host} wants the credentials sent to {target.host}, another host. If that is its token"
            f" service, set trusted_realms: [{target.host}]."
        )

    def _trusts(self, target: Origin) -> bool:
        mine = self._origin.host
        if target.host == mine or _KNOWN_REALMS.get(mine) == target.host:
            return True
        # The owner of a domain also decides over the names below it, not over those beside it.
        is_name = not mine[-1].isdigit() and ":" not in mine
        if is_name and (
            target.host.endswith("." + mine) or ("." in target.host and mine.endswith("." + target.host))
        ):
            return True
        return is_listed(target, self._trusted_realms)


def _query(fields: t.Sequence[tuple[str, str]]) -> str:
    """Encode a form or query. Bytes of the environment that are not UTF-8 go out as they came."""
    return urlencode(fields, errors="surrogateescape")


def _asked(challenged: t.Sequence[str], needed: t.Sequence[str]) -> list[str]:
    """The challenge's scopes as they are named there, with the actions that this request needs on the same resources.

    They stay in the challenge's order: some token services read only the first.
    """
    if not challenged:
        return list(needed)
    wanted = {
        resource: actions.split(",") for resource, _colon, actions in (one.rpartition(":") for one in needed)
    }
    asked = []
    for one in challenged:
        # Gitea's scope is a bare *.
        resource, colon, actions = one.rpartition(":")
        merged = dict.fromkeys(actions.split(",") + wanted.get(resource, []))
        asked.append(f"{resource}{colon}{','.join(merged)}")
    return asked


def _without_delete(scopes: t.Sequence[str]) -> t.Iterator[list[str]]:
    """The scopes, then two spellings for token services that do not know the action ``delete`` (Quay)."""
    yield list(scopes)
    for instead in ("*", "pull,push"):
        replaced = [
            f"{one.rpartition(':')[0]}:{instead}" if "delete" in one.rpartition(":")[2].split(",") else one
            for one in scopes
        ]
        if replaced != list(scopes):
            yield replaced


def _said(body: bytes, credentials: Credentials) -> str:
    """What a token service says of a refusal, if it does so in a known form. It may quote what it refuses."""
    try:
        data = json.loads(body)
        text = str(data.get("details") or data.get("message") or data["errors"][0]["message"])
    except (ValueError, AttributeError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return f" saying {printable(without_secrets(text, credentials.secrets), 200)!r}"

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Authentication: challenges (RFC 9110, section 11), token requests (distribution, "Token Authentication") and their tokens.

Nothing is sent here. A flow yields what is to be sent, and is given the answers: httpx's ``auth_flow`` is the model.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import typing as t
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from .._errors import InvalidInput, ProtocolError, RegistryError, Unauthorized, UnsafeTarget, printable
from .._parallel import SingleFlight
from .._secrets import Secrets
from .address_guard import AddressGuard
from .credentials import Credentials
from .origin import REDIRECTS, Origin, is_listed, is_related, origin_of, safe_url, with_https

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Commas stand between parameters as well as between challenges, and some registries forget them.
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|\Z)")
_JUNK = re.compile(r'[\s,]*(?:"(?:[^"\\]|\\.)*"?|[^\s,"]+)')
_TOKEN_TEXT = re.compile(r"[\x21-\x7e]+\Z")
_MIN_LIFETIME = 60
_MAX_LIFETIME = 24 * 3600
_MAX_ANSWERS = 2
_MAX_REDIRECTS = 5
# So many repositories share a token: each makes it longer, and servers limit headers.
_GROUP = 10
# Docker Hub's token service stands beside its registry; others like it are named with trusted_realms.
_KNOWN_REALMS = {"registry-1.docker.io": "auth.docker.io"}


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate that a 401 offers: the scheme in lower case and its parameters."""

    scheme: str
    parameters: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def scopes(self) -> list[str]:
        """The scopes that the registry asks for."""
        return self.parameters.get("scope", "").split()


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
            parameter = _PARAMETER.match(value, position)
            while parameter:
                quoted, plain = parameter.group(2), parameter.group(3)
                text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
                parameters.setdefault(parameter.group(1).lower(), text)
                position = parameter.end()
                parameter = _PARAMETER.match(value, position)
            challenges.append(Challenge(scheme.group(1).lower(), parameters))
    return challenges


# The steps of a flow


class Send(t.NamedTuple):
    """Send the request itself, with this ``Authorization``."""

    authorization: str | None


class AskBase(t.NamedTuple):
    """GET the base of the API without credentials, for its challenge."""


@dataclass(frozen=True)
class TokenRequest:
    """Send this to a token service. A redirect is not followed: the flow decides about it."""

    method: str
    url: str
    headers: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


class Answer(t.NamedTuple):
    """What a step was answered, at ``time`` (seconds of the clock that flow() is given the time of).

    ``challenges`` are the ``WWW-Authenticate`` values. ``redirected`` says that another origin than the registry answered.
    """

    status: int
    body: bytes = b""
    challenges: t.Sequence[str] = ()
    location: str | None = None
    time: float = 0.0
    redirected: bool = False


Step = t.Union[Send, AskBase, TokenRequest]
Result = t.TypeVar("Result")
Flow = t.Generator[Step, Answer, Result]
# Returns the scopes that a task will need besides those of a request.
Ahead = t.Callable[[], t.Sequence[str]]


@dataclass(frozen=True)
class Token:
    """A token of a token service: asked for with ``scopes``, received and to be replaced at these times."""

    value: str
    scopes: frozenset[str]
    received: float
    expires: float


def scope(repository: str, *actions: str) -> str:
    """Return the scope for ``actions`` on ``repository``, such as ``repository:team/app:pull,push``."""
    return f"repository:{repository}:{','.join(actions)}"


CATALOG_SCOPE = "registry:catalog:*"


class Auth:
    """Authenticates requests to one origin.

    The way to authenticate is asked for once, at the base of the API, before credentials are sent. Tokens are kept in
    memory, by the credentials and scopes that they were asked for with. Threads that need the same token share one
    request for it, and no lock is held while it is under way.
    """

    def __init__(
        self,
        origin: Origin,
        guard: AddressGuard,
        secrets: Secrets,
        trusted_realms: t.Sequence[str] = (),
        option_prefix: str = "",
    ) -> None:
        """``secrets`` learns every token: some registries quote it when they refuse it.

        ``option_prefix`` stands before the names of options in messages.
        """
        self._origin = origin
        self._guard = guard
        self._secrets = secrets
        self._trusted_realms = trusted_realms
        self._prefix = option_prefix
        self._offered: dict[str, Challenge] = {}
        self._open = False
        self._base: SingleFlight[str, Answer] = SingleFlight()
        self._tokens: SingleFlight[tuple[Credentials, frozenset[str]], Token] = SingleFlight()
        # By the header with a user name and password, whether these were accepted.
        self._accepted: SingleFlight[str, bool] = SingleFlight()
        # Scopes that are asked for together; an empty list where the token service does not grant them so.
        self._groups: dict[Credentials, list[frozenset[str]]] = {}
        self._lock = threading.Lock()
        self._grouping = True
        self._received: list[str] = []

    def adopt(self, secrets: Secrets) -> None:
        """Go on for another task, whose ``secrets`` learn the tokens so far: the registry may quote them."""
        secrets.add(*self._received)
        self._secrets = secrets

    @property
    def scheme(self) -> str | None:
        """``basic`` or ``bearer``, as the registry asks for it; None where it has not asked, or for something else."""
        return next((scheme for scheme in ("bearer", "basic") if scheme in self._offered), None)

    def flow(
        self, scopes: t.Sequence[str], credentials: Credentials, now: float, ahead: Ahead = tuple
    ) -> Flow[None]:
        """Yield the steps of a request that needs ``scopes``; the last Send has the final answer.

        ``now`` is the time in seconds of a monotonic clock, the one of Answer.time. ``ahead`` tells the scopes that other
        requests with the same credentials will need: one token may have them all.

        Raises:
            Unauthorized: the registry or its token service does not accept the credentials, or needs some.
            UnsafeTarget: the token service must not see them.
            ProtocolError: the token service gives no token.
            InvalidInput: a token cannot be sent.
        """
        self._secrets.add(*credentials.secrets)
        authorization, token = yield from self._ahead(scopes, credentials, now, ahead)
        for attempt in range(_MAX_ANSWERS + 1):
            answer = yield from self._send(authorization)
            if answer.status != 401 or attempt == _MAX_ANSWERS:
                return
            challenges = parse_challenges(answer.challenges)
            if not challenges:
                # Some registries say how to authenticate at the base of their API only.
                answer = yield from self._ask_base()
                challenges = [
                    replace(challenge, parameters={**challenge.parameters, "scope": ""})
                    for challenge in parse_challenges(answer.challenges)
                ]
            fresh = token is not None and token.received >= now
            if token and fresh and all(_covers(token.scopes, challenge.scopes) for challenge in challenges):
                # A fresh token that is refused is a matter of rights.
                return
            authorization, token = yield from self._answer(
                challenges, scopes, credentials, authorization, token, now, ahead
            )

    def anonymous_flow(self, now: float) -> Flow[None]:
        """Yield the steps of a request to which no credentials are sent: a token is asked for if that is offered.

        It has the scopes of the challenge. Raises UnsafeTarget and what a token service answers.
        """
        answer = yield Send(None)
        challenges = parse_challenges(answer.challenges) if answer.status == 401 else []
        bearer = _by_scheme(challenges).get("bearer")
        if bearer:
            key = (Credentials(), frozenset(bearer.scopes))
            token = yield from self._token(key, bearer, [bearer.scopes], None, now, tuple)
            yield Send(f"Bearer {token.value}")

    def _send(self, authorization: str | None) -> Flow[Answer]:
        """Send a request. As long as no user name and password were accepted, requests with them go one after the other.

        Some registries lock an account after a few wrong ones.
        """
        if authorization is None or not authorization.startswith("Basic "):
            return (yield Send(authorization))
        while True:
            claim = self._accepted.claim(authorization, bool)
            if claim.owned:
                with claim:
                    answer = yield Send(authorization)
                    claim.make(answer.status < 500 and answer.status not in (401, 429))
                    return answer
            if claim.wait():
                return (yield Send(authorization))

    # The way to authenticate

    def _ahead(
        self, scopes: t.Sequence[str], credentials: Credentials, now: float, ahead: Ahead
    ) -> Flow[tuple[str | None, Token | None]]:
        """Return the ``Authorization`` to begin with. Credentials that exist are used: see docs/authentication.md.

        Once the registry has said how to authenticate, tokens are fetched ahead, so that no upload is sent in vain.
        """
        if credentials.token:
            if not _TOKEN_TEXT.match(credentials.token):
                raise InvalidInput(f"The token from {credentials.source} holds characters that no token has.")
            return f"Bearer {credentials.token}", None
        if not self._offered and not credentials.anonymous:
            yield from self._ask_base()
        if not self._offered:
            # A registry that shows less to anonymous clients need not say so.
            return (f"Basic {credentials.basic}" if self._open and credentials.username else None), None
        if "bearer" not in self._offered and not credentials.username:
            return None, None
        return (yield from self._enter(self._offered, [scopes], scopes, credentials, None, None, now, ahead))

    def _ask_base(self) -> Flow[Answer]:
        """Ask once how to authenticate."""
        claim = self._base.claim("base", lambda answer: answer.status < 500)
        if not claim.owned:
            return claim.wait()
        with claim:
            answer = yield AskBase()
            if not answer.redirected:
                challenges = parse_challenges(answer.challenges)
                self._open = not challenges
                self._offered = self._offered or _by_scheme(challenges)
            return claim.make(answer)

    def _answer(
        self,
        challenges: t.Sequence[Challenge],
        scopes: t.Sequence[str],
        credentials: Credentials,
        sent: str | None,
        rejected: Token | None,
        now: float,
        ahead: Ahead,
    ) -> Flow[tuple[str, Token | None]]:
        """Return the ``Authorization`` that answers a 401 whose request carried ``sent``."""
        if credentials.token:
            raise Unauthorized(f"{self._origin} does not accept the token from {credentials.source}.")
        offered = _by_scheme(challenges)
        if not challenges and self.scheme == "basic":
            offered = self._offered
        if not offered:
            schemes = printable(", ".join(challenge.scheme for challenge in challenges), 200) or "none at all"
            raise Unauthorized(
                f"{self._origin} offers no way to authenticate that is supported (offered: {schemes})."
            )
        asked = _scope_sets(offered["bearer"].scopes, scopes, rejected) if "bearer" in offered else []
        return (yield from self._enter(offered, asked, scopes, credentials, sent, rejected, now, ahead))

    def _enter(
        self,
        offered: dict[str, Challenge],
        asked: t.Sequence[t.Sequence[str]],
        scopes: t.Sequence[str],
        credentials: Credentials,
        sent: str | None,
        rejected: Token | None,
        now: float,
        ahead: Ahead,
    ) -> Flow[tuple[str, Token | None]]:
        """Return the ``Authorization`` of one of the ``offered`` schemes, Bearer before Basic, but not ``sent`` again."""
        if "bearer" in offered:
            try:
                key = (credentials, frozenset(scopes))
                token = yield from self._token(key, offered["bearer"], asked, rejected, now, ahead)
                self._offered = {"bearer": offered["bearer"]}
                return f"Bearer {token.value}", token
            except RegistryError:
                if "basic" not in offered or not credentials.username:
                    raise
        if credentials.anonymous:
            raise Unauthorized(
                f"{self._origin} asks for a user name and password, and none were found{credentials.searched}: set"
                f" {self._prefix}username and {self._prefix}password, or {self._prefix}auth_file."
            )
        if not credentials.username:
            raise Unauthorized(f"{self._origin} takes a user name and password, not an identity token.")
        value = f"Basic {credentials.basic}"
        if sent == value:
            raise Unauthorized(
                f"{self._origin} does not accept the user name and password from {credentials.source}."
            )
        self._offered = {"basic": offered["basic"]}
        return value, None

    # Tokens

    def _token(
        self,
        key: tuple[Credentials, frozenset[str]],
        challenge: Challenge,
        asked: t.Sequence[t.Sequence[str]],
        rejected: Token | None,
        now: float,
        ahead: Ahead,
    ) -> Flow[Token]:
        """Return the token of ``key``: the one that there is, else what the first of the scope sets ``asked`` gives."""
        refused = rejected.value if rejected else None

        def usable(token: Token) -> bool:
            return token.value != refused and token.expires > now

        claim = self._tokens.claim(key, usable)
        if not claim.owned:
            return claim.wait()
        with claim:
            group = None if rejected else self._group(key[0], asked[0], ahead)
            token = (yield from self._group_token(key[0], challenge, group, usable)) if group else None
            if token and _covers(_granted(token.value), asked[0]):
                return claim.make(token)
            # Not granted, or there is no telling: a registry may answer as if nothing were there.
            self._grouping = self._grouping and not group
            return claim.make((yield from self._request(key[0], challenge, asked)))

    def _group(
        self, credentials: Credentials, scopes: t.Sequence[str], ahead: Ahead
    ) -> frozenset[str] | None:
        """Return scopes with ``scopes`` among them that one token is to be asked for, None where that is no more."""
        if not self._grouping or not all(text.startswith("repository:") for text in scopes):
            return None
        access, coming = _access(scopes), list(ahead())
        with self._lock:
            groups = self._groups.setdefault(credentials, [])
            for group in groups:
                if _covers(group, scopes):
                    return group
            known = _access(text for group in groups for text in group)
            own = [text for text in coming if text.rpartition(":")[0] in access]
            others = [text for text in coming if text.rpartition(":")[0] not in {*access, *known}]
            group = frozenset(_joined([*scopes, *own, *others[: max(_GROUP - len(access), 0)]]))
            if not scopes or _covers(scopes, group):
                return None
            groups.append(group)
            return group

    def _group_token(
        self,
        credentials: Credentials,
        challenge: Challenge,
        scopes: frozenset[str],
        usable: t.Callable[[Token], bool],
    ) -> Flow[Token | None]:
        """Return the token for a group of scopes, None where the token service gives none for all of them."""
        claim = self._tokens.claim((credentials, scopes), usable)
        try:
            if not claim.owned:
                return claim.wait()
            with claim:
                return claim.make((yield from self._request(credentials, challenge, [sorted(scopes)])))
        except Unauthorized:
            return None

    def _request(
        self, credentials: Credentials, challenge: Challenge, asked: t.Sequence[t.Sequence[str]]
    ) -> Flow[Token]:
        realm = with_https(challenge.parameters["realm"], self._origin)
        self._check_realm(realm, credentials)
        answer = Answer(0)
        for scopes in asked:
            for variant in _without_delete(scopes):
                answer = yield from self._ask(
                    realm, challenge.parameters.get("service"), variant, credentials
                )
                if answer.status == 200:
                    return self._read_token(answer, variant, realm)
                if answer.status != 400:
                    break
            if answer.status not in (400, 401, 403):
                break
        service = f"The token service {origin_of(realm)}"
        about: dict[str, t.Any] = {"status": answer.status, "url": safe_url(realm)}
        said = self._said(answer.body)
        if answer.status not in (400, 401, 403):
            raise ProtocolError(f"{service} answered HTTP {answer.status}{said}.", **about)
        if credentials.anonymous:
            raise Unauthorized(
                f"{service} refuses anonymous access (HTTP {answer.status}){said}: no credentials were found"
                f"{credentials.searched}. Set {self._prefix}username and {self._prefix}password, or {self._prefix}auth_file.",
                **about,
            )
        raise Unauthorized(
            f"{service} refuses the credentials from {credentials.source} (HTTP {answer.status}){said}"
            + ("." if said else ": check the user name, the password and the rights on the repository."),
            **about,
        )

    def _ask(
        self, realm: str, service: str | None, scopes: t.Sequence[str], credentials: Credentials
    ) -> Flow[Answer]:
        fields = [("service", service)] if service else []
        if credentials.identity_token:
            form = [("grant_type", "refresh_token"), ("client_id", "ocikit.registry")] + fields
            form += [("scope", " ".join(scopes))] if scopes else []
            form += [("refresh_token", credentials.identity_token)]
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = yield from self._fetch(TokenRequest("POST", realm, headers, _query(form).encode()))
            if answer.status not in (404, 405) or not credentials.password:
                return answer
        fields += [("scope", text) for text in scopes]
        headers = {}
        if credentials.username:
            fields.append(("account", credentials.username))
            headers["Authorization"] = f"Basic {credentials.basic}"
        parts = urlsplit(realm)
        query = _query(parse_qsl(parts.query, keep_blank_values=True) + fields)
        url = urlunsplit(parts._replace(query=query, fragment=""))
        return (yield from self._fetch(TokenRequest("GET", url, headers)))

    def _fetch(self, request: TokenRequest) -> Flow[Answer]:
        """Follow the redirects of a token service within its own origin: elsewhere they could carry credentials anywhere."""
        service = origin_of(request.url)
        for _hop in range(_MAX_REDIRECTS + 1):
            answer = yield request
            if answer.status not in REDIRECTS or not answer.location:
                return answer
            url = self._guard.resolve(request.url, answer.location, "redirect")
            if origin_of(url) != service or (request.method == "POST" and answer.status == 303):
                raise UnsafeTarget(
                    f"The token service {service} redirects to {safe_url(url)}, which the credentials are not sent to.",
                    status=answer.status,
                    url=safe_url(request.url),
                )
            request = replace(request, url=url)
        raise ProtocolError(
            f"The token service {service} redirects more than {_MAX_REDIRECTS} times.",
            url=safe_url(request.url),
        )

    def _read_token(self, answer: Answer, scopes: t.Sequence[str], realm: str) -> Token:
        try:
            data = json.loads(answer.body)
            value = data.get("token") or data.get("access_token")
            lifetime = float(data.get("expires_in") or 0)
        except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
            value, lifetime = None, 0.0
        if not isinstance(value, str) or not _TOKEN_TEXT.match(value):
            raise ProtocolError(f"The token service {origin_of(realm)} gave no token.", url=safe_url(realm))
        self._received.append(value)
        self._secrets.add(value)
        lifetime = min(max(_MIN_LIFETIME, lifetime), _MAX_LIFETIME)
        ends = answer.time + lifetime - min(10.0, lifetime * 0.2)
        return Token(value, frozenset(scopes), answer.time, ends)

    def _said(self, body: bytes) -> str:
        """Return what a token service says of a refusal, if it does so in a known form. It may quote what it refuses."""
        try:
            data = json.loads(body)
            text = str(data.get("details") or data.get("message") or data["errors"][0]["message"])
        except (ValueError, AttributeError, KeyError, IndexError, TypeError, RecursionError):
            return ""
        return f" saying {printable(self._secrets.mask(text), 200)!r}"

    # Trust

    def _check_realm(self, realm: str, credentials: Credentials) -> None:
        """Let credentials go to the token service only where it belongs to the registry. Raises UnsafeTarget."""
        target = self._guard.check(self._origin, realm, "token service address")
        if target.scheme == "http" and target.host != self._origin.host:
            raise UnsafeTarget(
                f"The token service of {self._origin} is on another host without TLS: {target}."
            )
        if credentials.anonymous or self._trusts(target):
            return
        raise UnsafeTarget(
            f"{self._origin} wants the credentials sent to {target}, another host. If that is its token service,"
            f" set {self._prefix}trusted_realms: [{target.host}]."
        )

    def _trusts(self, target: Origin) -> bool:
        known = _KNOWN_REALMS.get(self._origin.host) == target.host
        return known or is_related(self._origin.host, target.host) or is_listed(target, self._trusted_realms)


def _by_scheme(challenges: t.Sequence[Challenge]) -> dict[str, Challenge]:
    """Return the first challenge of each scheme that can be answered."""
    challenges_by_scheme: dict[str, Challenge] = {}
    for challenge in challenges:
        if challenge.scheme == "basic" or (
            challenge.scheme == "bearer" and challenge.parameters.get("realm")
        ):
            challenges_by_scheme.setdefault(challenge.scheme, challenge)
    return challenges_by_scheme


def _query(fields: t.Sequence[tuple[str, str]]) -> str:
    """Encode a form or query. Bytes of the environment that are not UTF-8 go out as they came."""
    return urlencode(fields, errors="surrogateescape")


def _access(scopes: t.Iterable[str]) -> dict[str, set[str]]:
    """Return the actions on each resource; a scope without actions is a resource."""
    access: dict[str, set[str]] = {}
    for text in scopes:
        resource, _colon, actions = text.rpartition(":")
        access.setdefault(resource, set()).update(actions.split(","))
    return access


def _covers(granted: t.Iterable[str], asked: t.Iterable[str]) -> bool:
    """Tell whether the scopes ``granted`` hold all of ``asked``."""
    access = _access(granted)
    return all(
        "*" in access.get(resource, ()) or actions <= access.get(resource, set())
        for resource, actions in _access(asked).items()
    )


def _joined(scopes: t.Iterable[str]) -> list[str]:
    """Return ``scopes`` with one for each resource, which has the actions of all that there are for it."""
    actions: dict[str, dict[str, None]] = {}
    for text in scopes:
        resource, _colon, listed = text.rpartition(":")
        actions.setdefault(resource, {}).update(dict.fromkeys(listed.split(",")))
    return [f"{resource}:{','.join(names)}" for resource, names in actions.items()]


def _granted(token: str) -> list[str]:
    """Return the scopes that a token says it has (distribution, "Token Specification"); none where it does not tell.

    It comes from the token service itself; its signature is for the registry.
    """
    try:
        packed = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        return [f"{entry['type']}:{entry['name']}:{','.join(entry['actions'])}" for entry in claims["access"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def _scope_sets(offered: t.Sequence[str], needed: t.Sequence[str], rejected: Token | None) -> list[list[str]]:
    """Return the sets of scopes to ask for, one after another until the token service grants one.

    The challenge's scopes stay in its order, as some token services read only the first, with the actions that the
    request needs on the same resources; what else it needs follows. A challenge for other repositories than the
    request's is a placeholder, or names them as they are behind a proxy: its scopes are asked for only after those
    that the request needs.
    """
    access = _access(needed)
    repositories = _access(text for text in offered if text.startswith("repository:"))
    foreign = bool(repositories and access) and not access.keys() & repositories.keys()
    if foreign and not (rejected and _covers(rejected.scopes, needed)):
        return [list(needed), list(offered)]
    if foreign:
        return [list(offered)]
    merged = []
    for text in offered:
        # Gitea's scope is a bare *.
        resource, colon, actions = text.rpartition(":")
        missing = sorted(access.get(resource, set()) - set(actions.split(",")))
        merged.append(f"{resource}{colon}{','.join([actions, *missing])}")
    return [merged + [text for text in needed if not _covers(merged, [text])]]


def _without_delete(scopes: t.Sequence[str]) -> t.Iterator[list[str]]:
    """The scopes, then two spellings for token services that do not know the action ``delete`` (Quay)."""
    yield list(scopes)
    for instead in ("*", "pull,push"):
        replaced = [
            f"{text.rpartition(':')[0]}:{instead}" if "delete" in text.rpartition(":")[2].split(",") else text
            for text in scopes
        ]
        if replaced != list(scopes):
            yield replaced

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Where a user name, a password or a token comes from: auth files and credential helpers.

The files are those of containers-auth.json(5) and of Docker's config.json; the helpers speak the protocol of
docker-credential-helpers.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import typing as t
from dataclasses import dataclass, field

from .._errors import InvalidInput, RegistryError, printable
from .._oci.reference import DOCKER_HUB, DOCKER_HUB_NAMES
from .._parallel import SingleFlight
from .._secrets import SHORTEST_SECRET
from .origin import normal_address
from .pipes import refuse_pipe

_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_NAME = re.compile(r"[A-Za-z0-9._-]+\Z")
_HELPER_TIMEOUT = 30
_HELPER_FOUND_NOTHING = b"credentials not found in native keychain"
_IDENTITY_TOKEN_USER = "<token>"
Member = t.TypeVar("Member", str, t.Dict[str, t.Any])


class CredentialHelperFailed(RegistryError):
    """A credential helper is missing, or gives neither credentials nor the answer that it has none."""

    kind = "credential_helper"


@dataclass(frozen=True)
class Credentials:
    """What a registry identifies an account by.

    ``token`` is a bearer token, sent unchanged, ``identity_token`` an OAuth2 refresh token. ``source`` tells people where
    the values come from, ``looked_in`` where they were looked for. Secrets are not part of the representation.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    source: str = "anonymous"
    looked_in: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Raises InvalidInput for text that cannot be sent: JSON can write half of a character."""
        try:
            "".join((self.username, self.password, self.identity_token)).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise InvalidInput(
                f"The credentials from {self.source} hold half of a surrogate pair: write them anew."
            ) from None

    @property
    def anonymous(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.username or self.password or self.token or self.identity_token)

    @property
    def searched(self) -> str:
        """Where credentials were looked for, to follow "none were found" in a sentence."""
        *others, last = self.looked_in or ("",)
        return f" in {', '.join(others)}{' or ' if others else ''}{last}" if last else ""

    @property
    def basic(self) -> str:
        """User name and password as the Basic scheme sends them (RFC 7617)."""
        # Bytes of the environment that are not UTF-8 arrive as surrogates.
        pair = f"{self.username}:{self.password}".encode("utf-8", "surrogateescape")
        return base64.b64encode(pair).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not appear in output."""
        basic = self.basic if self.password else ""
        return tuple(text for text in (self.password, basic, self.token, self.identity_token) if text)

    @property
    def too_short(self) -> tuple[str, ...]:
        """The names of the secrets that are too short to be masked."""
        secrets = {"password": self.password, "token": self.token, "identity token": self.identity_token}
        return tuple(name for name, secret in secrets.items() if 0 < len(secret) < SHORTEST_SECRET)


class Sources:
    """The auth files and helpers that one task has come across: none is read, or asked for a registry, more than once.

    What failed is tried again. Safe for threads; no lock is held while a helper runs.
    """

    def __init__(self) -> None:
        self._files: dict[str, dict[str, t.Any]] = {}
        self._answers: SingleFlight[tuple[str, str], Credentials] = SingleFlight()

    def load(self, path: str) -> dict[str, t.Any]:
        """Return the content of an auth file. Raises OSError, ValueError for no path, and InvalidInput."""
        if path not in self._files:
            self._files[path] = _load(path)
        return self._files[path]

    def ask(self, name: str, registry: str, source: str, environ: t.Mapping[str, str]) -> Credentials:
        """Return what the helper ``name`` has for ``registry``. Threads that want the same wait for one answer.

        ``source`` is the file that names the helper, for messages. Raises CredentialHelperFailed.
        """
        return self._answers.get((name, registry), lambda: _ask_helper(name, registry, source, environ))


def find_credentials(
    registry: str,
    repository: str = "",
    auth_file: str | None = None,
    environ: t.Mapping[str, str] | None = None,
    sources: Sources | None = None,
    default_port: int = 443,
    option: str = "auth_file",
) -> Credentials:
    """Return the credentials that files and environment hold for ``repository`` of ``registry``.

    ``registry`` is the host of references; ``default_port`` is what it and the keys of auth files mean without a port. A file
    named by ``auth_file``, or else by ``REGISTRY_AUTH_FILE``, is the only source. Without one these are asked in turn:
    ``DOCKER_AUTH_CONFIG``, the auth files of the containers tools, Docker's config.json and .dockercfg. The first source
    with credentials decides; without any they are anonymous. ``sources`` knows what was read and asked before. ``option`` is
    what messages call ``auth_file``.

    Raises:
        InvalidInput: content that cannot be used, or a named file that cannot be read.
        CredentialHelperFailed: a credential helper is missing or failed.
    """
    environ = os.environ if environ is None else environ
    sources = sources or Sources()
    query = _Query(registry, repository, default_port)
    looked_in: list[str] = []
    for source, config in _configurations(auth_file, environ, sources, option):
        looked_in.append(source)
        candidates = () if config is None else _in_configuration(query, config, source, environ, sources)
        for credentials in candidates:
            if not credentials.anonymous:
                return credentials
    return Credentials(looked_in=tuple(looked_in))


class _Key(t.NamedTuple):
    """What a key of an auth file is for: a host, a port if it names one, and a path."""

    host: str
    port: int | None
    path: str


class _Query(t.NamedTuple):
    """Whose credentials are looked for."""

    registry: str
    repository: str
    default_port: int

    @property
    def names(self) -> list[str]:
        """The names under which a helper may know the registry: with and without the port that it has anyway."""
        host, _colon, port = self.registry.rpartition(":")
        return [self.registry, host] if port == str(self.default_port) else [self.registry]

    def keys_of(self, scope: str, mapping: t.Mapping[str, t.Any]) -> list[str]:
        """Return the keys that mean ``scope``, a registry with or without a path; those written exactly like it first."""
        place = self._place(scope)
        return sorted((key for key in mapping if self._place(key) == place), key=lambda key: key != scope)

    def _place(self, key: str) -> _Key:
        parsed = _parse_key(key)
        return parsed._replace(port=self.default_port if parsed.port is None else parsed.port)


def _in_configuration(
    query: _Query, config: dict[str, t.Any], source: str, environ: t.Mapping[str, str], sources: Sources
) -> t.Iterator[Credentials]:
    helper = _helper_for(query, config, source)
    for name in query.names if helper else ():
        yield sources.ask(helper, name, source, environ)
    yield from _entries_for(query, config, source)


def _configurations(
    auth_file: str | None, environ: t.Mapping[str, str], sources: Sources, option: str
) -> t.Iterator[tuple[str, dict[str, t.Any] | None]]:
    """Yield each source with its content, None for a file that is not there or may not be read."""
    named = auth_file or environ.get("REGISTRY_AUTH_FILE")
    if named:
        try:
            config = sources.load(named)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "not a valid path")
            option = option if auth_file else "REGISTRY_AUTH_FILE"
            raise InvalidInput(
                f"{printable(named)} cannot be read ({reason}): let {option} name an auth file,"
                " or leave it out."
            ) from None
        yield named, config
        return
    inline = environ.get("DOCKER_AUTH_CONFIG")
    if inline:
        yield "DOCKER_AUTH_CONFIG", _parse(inline, "DOCKER_AUTH_CONFIG")
    for path in _default_files(environ):
        try:
            yield path, sources.load(path)
        except OSError:
            yield path, None


def _default_files(environ: t.Mapping[str, str]) -> tuple[str, ...]:
    home = environ.get("HOME") or os.path.expanduser("~")
    runtime = environ.get("XDG_RUNTIME_DIR")
    volatile = f"{runtime}/containers" if runtime else f"/run/containers/{os.getuid()}"
    settings = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    docker = environ.get("DOCKER_CONFIG") or f"{home}/.docker"
    return (
        f"{volatile}/auth.json",
        f"{settings}/containers/auth.json",
        f"{docker}/config.json",
        f"{home}/.dockercfg",
    )


def _load(path: str) -> dict[str, t.Any]:
    refuse_pipe(path, "An auth file")
    with open(path, "rb") as file:
        config = _parse(file.read().strip() or b"{}", path)
    if os.path.basename(path) == ".dockercfg":
        # The legacy file is the map of entries itself, and all its keys are addresses of an API.
        return {"auths": {key if "://" in key else f"https://{key}": entry for key, entry in config.items()}}
    return config


def _parse(text: str | bytes, source: str) -> dict[str, t.Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{source} is not valid JSON (line {getattr(error, 'lineno', 1)}): correct it."
        ) from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{source} must hold a JSON object.")
    return value


def _member(mapping: dict[str, t.Any], name: str, kind: type[Member], source: str) -> Member:
    """Return a member, or an empty value if it is absent or null. Raises InvalidInput for another type."""
    value = mapping.get(name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        noun = "an object" if kind is dict else "a string"
        raise InvalidInput(f"The value of {printable(name)} in {source} must be {noun}.")
    return value


def _helper_for(query: _Query, config: dict[str, t.Any], source: str) -> str:
    helpers = _member(config, "credHelpers", dict, source)
    keys = query.keys_of(query.registry, helpers)
    # As for Docker, an empty name exempts the registry from credsStore.
    return _member(helpers, keys[0], str, source) if keys else _member(config, "credsStore", str, source)


def _entries_for(query: _Query, config: dict[str, t.Any], source: str) -> t.Iterator[Credentials]:
    """Yield what ``auths`` holds for the repository, the namespaces around it, and the registry."""
    auths = _member(config, "auths", dict, source)
    scope = f"{query.registry}/{query.repository}".rstrip("/")
    while scope:
        for key in query.keys_of(scope, auths):
            yield _read_entry(_member(auths, key, dict, source), key, source)
        scope = scope.rpartition("/")[0]


def _parse_key(key: str) -> _Key:
    """Read a key. A URL, and a host with ``/v1/`` or ``/v2/``, has the path of an API, not of a repository."""
    _scheme, is_url, rest = key.strip().rpartition("://")
    place, _slash, path = rest.partition("/")
    path = path.strip("/")
    match = re.search(r":([0-9]{1,5})\Z", place)
    host, port = (place[: match.start()], match[1]) if match else (place, None)
    name = DOCKER_HUB if host.lower() in DOCKER_HUB_NAMES else normal_address(host.lower())
    is_api = is_url or path in ("v1", "v2")
    return _Key(name, int(port) if port else None, "" if is_api else path)


def _read_entry(entry: dict[str, t.Any], key: str, source: str) -> Credentials:
    auth, username, password, identity_token, token = (
        _member(entry, name, str, source)
        for name in ("auth", "username", "password", "identitytoken", "registrytoken")
    )
    if auth:
        try:
            username, password = _decode(auth)
        except ValueError:
            raise InvalidInput(
                f"The auth of {printable(key)} in {source} is not the base64 form of user:password:"
                " log in again."
            ) from None
    return Credentials(username, password, token, identity_token, source)


def _decode(auth: str) -> tuple[str, str]:
    """Return user name and password of an ``auth`` value; ValueError if there are none."""
    packed = "".join(auth.split())
    text = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
    username, colon, password = text.partition(":")
    if not colon or not username:
        raise ValueError
    # Docker pads the password with NULs.
    return username, password.rstrip("\0")


def _ask_helper(name: str, registry: str, source: str, environ: t.Mapping[str, str]) -> Credentials:
    """Return what ``docker-credential-<name> get`` answers. Its standard error may hold secrets: dropped."""
    if not _HELPER_NAME.match(name):
        raise InvalidInput(
            f"{source} names the credential helper {printable(name, 80)!r}: only letters, digits,"
            " '.', '_' and '-' are allowed."
        )
    program = f"docker-credential-{name}"
    helper = f"{program} (named in {source})"
    # A relative directory would let the working directory decide which program sees the request.
    directories = [item for item in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(item)]
    executable = shutil.which(program, path=os.pathsep.join(directories))
    if executable is None:
        raise CredentialHelperFailed(f"{helper} is not on PATH: install it, or take it out of there.")
    server = _DOCKER_HUB_KEY if _parse_key(registry).host == DOCKER_HUB else registry
    try:
        answer = subprocess.run(
            [executable, "get"],
            input=server.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_HELPER_TIMEOUT,
            env=dict(environ),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CredentialHelperFailed(f"{helper} did not answer within {_HELPER_TIMEOUT} seconds.") from None
    except OSError as error:
        raise CredentialHelperFailed(f"{helper} cannot be run: {error.strerror}.") from None
    if answer.returncode:
        if _HELPER_FOUND_NOTHING in answer.stdout:
            return Credentials()
        raise CredentialHelperFailed(
            f"{helper} failed with exit status {answer.returncode} for {registry}: run it by hand to see why."
        )
    try:
        values = _parse(answer.stdout, helper)
        username, secret = (_member(values, key, str, helper) for key in ("Username", "Secret"))
    except InvalidInput:
        raise CredentialHelperFailed(
            f"{helper} did not answer with a user name and a secret as JSON."
        ) from None
    if username == _IDENTITY_TOKEN_USER:
        return Credentials(identity_token=secret, source=helper)
    return Credentials(username, secret, source=helper)

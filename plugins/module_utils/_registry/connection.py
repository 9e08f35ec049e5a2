# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The connection options, and the registries that one task talks to. Modules and lookups share both."""

from __future__ import annotations

import functools
import threading
import typing as t
from dataclasses import replace

from ansible.module_utils.common.parameters import env_fallback

from .._errors import InvalidInput, RegistryError, printable
from .._http.credentials import Credentials, Sources, find_credentials
from .._http.proxies import proxy_secrets
from .._http.transport import Transport, TransportOptions
from .._oci.reference import DOCKER_HUB, Endpoint, Reference, endpoint, parse, parse_repository
from .._parallel import Concurrency
from .._secrets import SHORTEST_SECRET, Secrets, userinfo_secrets
from .client import RegistryClient
from .option_types import check_number
from .repository import Repository
from .shared_clients import SharedClient, SharedClients, key_of

# The options of the documentation fragment, in its order.
OPTIONS: dict[str, dict[str, t.Any]] = {
    "registry": {"type": "str", "aliases": ["registry_url"]},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
    "identity_token": {"type": "str", "no_log": True},
    "auth_file": {"type": "path", "aliases": ["config_path"]},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path", "aliases": ["ca_cert", "cacert_path"]},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "plain_http": {"type": "bool"},
    "proxy": {"type": "str", "no_log": True},
    "connect_timeout": {"type": "float", "default": 10.0},
    "read_timeout": {"type": "float", "default": 60.0},
    "retries": {"type": "int", "default": 4},
    "concurrency": {"type": "int"},
    "trusted_realms": {"type": "list", "elements": "str", "default": []},
}

# Seconds, further attempts, and threads. What is larger would fail in the system's own calls, or never end.
_RANGES = {
    "connect_timeout": (0.001, 86400),
    "read_timeout": (0.001, 86400),
    "retries": (0, 100),
    "concurrency": (1, 256),
}
# Names none of them: what is masked would show what the secret is.
MASKED_NAMES = (
    "A password or token that the task uses occurs in the name or the digest of an image, or elsewhere in the result. Ansible"
    " masks it wherever it is shown, so that results name other images: use another password or token."
)
_OWN_OF_A_SIDE = frozenset(
    ("registry", "username", "password", "token", "identity_token", "client_cert", "client_key", "plain_http")
)


def environment_variable(option: str) -> str:
    """Return the variable that an option is read from: ``OCIKIT_REGISTRY_`` and its name (the registry: ``URL``)."""
    return "OCIKIT_REGISTRY_" + ("URL" if option == "registry" else option.upper())


def connection_arguments() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of the connection options, each with its environment variable."""
    return with_variables(OPTIONS)


def with_variables(options: t.Mapping[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Return an argument spec whose options are read from their environment variables where they are not given."""
    return {
        name: {**spec, "fallback": (env_fallback, [environment_variable(name)])}
        for name, spec in options.items()
    }


def destination_arguments() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of the option ``destination``: connection options of another side, none with a default."""
    side = {name: {**spec} for name, spec in OPTIONS.items() if name != "concurrency"}
    for spec in side.values():
        spec.pop("default", None)
    return {"destination": {"type": "dict", "options": side}}


class Events:
    """Is told what happens on the way, and holds the secrets that must not be shown. This one drops everything.

    ``keeps_lines`` says whether log() does anything, and ``warned_of_masks`` whether the user knows that the result shows
    names with a secret masked in them.
    """

    def __init__(self, keeps_lines: bool = False) -> None:
        self.keeps_lines = keeps_lines
        self.secrets = Secrets()
        self.warned_of_masks = False

    def warn(self, text: str) -> None:
        """Show a warning."""

    def log(self, line: str) -> None:
        """Keep a line about an exchange."""

    def warn_of_masks(self, names: t.Iterable[object], advice: str = "") -> None:
        """Warn, once in a task, where a result would show one of ``names`` with a secret masked in it.

        ``advice`` is a sentence that follows.
        """
        if not self.warned_of_masks and self.secrets.occur_in(names):
            self.warned_of_masks = True
            self.warn(f"{MASKED_NAMES} {advice}".strip())


class RegistryClients:
    """The registries that one task talks to, with one client for each, made when it is first needed.

    User name, password and tokens given as options belong to one registry: the one of the option ``registry``, else
    the first that the task names. Others get what the auth files hold for them.
    """

    def __init__(
        self,
        options: t.Mapping[str, t.Any],
        events: Events,
        prefix: str = "",
        shared: SharedClients | None = None,
    ) -> None:
        """``options`` has a value, or None, for each of OPTIONS; in messages ``prefix`` stands before their names.

        ``shared`` has clients of earlier tasks, and is given those of this one at the end of its context. Raises InvalidInput.
        """
        self._options = options
        self._prefix = prefix
        self._events = events
        self._shared = shared
        self._to_share: dict[t.Hashable, SharedClient] = {}
        self._sides: list[RegistryClients] = []
        self._given = _given(options, events.secrets, prefix)
        self._concurrency = Concurrency(options["concurrency"])
        self._default = self._endpoint_of_option()
        self._clients: dict[tuple[str, str, int, str], RegistryClient] = {}
        self._names: dict[tuple[str, str, int, str], str] = {}
        self._credentials: dict[tuple[str, str], Credentials] = {}
        self._sources = Sources()
        self._auth_file_option = "auth_file"
        self._lock = threading.Lock()
        self._warned_of_short: set[str] = set()
        self._warn_of_short_secrets(self._given)

    @property
    def concurrency(self) -> Concurrency:
        """How many requests are under way at a time; it changes with what the registry makes of that."""
        return self._concurrency

    def for_destination(self, options: t.Mapping[str, t.Any]) -> RegistryClients:
        """Return the connection to another side: ``options``, and for what they leave out those of this one.

        What proves who asks, and where, is never taken over.
        """
        own = {name: value for name, value in options.items() if value is not None}
        shared = {name: None if name in _OWN_OF_A_SIDE else value for name, value in self._options.items()}
        side = RegistryClients({**shared, **own}, self._events, "destination.", self._shared)
        side._auth_file_option = f"{side._prefix if 'auth_file' in own else self._prefix}auth_file"
        self._sides.append(side)
        return side

    def __enter__(self) -> RegistryClients:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        """Let later tasks have the clients, unless threads may be left that use them, as after an interruption."""
        if kind is None or issubclass(kind, RegistryError):
            for side in self._sides:
                side.__exit__(kind, _error, _trace)
            while self._shared and self._to_share:
                self._shared.keep(*self._to_share.popitem())

    def reference(self, text: str) -> Reference:
        """Read an image reference; one without a host belongs to the option ``registry``, else to Docker Hub.

        A registry keeps the name by which it was named first, so that references can be compared: with or without the
        port that its scheme has anyway.
        """
        return self._named(parse(text, self._options["registry"]))

    def repository(self, text: str) -> Reference:
        """Read a repository: a reference without tag and digest."""
        return self._named(parse_repository(text, self._options["registry"]))

    def client(self, reference: Reference) -> RegistryClient:
        """Return the client of the registry that ``reference`` names."""
        return self._client(reference.registry)

    def repository_of(self, reference: Reference, *actions: str) -> Repository:
        """Return the repository that ``reference`` names, to work on it.

        ``actions`` are those that the task will need besides ``pull``: a token is asked for them once.
        """
        client = self.client(reference)
        client.expect(reference.repository, "pull", *actions)
        return Repository(client, reference.repository, self.concurrency)

    def default(self) -> RegistryClient:
        """Return the client of the registry that references without a host belong to."""
        return self._client(self._default.name if self._default else DOCKER_HUB)

    def credentials(self, registry: str, repository: str) -> Credentials:
        """Return the credentials for a repository; helpers and files are asked once."""
        owner = self._owner()
        if not self._given.anonymous and (owner is None or registry == owner.name):
            return self._given
        key = (registry, repository)
        with self._lock:
            credentials = self._credentials.get(key)
        if credentials is None:
            where = self._endpoint(registry)
            credentials = find_credentials(
                registry,
                repository,
                self._options["auth_file"],
                sources=self._sources,
                default_port=443 if where.scheme == "https" else 80,
                option=self._auth_file_option,
            )
            options = f"the options, which are for {owner.name}" if owner else "the options"
            credentials = replace(credentials, looked_in=(options, *credentials.looked_in))
            self._events.secrets.add(*credentials.secrets)
            self._warn_of_short_secrets(credentials)
            with self._lock:
                self._credentials[key] = credentials
        return credentials

    def _warn_of_short_secrets(self, credentials: Credentials) -> None:
        """Say, once for each source, that a secret is not masked."""
        if not credentials.too_short or credentials.source in self._warned_of_short:
            return
        self._warned_of_short.add(credentials.source)
        self.warn(
            f"The {' and the '.join(credentials.too_short)} from {credentials.source} has fewer than {SHORTEST_SECRET} characters"
            " and is not masked in what the task shows: digests and tags would be masked with it. Use a longer one."
        )

    def _owner(self) -> Endpoint | None:
        """Return the registry that the credentials among the options are for, None where there are none."""
        if self._given.anonymous:
            return None
        with self._lock:
            return self._default or next((client.endpoint for client in self._clients.values()), None)

    def _named(self, reference: Reference) -> Reference:
        where = self._endpoint(reference.registry)
        return replace(reference, registry=self._names.setdefault(where.address, where.name))

    def _client(self, registry: str) -> RegistryClient:
        where = self._endpoint(registry)
        with self._lock:
            client = self._clients.get(where.address)
            if client is None:
                client = self._clients[where.address] = self._make_client(where)
            return client

    def _endpoint(self, registry: str) -> Endpoint:
        """Return the endpoint of a registry's name: that of the option ``registry`` if that has the same host and port."""
        default = self._default
        if default:
            named = endpoint(registry, default.scheme == "http")
            if (named.host, named.port) == (default.host, default.port):
                return default
        return endpoint(registry, self._options["plain_http"])

    def _endpoint_of_option(self) -> Endpoint | None:
        registry = self._options["registry"]
        try:
            return endpoint(registry, self._options["plain_http"]) if registry else None
        except InvalidInput as error:
            raise error.replace_message(
                f"{self._prefix}registry: {error}" if self._prefix else str(error)
            ) from None

    def _make_client(self, where: Endpoint) -> RegistryClient:
        if self._clients and not self._default and not self._given.anonymous:
            first = next(iter(self._clients.values())).endpoint.name
            raise InvalidInput(
                f"The task names two registries, {first} and {where.name}: say with the option"
                f" {self._prefix}registry to which of them the credentials belong."
            )
        options = {
            name: self._options[name]
            for name in TransportOptions.__dataclass_fields__
            if name in OPTIONS and name != "trusted_realms" and self._options[name] is not None
        }
        settings = TransportOptions(
            trusted_realms=tuple(self._options["trusted_realms"] or ()), prefix=self._prefix, **options
        )
        credentials = functools.partial(self.credentials, where.name)
        key = key_of(where, settings, self._given, self._options["auth_file"])
        shared = self._shared.take(key) if self._shared else None
        log = self._events.log if self._events.keeps_lines else None
        if shared:
            shared.transport.adopt(credentials, self._events.secrets, log, self._events.warn)
        else:
            transport = Transport(where, settings, credentials, self._events.secrets, log, self._events.warn)
            shared = SharedClient(RegistryClient(where, transport), transport)
        self._to_share[key] = shared
        return shared.client

    def masks(self, names: t.Iterable[object]) -> bool:
        """Tell whether results would show one of ``names``, images or digests, with a secret masked in it."""
        return self._events.secrets.occur_in(names)

    def warn(self, text: str) -> None:
        """Warn the user. Secrets are masked before the text is cut."""
        self._events.warn(printable(self._events.secrets.mask(text)))

    def warn_of_masks(self, names: t.Iterable[object], advice: str = "") -> None:
        """Warn, once in a task, where its result would show one of ``names`` with a secret masked in it."""
        self._events.warn_of_masks(names, advice)


def _given(options: t.Mapping[str, t.Any], secrets: Secrets, prefix: str) -> Credentials:
    """Read the credentials among the options, and check what goes together; ``prefix`` is that of the options' names."""
    # A registry with a password is refused later, with a sentence; here its password is kept out of all output.
    secrets.add(*userinfo_secrets(options["registry"]))
    username, password = options["username"], options["password"]
    if bool(username) != bool(password):
        names = [f"{prefix}{name}" for name in ("username", "password")]
        raise InvalidInput(f"{names[not username]} needs {names[bool(username)]}.")
    ways = [f"{prefix}{name}" for name in ("username", "token", "identity_token") if options[name]]
    if len(ways) > 1:
        variables = "" if prefix else " (the variables OCIKIT_REGISTRY_* count as well)"
        raise InvalidInput(f"{' and '.join(ways)} exclude each other: set one of them{variables}.")
    for name, (least, most) in _RANGES.items():
        check_number(options[name], f"{prefix}{name}", least, most)
    given = Credentials(
        username=username or "",
        password=password or "",
        token=options["token"] or "",
        identity_token=options["identity_token"] or "",
        source=f"the options {prefix}username and {prefix}password"
        if username
        else f"the option {''.join(ways)}",
    )
    secrets.add(*given.secrets, *proxy_secrets(options["proxy"] or ""))
    return given

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Image references and the endpoints that they belong to.

The grammar is that of distribution/reference: ``[host[:port]/]path[:tag][@digest]``.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from .._errors import InvalidInput, printable

DOCKER_HUB = "docker.io"
DOCKER_HUB_NAMES = frozenset(
    ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
)
_DOCKER_HUB_API = "registry-1.docker.io"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}\Z")
_NO_REGISTRY_CHARACTER = re.compile(r"[\x00-\x20?#]")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])(?::[0-9]{{1,5}})?\Z")
_PREFIX = re.compile(r"(?:/[a-zA-Z0-9_~-][a-zA-Z0-9._~-]*)*/?\Z")
_NAME_LIMIT = 255
# What has no width: joiners, marks of direction, the mark that some editors put before a text.
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"


def trimmed(text: str) -> str:
    """Return ``text`` without the blanks, line ends and invisible characters around it, as lines of a file have them."""
    before = None
    while text != before:
        before, text = text, text.strip().strip(_INVISIBLE)
    return text


def is_digest(text: t.Any) -> bool:
    """Tell whether ``text`` is a digest of a registered algorithm (image-spec, "Digests")."""
    return isinstance(text, str) and _DIGEST.match(text) is not None


def is_tag(text: t.Any) -> bool:
    """Tell whether ``text`` is a valid tag (distribution-spec, "Pulling manifests")."""
    return isinstance(text, str) and _TAG.match(text) is not None


def is_repository(text: t.Any) -> bool:
    """Tell whether ``text`` is a valid repository name (distribution-spec, "Pulling manifests")."""
    return isinstance(text, str) and len(text) <= _NAME_LIMIT and _PATH.match(text) is not None


def check_digest(text: str, option: str = "digest") -> str:
    """Return ``text`` when it is a digest, else raise InvalidInput."""
    if not is_digest(text):
        raise InvalidInput(
            f"{printable(text)!r} is not a valid {option}: write sha256: and 64 lower-case hexadecimal digits."
        )
    return text


def check_tag(text: str) -> str:
    """Return ``text`` when it is a tag, else raise InvalidInput."""
    if not is_tag(text):
        raise InvalidInput(
            f"{printable(text)!r} is not a valid tag: use up to 128 letters, digits, dots, underscores and"
            " dashes, and do not start with a dot or a dash."
        )
    return text


@dataclass(frozen=True)
class Endpoint:
    """Where the API of one registry answers, and the name that references use for it.

    ``name`` is the host of references ("docker.io", "registry.example.com:5000"); ``host`` and ``port`` are those
    that are connected to; ``prefix`` is the path before ``/v2/``, without a slash at its end.
    """

    name: str
    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def base(self) -> str:
        """The URL under which the API's paths stand, ending in ``/v2/``."""
        return f"{self.scheme}://{self.netloc}{self.prefix}/v2/"

    @property
    def netloc(self) -> str:
        """Host and port as they stand in URLs: the scheme's own port is left out."""
        default = 443 if self.scheme == "https" else 80
        return self.host if self.port == default else f"{self.host}:{self.port}"

    @property
    def address(self) -> tuple[str, str, int, str]:
        """What is the same for all names of one registry, such as ``registry.example.com`` with and without ``:443``."""
        return self.scheme, self.host, self.port, self.prefix

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.prefix}"


def endpoint(registry: str, plain_http: bool | None = None) -> Endpoint:
    """Return the endpoint of ``registry``, a host with or without port, or a URL with scheme and path prefix.

    ``plain_http`` decides the scheme where ``registry`` names none; without it loopback hosts speak HTTP and
    all others HTTPS. Raises InvalidInput.
    """
    text = registry.strip()
    if "@" in text:
        raise InvalidInput(
            "The registry must not contain credentials: use the options username and password."
        )
    has_scheme = "://" in text
    invalid = InvalidInput(
        f"{printable(text)!r} is not a valid registry: write a host such as registry.example.com:5000,"
        " or a URL such as https://registry.example.com/prefix."
    )
    try:
        parts = urlsplit(text if has_scheme else "//" + text)
    except ValueError:
        raise invalid from None
    # urlsplit drops line breaks and tabs that stand inside.
    if _NO_REGISTRY_CHARACTER.search(text) or parts.scheme not in ("", "http", "https"):
        raise invalid
    if not _is_host(parts.netloc) or not _PREFIX.match(parts.path):
        raise invalid
    name = parts.netloc.lower()
    host, port = _split_port(name)
    if has_scheme and plain_http is not None and plain_http != (parts.scheme == "http"):
        raise InvalidInput(
            f"plain_http contradicts the scheme of {printable(text)!r}: leave one of them out."
        )
    scheme = parts.scheme or (
        "http" if (is_loopback(host) if plain_http is None else plain_http) else "https"
    )
    if not port:
        port = 443 if scheme == "https" else 80
        if _split_host(f"{host}/")[0] is None:
            # Without its port a name of one label would be read as part of a path.
            name = f"{host}:{port}"
    if host in DOCKER_HUB_NAMES:
        name, host = DOCKER_HUB, _DOCKER_HUB_API
    prefix = parts.path.rstrip("/")
    # People paste the API's own address as well.
    for ending in ("/v2", "/v1"):
        if prefix.endswith(ending):
            prefix = prefix[: -len(ending)]
    return Endpoint(name, scheme, host, port, prefix)


def _is_host(text: str) -> bool:
    if not _HOST.match(text):
        return False
    try:
        return not text.startswith("[") or bool(ipaddress.IPv6Address(text[1:].partition("]")[0]))
    except ValueError:
        return False


def _split_port(netloc: str) -> tuple[str, int | None]:
    host, colon, port = netloc.rpartition(":")
    if not colon or netloc.endswith("]"):
        return netloc, None
    if not 0 < int(port) < 65536:
        raise InvalidInput(f"{netloc!r} has no valid port: ports go from 1 to 65535.")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` (without port) names this machine: localhost or a loopback address."""
    bare = host.strip("[]").rstrip(".")
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Reference:
    """One image, or one repository: ``registry/repository[:tag][@digest]``.

    Where tag and digest are both there, the digest decides and the tag is information for people.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def target(self) -> str:
        """What the manifest is asked for by: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or "latest"

    def with_tag(self, tag: str) -> Reference:
        """Return the reference of ``tag`` in the same repository."""
        return replace(self, tag=check_tag(tag), digest=None)

    def pinned(self, digest: str) -> str:
        """Return ``registry/repository@digest``, the form in which nothing can move."""
        return f"{self.name}@{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse(text: str, registry: str | None = None) -> Reference:
    """Return the reference that ``text`` writes.

    A reference without a host belongs to ``registry`` (a host or URL) when that is given, else to Docker Hub.
    Follows the rules of distribution/reference. Raises InvalidInput with what is wrong.
    """
    written = trimmed(text)
    if not written:
        raise InvalidInput(
            "The image reference is empty: write one such as registry.example.com/team/app:1.4.2."
        )
    if "://" in written:
        raise InvalidInput(
            f"{printable(written.rpartition('@')[2])!r} is not an image reference: leave out the part up to"
            " '://' and, for a registry's address, use the option registry."
        )
    rest, at, digest = written.partition("@")
    if "@" in digest:
        # What stands before the last may be a part of a password, and is not shown.
        raise InvalidInput(
            f"The image reference that ends with {printable(digest.rpartition('@')[2])!r} has more than one @: write one digest"
            " at most, and neither user name nor password before the host."
        )
    if at:
        check_digest(digest)
    host, path = _split_host(rest)
    path, colon, tag = path.partition(":")
    if colon:
        check_tag(tag)
    if host is None:
        name = endpoint(registry).name if registry else DOCKER_HUB
    else:
        if not _is_host(host):
            raise InvalidInput(f"{printable(written)!r} has no valid host: {printable(host)!r}.")
        name = endpoint(host).name
    if name == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    _check_path(path, written)
    return Reference(name, path, tag or None, digest or None)


def parse_repository(text: str, registry: str | None = None) -> Reference:
    """Return the repository that ``text`` names. Raises InvalidInput when it also names a tag or a digest."""
    reference = parse(text, registry)
    if reference.tag or reference.digest:
        raise InvalidInput(f"{printable(text)!r} must be a repository: leave out the tag and the digest.")
    return reference


def _split_host(text: str) -> tuple[str | None, str]:
    """Split the host off, by Docker's rule: the first component is one only if it has a dot or a port, or is localhost.

    Docker also takes any name with a capital letter for a host. That is a mistake in a path, and told as one.
    """
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return None, text


def _check_path(path: str, written: str) -> None:
    if _IMAGE_ID.match(written):
        raise InvalidInput(
            f"{printable(written)!r} looks like an image ID: write a repository, or repository@sha256:…."
        )
    if not _PATH.match(path):
        hint = (
            "names are lower case"
            if path != path.lower()
            else "use lower-case letters, digits, '.', '_', '-' and '/'"
        )
        raise InvalidInput(f"{printable(written)!r} is not a valid image reference: {hint}.")
    if len(path) > _NAME_LIMIT:
        raise InvalidInput(
            f"The repository name in {printable(written, 80)!r} is longer than {_NAME_LIMIT} characters."
        )

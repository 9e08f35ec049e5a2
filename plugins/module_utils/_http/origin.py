# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Origins (scheme, host, port), and where a server may send a request on to."""

from __future__ import annotations

import enum
import fnmatch
import functools
import ipaddress
import re
import typing as t
from urllib.parse import urljoin, urlsplit, urlunsplit

from .._errors import UnsafeTarget, printable
from .._oci.reference import is_loopback
from .public_suffixes import is_domain

REDIRECTS = frozenset((301, 302, 303, 307, 308))
# Compiled here, and so before Ansible starts the process of a task.
_NO_URL_CHARACTER = re.compile(r"[\x00-\x20\x7f\\]")
_PLAIN_PLACE = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?\Z")


class Origin(t.NamedTuple):
    """What credentials are bound to."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, without the port that its scheme has anyway."""
        netloc = (
            str(self)
            if self.port != (443 if self.scheme == "https" else 80)
            else str(self).rpartition(":")[0]
        )
        return f"{self.scheme}://{netloc}"


class AddressScope(enum.IntEnum):
    """How private an address is. A server cannot point to an address more private than its own."""

    PUBLIC = 0
    PRIVATE = 1
    LOCAL = 2
    """The host that runs the task."""
    LINK_LOCAL = 3
    """Link-local and others that no registry has: unspecified, multicast, reserved."""


# The IANA special-purpose address registries (RFC 6890), written out: Python's own tables differ by version.
_SCOPES_IPV4 = {
    AddressScope.PRIVATE: "10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16"
    " 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24",
    AddressScope.LOCAL: "127.0.0.0/8",
    AddressScope.LINK_LOCAL: "0.0.0.0/8 169.254.0.0/16 224.0.0.0/3",
}
_SCOPES_IPV6 = {
    AddressScope.PUBLIC: "2000::/3",
    AddressScope.PRIVATE: "64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 3fff::/20 5f00::/16 fc00::/7 fec0::/10",
    AddressScope.LOCAL: "::1/128",
}
# Networks whose addresses hold one of IPv4, and how many bits follow that: mapped, compatible, NAT64, 6to4.
_EMBEDDED_IPV4 = {"::ffff:0:0/96": 0, "::/96": 0, "64:ff9b::/96": 0, "2002::/16": 80}


@functools.lru_cache(maxsize=256)
def origin_of(url: str) -> Origin:
    """Return the origin of an absolute http or https URL, with the port that is really used. Raises UnsafeTarget."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise UnsafeTarget(
            f"The server named an address that is no http or https URL: {printable(url, 100)!r}."
        )
    return Origin(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def normal_address(host: str) -> str:
    """Return ``host`` with an IPv6 address in its canonical form (RFC 5952), in brackets if it was; any other as it is."""
    try:
        address = str(ipaddress.IPv6Address(host.strip("[]")))
    except ValueError:
        return host
    return f"[{address}]" if host.startswith("[") else address


def safe_url(url: str) -> str:
    """Return ``url`` as it may be shown: queries and user information can be credentials."""
    parts = urlsplit(url)
    return printable(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def resolve(base: str, target: str, role: str, scope: AddressScope = AddressScope.PUBLIC) -> str:
    """Resolve ``target``, which an answer to ``base`` named in a ``role`` such as "redirect", and check it.

    Refused are other schemes, user information, a change from https to http, and literal addresses more private than that of
    ``base``; ``scope`` is that of the registry, where its name does not tell. Names are judged by their addresses
    when there is a connection: see AddressGuard. Raises UnsafeTarget.
    """
    try:
        url = urljoin(base, target)
    except ValueError:
        raise UnsafeTarget(f"The {role} of {safe_url(base)} is not a URL.") from None
    check_hop(origin_of(base), url, role, scope)
    return url


def check_hop(source: Origin, url: str, role: str, scope: AddressScope = AddressScope.PUBLIC) -> Origin:
    """Check one step from ``source`` to ``url`` by the rules of resolve() and return the origin of ``url``.

    Raises UnsafeTarget.
    """
    if _NO_URL_CHARACTER.search(url):
        raise UnsafeTarget(f"The {role} sent by {source} holds characters that no URL has.")
    target = origin_of(url)
    netloc = urlsplit(url).netloc
    if "@" in netloc:
        raise UnsafeTarget(f"The {role} sent by {source} holds user information.")
    # Other spellings become an address only after these checks: digits of other scripts, percent signs, zones.
    if not _PLAIN_PLACE.match(netloc):
        raise UnsafeTarget(f"The {role} sent by {source} names a host in a form that is not plain.")
    if source.scheme == "https" and target.scheme != "https":
        raise UnsafeTarget(f"The {role} sent by {source} leads from https to plain http on {target}.")
    if target.host != source.host and address_scope(target.host) > max(address_scope(source.host), scope):
        raise UnsafeTarget(
            f"The {role} sent by {source} leads to {target}, an address on the local host or in a private network."
        )
    return target


def with_https(url: str, origin: Origin) -> str:
    """Return ``url``; where it names the host of ``origin``, which speaks https, with http, that on ``origin`` itself.

    Registries behind a proxy that ends TLS often do not know of it.
    """
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    plain = re.match(rf"http://{re.escape(host)}(?::\d+)?(?=[/?#]|\Z)", url, re.IGNORECASE)
    if not plain or origin.scheme != "https":
        return url
    return f"{origin.url}{url[plain.end() :]}"


def is_related(registry: str, host: str) -> bool:
    """Tell whether ``host`` is the host of the registry, or in the domain above or below it.

    The owner of a domain also decides over the names below it, but not over those beside it. A single label, an address
    and a public suffix such as ``co.uk`` are no domains that somebody owns.
    """
    if host == registry:
        return True
    below = is_domain(registry) and host.endswith(f".{registry}")
    return below or (is_domain(host) and registry.endswith(f".{host}"))


def is_listed(target: Origin, patterns: t.Iterable[str]) -> bool:
    """Tell whether ``patterns``, hosts or ``host:port`` with wildcards, have one for ``target``."""
    names = (target.host, f"{target.host}:{target.port}")
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns for name in names)


def address_scope(host: str) -> AddressScope:
    """Return the scope of a literal address. A name is PUBLIC, but for those of the local host."""
    if is_loopback(host):
        return AddressScope.LOCAL
    address = _literal(host)
    return AddressScope.PUBLIC if address is None else _scope_of(address)


def _scope_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> AddressScope:
    if isinstance(address, ipaddress.IPv4Address):
        return _listed_scope(address, _SCOPES_IPV4, AddressScope.PUBLIC)
    own = _listed_scope(address, _SCOPES_IPV6, AddressScope.LINK_LOCAL)
    for network, behind in _EMBEDDED_IPV4.items():
        if own != AddressScope.LOCAL and address in ipaddress.IPv6Network(network):
            return _scope_of(ipaddress.IPv4Address(int(address) >> behind & 0xFFFFFFFF))
    return own


def _listed_scope(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    scopes: t.Mapping[AddressScope, str],
    default: AddressScope,
) -> AddressScope:
    """Return the most private scope whose networks hold ``address``."""
    fitting = [
        scope
        for scope, networks in scopes.items()
        if any(address in ipaddress.ip_network(network) for network in networks.split())
    ]
    return max(fitting, default=default)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read ``host`` as an address, also in the shortened forms that resolvers take (127.1, 0x7f000001)."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return _legacy_ipv4(host)


def _legacy_ipv4(host: str) -> ipaddress.IPv4Address | None:
    parts = host.rstrip(".").split(".")
    try:
        numbers = [int(part, 8) if re.match(r"0[0-7]+\Z", part) else int(part, 0) for part in parts]
    except ValueError:
        return None
    if len(numbers) > 4 or any(number > 255 for number in numbers[:-1]):
        return None
    value = numbers[-1]
    for position, number in enumerate(numbers[:-1]):
        value += number << (8 * (3 - position))
    return ipaddress.IPv4Address(value) if 0 <= value < 1 << 32 else None

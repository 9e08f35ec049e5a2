# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Origins (scheme, host, port), and where a server may send a request on to."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import typing as t
from urllib.parse import urljoin, urlsplit, urlunsplit

from .._errors import UnsafeTarget, printable
from .._oci.reference import is_loopback

# The inwardness of link-local addresses, and of others that no registry leads to.
LINK_LOCAL = 3


class Origin(t.NamedTuple):
    """What credentials are bound to."""

    scheme: str
    host: str
    port: int


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


def safe_url(url: str) -> str:
    """Return ``url`` as it may be shown: queries and user information can be credentials."""
    parts = urlsplit(url)
    return printable(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def resolve(base: str, target: str, what: str, depth: int = 0) -> str:
    """Resolve ``target``, which an answer to ``base`` named as its ``what`` (such as "redirect"), and check it.

    Refused are other schemes, user information, a step down from https, and addresses on the client's own machine or
    network that the registry itself is not on. ``depth`` is its inwardness(), where its name does not tell. Names are
    judged by their addresses when there is a connection: see _reach. Raises UnsafeTarget.
    """
    try:
        url = urljoin(base, target)
    except ValueError:
        raise UnsafeTarget(f"The {what} of {safe_url(base)} is not a URL.") from None
    check_hop(origin_of(base), url, what, depth)
    return url


def check_hop(source: Origin, url: str, what: str, depth: int = 0) -> Origin:
    """Check one step from ``source`` to ``url`` by the rules of resolve() and return the origin of ``url``."""
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise UnsafeTarget(f"The {what} sent by {source.host} holds characters that no URL has.")
    target = origin_of(url)
    netloc = urlsplit(url).netloc
    if "@" in netloc:
        raise UnsafeTarget(f"The {what} sent by {source.host} holds user information.")
    # Other spellings become an address only after these checks: digits of other scripts, percent signs, zones.
    if not re.match(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?\Z", netloc):
        raise UnsafeTarget(f"The {what} sent by {source.host} names a host in a form that is not plain.")
    if source.scheme == "https" and target.scheme != "https":
        raise UnsafeTarget(
            f"The {what} sent by {source.host} leads from https to plain http on {target.host}."
        )
    if target.host != source.host and inwardness(target.host) > max(inwardness(source.host), depth):
        raise UnsafeTarget(
            f"The {what} sent by {source.host} leads to {target.host}, an address inside this machine or network."
        )
    return target


def is_listed(target: Origin, patterns: t.Iterable[str]) -> bool:
    """Tell whether ``patterns``, hosts or ``host:port`` with wildcards, have one for ``target``."""
    names = (target.host, f"{target.host}:{target.port}")
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns for name in names)


def inwardness(host: str) -> int:
    """How far inside a literal address lies: 0 public or a name, 1 private, 2 this machine, 3 nobody's business."""
    if is_loopback(host):
        return 2
    address = _literal(host)
    if address is None:
        return 0
    if address.is_link_local or address.is_unspecified or address.is_multicast or address.is_reserved:
        return LINK_LOCAL
    return 2 if address.is_loopback else int(not address.is_global)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read ``host`` as an address, also in the shortened forms that resolvers take (127.1, 0x7f000001)."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return _legacy_ipv4(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


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

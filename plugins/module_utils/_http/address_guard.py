# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The addresses of names: a registry cannot point to an address more private than its own."""

from __future__ import annotations

import socket
import typing as t

from .._errors import UnsafeTarget
from .origin import AddressScope, Origin, address_scope, check_hop, is_listed, resolve


class AddressGuard:
    """Which addresses a registry may have us connect to.

    The registry itself may have any. The scope of the first address that it is reached under is the limit: from then on
    its own name leads to no more private address, nor does any host that it names. Hosts in ``trusted``, which the user
    has named, may have any address that is not link-local.
    """

    def __init__(self, registry: Origin, trusted: t.Sequence[str] = (), option_prefix: str = "") -> None:
        """``option_prefix`` stands before the names of options in messages."""
        self._registry = registry
        self._prefix = option_prefix
        self._trusted = trusted
        self._reached = False
        self.scope = address_scope(registry.host)

    def check(self, source: Origin, url: str, role: str) -> Origin:
        """Check a step from ``source`` to the literal address in ``url``, see check_hop(). Raises UnsafeTarget.

        ``role`` is what ``url`` is for, in messages.
        """
        return check_hop(source, url, role, self.scope)

    def resolve(self, base: str, target: str, role: str) -> str:
        """Return the URL ``target`` that an answer to ``base`` named, checked, see resolve(). Raises UnsafeTarget."""
        return resolve(base, target, role, self.scope)

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of ``host`` that may be connected to. Raises UnsafeTarget, or OSError if it has none."""
        name = host.strip("[]")
        target = Origin(self._registry.scheme, name.rstrip(".").lower(), port)
        try:
            infos = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            # The connection fails with a better explanation of what is wrong with the name.
            return [host]
        addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        if self._is_registry(target) and not self._reached:
            return addresses
        limit = AddressScope.LOCAL if is_listed(target, self._trusted) else self.scope
        allowed = [address for address in addresses if address_scope(address) <= max(limit, self.scope)]
        if not allowed:
            raise UnsafeTarget(
                f"{self._registry} leads to {target}, which has the address {addresses[0]}: that is on the local host or in a"
                f" private network, and the registry is not. If it is right, set {self._prefix}trusted_realms: [{name}]."
            )
        return allowed

    def note(self, host: str, port: int, address: str) -> None:
        """Remember the address at which the registry was reached first."""
        if not self._reached and self._is_registry(Origin("", host.strip("[]").rstrip(".").lower(), port)):
            self.scope, self._reached = address_scope(address), True

    def _is_registry(self, target: Origin) -> bool:
        return target.host == self._registry.host.rstrip(".")

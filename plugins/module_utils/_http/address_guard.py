# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The addresses that names turn out to have: a registry leads no further inside than it lies itself."""

from __future__ import annotations

import socket
import typing as t

from .._errors import UnsafeTarget
from .origin import LINK_LOCAL, Origin, inwardness, is_listed


class AddressGuard:
    """What one registry may let us connect to.

    The registry itself may be anywhere. The first address that it is reached under decides how far inside: from then on
    its own name leads no further, nor does any host that it names. Hosts in ``trusted``, which the user has named, do.
    """

    def __init__(self, home: Origin, trusted: t.Sequence[str] = ()) -> None:
        self._home = home
        self._trusted = trusted
        self._reached = False
        self.depth = inwardness(home.host)

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of ``host`` that may be connected to. Raises UnsafeTarget, or OSError if it has none."""
        bare = host.strip("[]")
        target = Origin(self._home.scheme, bare.rstrip(".").lower(), port)
        try:
            infos = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            # Whoever connects says better what is wrong with the name.
            return [host]
        found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        if self._is_home(target) and not self._reached:
            return found
        limit = LINK_LOCAL - 1 if is_listed(target, self._trusted) else self.depth
        allowed = [address for address in found if inwardness(address) <= max(limit, self.depth)]
        if not allowed:
            raise UnsafeTarget(
                f"{self._home.host} leads to {bare}, which has the address {found[0]}: that is inside this machine or"
                f" network, and the registry is not. If it is right, set trusted_realms: [{bare}]."
            )
        return allowed

    def note(self, host: str, port: int, address: str) -> None:
        """Remember where the registry was reached."""
        if not self._reached and self._is_home(Origin("", host.strip("[]").rstrip(".").lower(), port)):
            self.depth, self._reached = inwardness(address), True

    def _is_home(self, target: Origin) -> bool:
        return target.host == self._home.host.rstrip(".")


def guarded(pools: t.Mapping[str, t.Any], reach: AddressGuard) -> dict[str, t.Any]:
    """Return urllib3's ``pools``, classes by scheme, with connections that keep within ``reach``.

    A name is looked up once, and what is checked is what is connected to: a second answer of the DNS has no say.
    """
    return {scheme: _guarded(pool, reach) for scheme, pool in pools.items()}


def _guarded(pool: t.Any, reach: AddressGuard) -> t.Any:
    class Connection(pool.ConnectionCls):
        _dns_host: str

        def _new_conn(self) -> t.Any:
            name = self._dns_host
            failure: Exception = OSError(f"{name} has no address.")
            try:
                for address in reach.addresses(name, self.port):
                    # The name itself stays that of the TLS certificate.
                    self._dns_host = address
                    try:
                        connection = super()._new_conn()
                    except Exception as error:
                        failure = error
                        continue
                    reach.note(name, self.port, address)
                    return connection
            finally:
                self._dns_host = name
            raise failure

    class Pool(pool):
        ConnectionCls = Connection

    return Pool

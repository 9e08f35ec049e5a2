# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Clients that a process keeps from one task to the next: connections, challenges, tokens, and what a registry can do."""

from __future__ import annotations

import collections
import os
import threading
import time
import typing as t
from dataclasses import dataclass, field

from .._http.transport import Transport, TransportOptions
from .._oci.reference import Endpoint
from .client import RegistryClient

# So many are kept, each for so many seconds without use, and for so many in all.
_LIMIT = 4
_IDLE = 5.0
_LIFETIME = 60.0


@dataclass(frozen=True)
class SharedClient:
    """A client with its transport, made at a time in seconds of time.monotonic()."""

    client: RegistryClient
    transport: Transport
    made: float = field(default_factory=time.monotonic)


class SharedClients:
    """Keeps clients by a key, which names all that they depend on. Safe for threads.

    A client has one user at a time: take() removes it. None goes on in another process: a fork has the same sockets.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        # With the time since when each is unused, in that order.
        self._kept: collections.OrderedDict[t.Hashable, tuple[SharedClient, float]] = (
            collections.OrderedDict()
        )

    def take(self, key: t.Hashable) -> SharedClient | None:
        """Return the client that was kept for ``key``, None where there is none, or none that is young enough."""
        with self._lock:
            self._drop_old()
            entry = self._kept.pop(key, None)
            return entry[0] if entry else None

    def keep(self, key: t.Hashable, shared: SharedClient) -> None:
        """Keep a client whose task is over: nothing may use it any more."""
        with self._lock:
            self._drop_old()
            former = self._kept.pop(key, None)
            self._kept[key] = (shared, time.monotonic())
            dropped = [former] if former else []
            while len(self._kept) > _LIMIT:
                dropped.append(self._kept.popitem(last=False)[1])
        for entry in dropped:
            entry[0].transport.close()

    def _drop_old(self) -> None:
        now = time.monotonic()
        if self._process != os.getpid():
            # The parent goes on using the connections: they are left as they are.
            self._process, self._kept = os.getpid(), collections.OrderedDict()
        for key, (shared, since) in list(self._kept.items()):
            if now - since > _IDLE or now - shared.made > _LIFETIME:
                del self._kept[key]
                shared.transport.close()


# Those of the modules and lookups of this process.
OF_PROCESS = SharedClients()


def key_of(endpoint: Endpoint, options: TransportOptions, *credentials: t.Hashable) -> t.Hashable:
    """Return the key for a client of ``endpoint``: equal only where nothing that it depends on differs.

    ``credentials`` are those that are given, and where others are looked for. The environment counts as a whole, as do
    the files of certificates.
    """
    files = (options.ca_path, options.client_cert, options.client_key)
    environment = frozenset(os.environ.items())
    return (endpoint, options, credentials, environment, os.getcwd(), tuple(map(_version, files)))


def _version(path: str | None) -> t.Hashable:
    """Return what changes when a file is replaced or written."""
    if not path:
        return None
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

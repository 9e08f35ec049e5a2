# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that is a list of bytes: the client sends through all of requests and urllib3, but no socket is opened."""

from __future__ import annotations

import io
import typing as t

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import Credentials
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import (
    Transport,
    TransportOptions,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import endpoint
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._secrets import Secrets


class Sent(t.NamedTuple):
    """What went over one connection, and to whom."""

    scheme: str
    host: str
    port: int
    content: bytearray


class Wire:
    """Answers each connection with the next of ``answers``, and refuses those after the last."""

    def __init__(self, answers: t.Sequence[bytes]) -> None:
        self.sent: list[Sent] = []
        self.shown: list[str] = []
        self._answers = list(answers)

    def client(self, registry: str, credentials: Credentials) -> RegistryClient:
        """Return a client of ``registry`` whose connections all end here. It tries everything once."""
        wire = self

        class Plain(HTTPConnection):
            is_connected = False

            def connect(self) -> None:
                self.sock = wire.open("http", self.host, self.port)

        class Tls(HTTPSConnection):
            is_connected = False

            def connect(self) -> None:
                self.sock = wire.open("https", self.host, self.port)
                self.is_verified = True

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = Tls

        transport = Transport(
            endpoint(registry),
            TransportOptions(retries=0),
            lambda repository: credentials,
            Secrets(),
            self.shown.append,
            self.shown.append,
        )
        transport._proxy_for = lambda url: ""  # type: ignore[method-assign]
        manager = t.cast(t.Any, transport._connections)._manager("")
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
        return RegistryClient(endpoint(registry), transport)

    def open(self, scheme: str, host: str, port: int) -> t.Any:
        """Open a connection. Raises ConnectionRefusedError when the answers are used up."""
        self.sent.append(Sent(scheme, host, port, bytearray()))
        if not self._answers:
            raise ConnectionRefusedError("Connection refused")
        return _Socket(self._answers.pop(0), self.sent[-1].content)


class _Socket:
    def __init__(self, answer: bytes, sent: bytearray) -> None:
        self._answer = answer
        self._sent = sent

    def sendall(self, content: t.Any) -> None:
        self._sent += content

    def makefile(self, *_unused: t.Any, **_also: t.Any) -> t.BinaryIO:
        return io.BytesIO(self._answer)

    def settimeout(self, timeout: t.Any) -> None:
        """Nothing ever waits."""

    def shutdown(self, how: int) -> None:
        """There is nobody to tell."""

    def close(self) -> None:
        """There is nothing to give back."""

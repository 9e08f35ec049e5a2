# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""urllib3's connections, with the addresses, certificates and time that they are allowed."""

from __future__ import annotations

import http.client
import io
import socket
import time
import typing as t

from .address_guard import AddressGuard
from .origin import Origin
from .tls import TlsContexts

# How much longer than read_timeout the head of an answer may take, and the window in which a body must keep its rate.
GRACE = 10.0
LEAST_RATE = 1024
# A piece of an upload must be taken within read_timeout: a larger one would demand a faster line.
_PIECE = 1 << 16
_MAX_TRAILERS = 100


class TooSlow(socket.timeout):
    """An answer comes, but without end or so slowly that it is given up. The text says which."""


class Connections:
    """Makes the connections to one registry, and to where it leads."""

    def __init__(self, origin: Origin, guard: AddressGuard, tls: TlsContexts, read_timeout: float) -> None:
        """``read_timeout`` is in seconds."""
        self._origin = origin
        self._guard = guard
        self._tls = tls
        self._read_timeout = read_timeout

    def pools(self, pools: t.Mapping[str, t.Any], proxied: bool = False) -> dict[str, t.Any]:
        """Return urllib3's ``pools``, classes by scheme, with such connections. Behind a proxy it looks names up.

        A name is looked up once, and the connection is made to the address that was checked (DNS rebinding).
        """
        return {scheme: self._pool(pool, proxied) for scheme, pool in pools.items()}

    def _pool(self, pool: t.Any, proxied: bool) -> t.Any:
        guard, tls, origin, read_timeout = self._guard, self._tls, self._origin, self._read_timeout

        class Response(_BoundedResponse):
            timeout = read_timeout

        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            response_class = Response
            _dns_host: str

            def _new_conn(self) -> t.Any:
                if proxied:
                    return super()._new_conn()
                name = self._dns_host
                failure: Exception = OSError(f"{name} has no address.")
                try:
                    for address in guard.addresses(name, self.port):
                        # The name itself stays that of the TLS certificate.
                        self._dns_host = address
                        try:
                            connection = super()._new_conn()
                        except Exception as error:
                            failure = error
                            continue
                        guard.note(name, self.port, address)
                        return connection
                finally:
                    self._dns_host = name
                raise failure

            def connect(self) -> None:
                super().connect()
                # What is sent has not only the time that making the connection has.
                self.sock.settimeout(read_timeout)

            def send(self, data: t.Any) -> None:
                if self.sock is not None:
                    self.sock.settimeout(read_timeout)
                if not isinstance(data, (bytes, memoryview)) or len(data) <= _PIECE:
                    super().send(data)
                    return
                view = memoryview(data)
                for begin in range(0, len(view), _PIECE):
                    super().send(view[begin : begin + _PIECE])

        class Pool(pool):  # type: ignore[misc]
            ConnectionCls = Connection

            def _new_conn(self) -> t.Any:
                connection = super()._new_conn()
                if self.scheme == "https":
                    own = Origin("https", self.host.strip("[]"), self.port) == origin
                    connection.ssl_context = tls.context(own)
                return connection

        return Pool


class _BoundedResponse(http.client.HTTPResponse):
    """An answer whose head has a time limit, whose body a least rate, and whose trailers a number."""

    timeout: float

    def __init__(self, sock: socket.socket, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._pace = _Pace(self.fp.detach(), self.timeout)
        self.fp = io.BufferedReader(self._pace)

    def begin(self) -> None:
        super().begin()
        self._pace.begin_body()

    def _read_and_discard_trailer(self) -> None:
        """Read to the end of a chunked body, as the base does without a limit."""
        for _number in range(_MAX_TRAILERS):
            line = self.fp.readline(_PIECE)
            if len(line) >= _PIECE:
                raise http.client.LineTooLong("trailer line")
            if line in (b"\r\n", b"\n", b""):
                return
        raise http.client.HTTPException(f"got more than {_MAX_TRAILERS} trailers")


class _Pace(io.RawIOBase):
    """What comes over a connection, as long as it comes fast enough. Only time that is spent waiting counts."""

    def __init__(self, raw: t.Any, timeout: float) -> None:
        self._raw = raw
        self._window = timeout + GRACE
        self._head_ends: float | None = time.monotonic() + self._window
        self._waited = 0.0
        self._received = 0

    def begin_body(self) -> None:
        self._head_ends = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int | None:
        began = time.monotonic()
        if self._head_ends is not None and began > self._head_ends:
            raise TooSlow(f"its headers take longer than {self._window:g} seconds")
        count = t.cast("int | None", self._raw.readinto(buffer))
        self._waited += time.monotonic() - began
        self._received += count or 0
        if self._waited > self._window and self._head_ends is None:
            if self._received < LEAST_RATE * self._waited and count:
                raise TooSlow(f"it sends less than {LEAST_RATE} bytes per second")
            self._waited, self._received = 0.0, 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()

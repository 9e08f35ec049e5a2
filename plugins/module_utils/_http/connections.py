# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""urllib3's pools of connections, with the proxies, addresses, certificates and time that they are allowed."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import time
import typing as t
from urllib.parse import quote, unquote, urlsplit

from .._oci.verified_reader import BLOCK
from .address_guard import AddressGuard
from .origin import Origin, origin_of
from .tls import TlsContexts

with contextlib.suppress(ImportError):
    import urllib3

# How much longer than read_timeout the head of an answer may take, and the window in which a body must keep its rate.
GRACE = 10.0
LEAST_RATE = 1024
# A piece of an upload must be taken within read_timeout: a larger one would demand a faster line.
_PIECE = 1 << 16
_MAX_TRAILERS = 100
# What RFC 3986 allows besides letters and digits.
_URL_CHARACTERS = "%-._~:/?#[]@!$&'()*+,;="


class TooSlow(socket.timeout):
    """An answer comes, but without end or so slowly that it is given up. The text says which."""


class Connections:
    """The connections to one registry, and to where it leads. Safe for threads.

    A name is looked up once, and the connection is made to the address that was checked (DNS rebinding). Behind a proxy
    it is the proxy that looks names up.
    """

    def __init__(
        self,
        origin: Origin,
        guard: AddressGuard,
        tls: TlsContexts,
        read_timeout: float,
        validate: bool,
        most: int,
    ) -> None:
        """``read_timeout`` is in seconds. ``most`` is how many connections to one host are kept open."""
        self._origin = origin
        self._guard = guard
        self._tls = tls
        self._read_timeout = read_timeout
        self._options: dict[str, t.Any] = {
            "cert_reqs": "CERT_REQUIRED" if validate else "CERT_NONE",
            "maxsize": most,
        }
        if "key_blocksize" in urllib3.poolmanager.PoolKey._fields:
            # urllib3's own blocks are of 16 KiB.
            self._options["blocksize"] = BLOCK
        self._managers: dict[str, t.Any] = {}
        self._lock = threading.Lock()

    def open(
        self,
        method: str,
        url: str,
        headers: t.Mapping[str, str],
        body: bytes | t.Iterator[memoryview] | None,
        timeouts: tuple[float, float],
        proxy: str = "",
    ) -> t.Any:
        """Send one request over a connection of the pool, and return urllib3's answer, whose body is not read yet.

        ``timeouts`` are the seconds to connect and to wait for the answer, ``proxy`` is a URL. Raises what urllib3 raises.
        """
        origin = origin_of(url)
        pool = self._manager(proxy).connection_from_host(origin.host, origin.port, origin.scheme)
        connect, read = timeouts
        return pool.request(
            method,
            _target(url, absolute=proxy.lower().startswith("http") and origin.scheme == "http"),
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=connect, read=read),
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close all connections."""
        for manager in self._managers.values():
            manager.clear()

    def _manager(self, proxy: str) -> t.Any:
        with self._lock:
            if proxy not in self._managers:
                manager = self._make_manager(proxy)
                classes = manager.pool_classes_by_scheme
                manager.pool_classes_by_scheme = {
                    scheme: self._pool(pool, bool(proxy)) for scheme, pool in classes.items()
                }
                self._managers[proxy] = manager
            return self._managers[proxy]

    def _make_manager(self, proxy: str) -> t.Any:
        if not proxy:
            return urllib3.PoolManager(**self._options)
        if proxy.lower().startswith("socks"):
            from urllib3.contrib.socks import SOCKSProxyManager

            return SOCKSProxyManager(proxy, **self._options)
        parts = urlsplit(proxy)
        user = unquote(f"{parts.username or ''}:{parts.password or ''}")
        headers = urllib3.make_headers(proxy_basic_auth=user) if parts.username else {}
        options = dict(self._options)
        if parts.scheme.lower() == "https":
            options["proxy_ssl_context"] = self._tls.context(own=False)
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)

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


def _target(url: str, absolute: bool) -> str:
    """Return what a request line names: path and query of ``url``, for a proxy the whole.

    They stay as they are: a server that signed them compares bytes.
    """
    parts = urlsplit(url if url.isascii() else quote(url, safe=_URL_CHARACTERS))
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}" if absolute else path


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

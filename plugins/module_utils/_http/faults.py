# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What goes wrong below HTTP, as sentences that say what to do."""

from __future__ import annotations

import http.client
import ssl
import typing as t

from .._errors import ProtocolError, RegistryError, TlsFailure, Unreachable, printable
from .connections import TooSlow
from .origin import origin_of, safe_url

try:
    import urllib3
except ImportError:
    FAULTS: tuple[type[BaseException], ...] = ()
else:
    FAULTS = (
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
    )

_REASONS = (
    (
        "Temporary failure in name resolution",
        "the name cannot be resolved at present: check the DNS of the host.",
    ),
    (
        "Failed to resolve",
        "the name cannot be resolved: check its spelling and the DNS of the host that runs this task.",
    ),
    ("Name or service not known", "the name cannot be resolved: check its spelling and the DNS of the host."),
    (
        "Connection refused",
        "the connection was refused: check that the registry runs and that the port is right.",
    ),
    ("No route to host", "there is no route to the host."),
    ("Network is unreachable", "the network is unreachable."),
    ("Tunnel connection failed: 407", "the proxy wants credentials: write them in the proxy's URL."),
)


def wants_tls(body: bytes) -> bool:
    """Tell whether a server answers plain HTTP because it speaks TLS: that is how servers written in Go say so."""
    return b"client sent an http request to an https server" in body[:2000].lower()


def tls_advice(option_prefix: str = "") -> str:
    """Return what to do about a server for which wants_tls() is true."""
    return f"it speaks TLS: write https:// in the option {option_prefix}registry, or set {option_prefix}plain_http to false"


def fault(
    error: BaseException, method: str, url: str, connect_timeout: float | None = None, option_prefix: str = ""
) -> RegistryError:
    """Return the error that says in one sentence what went wrong with the request ``method`` ``url``, and what to do.

    ``error`` is one of FAULTS, ``connect_timeout`` is in seconds, and ``option_prefix`` stands before the names of options.
    """
    origin = origin_of(url)
    where: dict[str, t.Any] = {"method": method, "url": safe_url(url)}
    cause = _cause(error)
    text = str(cause)
    proxy = " through the proxy" if isinstance(error, urllib3.exceptions.ProxyError) else ""
    if isinstance(error, (urllib3.exceptions.LocationValueError, http.client.InvalidURL)):
        return ProtocolError(f"{safe_url(url)} cannot be requested: it is not a valid address.", **where)
    if isinstance(error, urllib3.exceptions.InvalidHeader):
        return ProtocolError(f"{origin} sent headers that contradict each other.", **where)
    over_tls = isinstance(error, urllib3.exceptions.SSLError) or isinstance(cause, ssl.SSLError)
    if over_tls and not isinstance(cause, ssl.SSLEOFError):
        return TlsFailure(f"TLS with {origin} failed{proxy}: {_tls_reason(text, option_prefix)}", **where)
    slow_to_connect = isinstance(error, urllib3.exceptions.ConnectTimeoutError)
    if slow_to_connect and not isinstance(error, urllib3.exceptions.NewConnectionError) and connect_timeout:
        return Unreachable(
            f"{origin} did not accept a connection{proxy} within {connect_timeout:g} seconds.", **where
        )
    slow = _too_slow(error)
    if slow:
        return Unreachable(f"The answer of {origin}{proxy} was given up: {slow}.", **where)
    if isinstance(error, urllib3.exceptions.ReadTimeoutError) or "timed out" in text:
        return Unreachable(
            f"{origin} did not answer{proxy} in time ({option_prefix}read_timeout).",
            **where,
        )
    if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, http.client.RemoteDisconnected):
        return Unreachable(
            f"{origin}{proxy}: the answer is not HTTP: check that the port is that of a registry.", **where
        )
    for sign, sentence in _REASONS:
        if sign in text:
            return Unreachable(f"{origin}{proxy}: {sentence}", **where)
    return Unreachable(f"The connection with {origin}{proxy} broke: {type(cause).__name__}.", **where)


def _cause(error: BaseException) -> BaseException:
    """Return the exception at the bottom: the texts of those above it hold URLs with their queries."""
    inner = [getattr(error, "reason", None), *error.args]
    cause = next((value for value in inner if isinstance(value, BaseException)), None)
    return _cause(cause) if cause else error


def _too_slow(error: BaseException | None) -> TooSlow | None:
    """Return the TooSlow that led to ``error``, which urllib3 turns into a time-out of its own."""
    while error is not None and not isinstance(error, TooSlow):
        error = error.__cause__ or error.__context__
    return error


def _tls_reason(text: str, option_prefix: str) -> str:
    lowered = text.lower()
    if "wrong version number" in lowered or "record layer failure" in lowered or "http_request" in lowered:
        return (
            f"it speaks plain HTTP: set {option_prefix}plain_http to true, or write http:// in the option"
            f" {option_prefix}registry."
        )
    if "self-signed" in lowered or "self signed" in lowered or "unable to get" in lowered:
        return (
            f"its certificate is not signed by a trusted authority: set {option_prefix}ca_path to the authority's"
            " certificate."
        )
    if "hostname mismatch" in lowered or "doesn't match" in lowered or "not valid for" in lowered:
        return "its certificate is for another host name."
    if "certificate has expired" in lowered:
        return "its certificate has expired."
    if "certificate required" in lowered or "handshake failure" in lowered or "bad certificate" in lowered:
        return f"it wants a client certificate: set {option_prefix}client_cert and {option_prefix}client_key."
    return printable(text, 200)

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when there was no answer: the reason, and what to do, without the secrets of the URL."""

from __future__ import annotations

import http.client
import ssl

import pytest
import urllib3

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    ProtocolError,
    RegistryError,
    TlsFailure,
    Unreachable,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.faults import fault, wants_tls

URL = "https://registry.example.com/v2/a/b/blobs/x?token=s3cret"


def failed(cause: BaseException) -> Exception:
    """Return an error as urllib3 raises it, around that of the system."""
    return urllib3.exceptions.ProtocolError("Connection aborted.", cause)


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (
            failed(ConnectionRefusedError(111, "Connection refused")),
            Unreachable,
            "the connection was refused",
        ),
        (
            urllib3.exceptions.ProxyError(
                "Cannot connect to proxy.", ConnectionRefusedError(111, "Connection refused")
            ),
            Unreachable,
            "through the proxy: the connection was refused",
        ),
        (
            urllib3.exceptions.ConnectTimeoutError("timed out"),
            Unreachable,
            "did not accept a connection within 7 seconds",
        ),
        (
            urllib3.exceptions.ReadTimeoutError(urllib3.HTTPConnectionPool("host"), URL, "timed out"),
            Unreachable,
            "did not answer in time",
        ),
        (urllib3.exceptions.LocationParseError(URL), ProtocolError, "is not a valid address"),
        (urllib3.exceptions.InvalidHeader("twice"), ProtocolError, "headers that contradict each other"),
        (
            urllib3.exceptions.SSLError(ssl.SSLError(1, "[SSL] wrong version number")),
            TlsFailure,
            "it speaks plain HTTP: set destination.plain_http to true",
        ),
        (
            urllib3.exceptions.SSLError(ssl.SSLError(1, "self-signed certificate in chain")),
            TlsFailure,
            "not signed by a trusted authority: set destination.ca_path",
        ),
        (
            urllib3.exceptions.SSLError(ssl.SSLError(1, "certificate has expired")),
            TlsFailure,
            "its certificate has expired",
        ),
        (
            urllib3.exceptions.SSLError(ssl.SSLError(1, "Hostname mismatch, not valid for 'x'")),
            TlsFailure,
            "its certificate is for another host name",
        ),
        (
            urllib3.exceptions.SSLError(ssl.SSLError(1, "tlsv13 alert certificate required")),
            TlsFailure,
            "it wants a client certificate",
        ),
        (failed(ssl.SSLEOFError(8, "EOF")), Unreachable, "broke"),
        (urllib3.exceptions.HTTPError(KeyError("odd")), Unreachable, "broke: KeyError"),
        (
            failed(http.client.BadStatusLine("SSH-2.0-OpenSSH")),
            Unreachable,
            "the answer is not HTTP: check that the port is that of a registry.",
        ),
        (
            failed(http.client.RemoteDisconnected("closed")),
            Unreachable,
            "broke: RemoteDisconnected",
        ),
    ],
)
def test_each_fault_has_a_sentence(error: Exception, kind: type[RegistryError], sentence: str) -> None:
    said = fault(error, "GET", URL, 7.0, "destination.")
    assert said.__class__ is kind
    assert sentence in str(said) and "\n" not in str(said)
    assert "s3cret" not in str(said) + repr(said.to_dict())
    assert (said.method, said.url) == ("GET", URL.partition("?")[0])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"Client sent an HTTP request to an HTTPS server.\n", True),
        (b"404 page not found", False),
        (b"x" * 5000 + b"client sent an http request to an https server", False),
    ],
)
def test_a_server_that_wants_tls_says_so_at_the_start_of_its_answer(body: bytes, expected: bool) -> None:
    assert wants_tls(body) is expected

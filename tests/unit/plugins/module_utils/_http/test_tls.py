# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which authorities are trusted: options and variables before the host's store, that before certifi's list."""

from __future__ import annotations

import pathlib
import ssl
import types
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import TlsFailure
from ansible_collections.ocikit.registry.plugins.module_utils._http import tls as _tls
from ansible_collections.ocikit.registry.plugins.module_utils._http.tls import TlsContexts, load_system_store
from tests.registries import Registry

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(scope="module")
def tls() -> t.Iterator[Registry]:
    with Registry(tls=True) as server:
        yield server


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A host whose store is empty. Returns the folder of its store."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    nowhere = types.SimpleNamespace(cafile=None, capath=None, openssl_capath=str(tmp_path / "none"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    store = tmp_path / "certs"
    store.mkdir()
    monkeypatch.setattr(_tls, "_SYSTEM_FOLDERS", (str(store),))
    return store


def authority(tls: Registry) -> bytes:
    return pathlib.Path(str(tls.ca)).read_bytes()


def test_an_authority_that_is_installed_on_the_host_is_trusted(
    connect: t.Any, tls: Registry, host: pathlib.Path
) -> None:
    _connection, client = connect(tls.url, retries=0)
    with pytest.raises(TlsFailure, match="not signed by a trusted authority: set ca_path"):
        client.ping()
    (host / "company.crt").write_bytes(b"A comment\n" + authority(tls))
    (host / "junk.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (host / "key.txt").write_bytes(b"no certificate")
    (host / "gone.pem").symlink_to("nowhere")
    _connection, client = connect(tls.url, retries=0)
    assert client.ping().status == 200


def test_certifi_is_for_hosts_without_a_store(
    tls: Registry, host: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    fallback = tmp_path / "fallback.pem"
    with Registry(tls=True) as other:
        fallback.write_bytes(authority(other))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        load_system_store(context, lambda: str(fallback))
        assert len(context.get_ca_certs()) == 1
        (host / "company.pem").write_bytes(authority(tls) * 2)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        load_system_store(context, lambda: str(fallback))
        assert context.get_ca_certs(binary_form=True) == [ssl.PEM_cert_to_DER_cert(authority(tls).decode())]


def test_options_and_variables_come_before_the_host(
    tls: Registry, host: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Registry(tls=True) as other:
        (host / "other.pem").write_bytes(authority(other))
    order = [*VARIABLES[:3][::-1], "ca_path"]
    for number, name in enumerate(order):
        junk = tmp_path / f"{name}.pem"
        junk.write_bytes(b"junk")
        if name == "ca_path":
            contexts = TlsContexts(ca_path=str(junk))
        else:
            monkeypatch.setenv(name, str(junk))
            contexts = TlsContexts()
        with pytest.raises(TlsFailure, match=f"{name} '.*' is not a usable PEM file") as caught:
            contexts.context(own=True)
        assert all(earlier not in str(caught.value).partition("'")[0] for earlier in order[:number])
    context = TlsContexts(ca_path=tls.ca).context(own=True)
    assert context.get_ca_certs(binary_form=True) == [ssl.PEM_cert_to_DER_cert(authority(tls).decode())]


def test_without_validation_nothing_is_loaded(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    context = TlsContexts(validate=False, ca_path=str(tmp_path / "missing")).context(own=False)
    assert context.verify_mode == ssl.CERT_NONE and not context.check_hostname


def test_an_encrypted_key_asks_nobody(tmp_path: pathlib.Path, tls: Registry) -> None:
    key = tmp_path / "key.pem"
    key.write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGjMF8GCSqGSIb3\n-----END ENCRYPTED PRIVATE KEY-----\n",
        encoding="ascii",
    )
    contexts = TlsContexts(
        ca_path=tls.ca, client_cert=tls.path("server.pem"), client_key=str(key), option_prefix="d."
    )
    with pytest.raises(TlsFailure, match="d.client_cert or d.client_key is not a usable PEM file"):
        contexts.context(own=True)
    # Others are not shown the certificate, and need no usable one.
    assert contexts.context(own=False).verify_mode == ssl.CERT_REQUIRED

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Which certificates are trusted, and to whom a client certificate is shown."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import threading
import typing as t

from .._errors import InvalidInput, TlsFailure
from .pipes import refuse_pipe

with contextlib.suppress(ImportError):
    from urllib3.util.ssl_ import create_urllib3_context

# In this order; each replaces the system's store.
_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
# Where Ansible's own modules look besides OpenSSL's folder (ansible.module_utils.urls).
_SYSTEM_FOLDERS = (
    "/etc/ssl/certs",
    "/etc/pki/ca-trust/extracted/pem",
    "/etc/pki/tls/certs",
    "/usr/share/ca-certificates/cacert.org",
    "/usr/local/share/certs",
    "/etc/ssl",
    "/etc/openssl/certs",
    "/opt/local/etc/openssl/certs",
    "/etc/ansible",
)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_FILE_LIMIT = 4 << 20


class TlsContexts:
    """The TLS settings of one registry's connections, loaded when the first one is made. Safe for threads."""

    def __init__(
        self,
        validate: bool = True,
        ca_path: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        option_prefix: str = "",
    ) -> None:
        """``option_prefix`` stands before the names of options in messages. Raises InvalidInput."""
        self._validate = validate
        self._ca_path = ca_path
        self._client_cert = client_cert
        self._client_key = client_key
        self._prefix = option_prefix
        self._lock = threading.Lock()
        self._contexts: dict[bool, ssl.SSLContext] = {}
        if client_key and not client_cert:
            raise InvalidInput(f"{option_prefix}client_key needs {option_prefix}client_cert.")
        for name, path in (("ca_path", ca_path), ("client_cert", client_cert), ("client_key", client_key)):
            if path and (validate or name != "ca_path") and not os.path.exists(path):
                raise InvalidInput(
                    f"{option_prefix}{name} {path!r} does not exist on the host that runs this task."
                )
            refuse_pipe(path or "", f"{option_prefix}{name}")

    def context(self, own: bool) -> ssl.SSLContext:
        """Return the settings for the registry itself (``own``), which is shown the client certificate, or for others.

        Raises TlsFailure for files that cannot be used.
        """
        with self._lock:
            if own not in self._contexts:
                self._contexts[own] = self._make(own)
            return self._contexts[own]

    def _make(self, own: bool) -> ssl.SSLContext:
        context = create_urllib3_context()
        if self._validate:
            context.verify_mode = ssl.CERT_REQUIRED
            self._trust(context)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if own and self._client_cert:
            try:
                # Without a password OpenSSL would ask for that of an encrypted key at the terminal.
                context.load_cert_chain(self._client_cert, self._client_key, password=lambda: "")
            except (OSError, ValueError):
                raise TlsFailure(
                    f"{self._prefix}client_cert or {self._prefix}client_key is not a usable PEM file, or the key is missing or"
                    " encrypted: check both files."
                ) from None
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        paths = [os.environ.get(name, "") for name in _BUNDLE_VARIABLES]
        named = self._ca_path or next(filter(os.path.exists, paths), None)
        if not named:
            load_system_store(context)
            return
        option = f"{self._prefix}ca_path" if self._ca_path else _BUNDLE_VARIABLES[paths.index(named)]
        refuse_pipe(named, option)
        try:
            context.load_verify_locations(**{"capath" if os.path.isdir(named) else "cafile": named})
        except (OSError, ValueError):
            raise TlsFailure(f"{option} {named!r} is not a usable PEM file of certificates.") from None


def certifi_bundle() -> str | None:
    """Return the file of the authorities that come with requests; None without it."""
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()


def load_system_store(context: ssl.SSLContext, fallback: t.Callable[[], str | None] = certifi_bundle) -> None:
    """Let ``context`` trust what the host trusts, as Ansible's own modules do; without a store, the file ``fallback()``."""
    default = ssl.get_default_verify_paths()
    folders = dict.fromkeys((default.capath or default.openssl_capath, *_SYSTEM_FOLDERS))
    texts = [_certificates(default.cafile)] if default.cafile else []
    texts += [_certificates(path) for folder in folders for path in _pem_files(folder)]
    certificates = list(dict.fromkeys(certificate for text in texts for certificate in text))
    _load(context, certificates)
    if default.capath and os.path.isdir(default.capath):
        context.load_verify_locations(capath=default.capath)
    bundle = None if context.cert_store_stats()["x509_ca"] else fallback()
    if bundle:
        context.load_verify_locations(bundle)


def _load(context: ssl.SSLContext, certificates: t.Sequence[str]) -> None:
    if not certificates:
        return
    try:
        context.load_verify_locations(cadata="\n".join(certificates))
    except (ssl.SSLError, ValueError):
        # A certificate that OpenSSL does not take is no reason to trust no other.
        for certificate in certificates:
            with contextlib.suppress(ssl.SSLError, ValueError):
                context.load_verify_locations(cadata=certificate)


def _pem_files(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names) if name.endswith((".pem", ".crt"))]


def _certificates(path: str) -> list[str]:
    """Return the certificates in a PEM file; none where it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return _CERTIFICATE.findall(file.read(_FILE_LIMIT))
    except OSError:
        return []

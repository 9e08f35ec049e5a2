# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipe in the place of a file of the connection options is refused at once."""

from __future__ import annotations

import os
import pathlib
import socket
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import find_credentials
from ansible_collections.ocikit.registry.plugins.module_utils._http.pipes import refuse_pipe
from ansible_collections.ocikit.registry.plugins.module_utils._http.tls import TlsContexts

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture
def pipe(tmp_path: pathlib.Path) -> str:
    os.mkfifo(tmp_path / "pipe")
    return str(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["ca_path", "client_cert", "client_key", *BUNDLES])
def test_certificates_and_keys(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, pipe: str, name: str
) -> None:
    for variable in BUNDLES:
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "file.pem").write_bytes(b"")
    options = {"client_cert": str(tmp_path / "file.pem")} if name == "client_key" else {}
    if name in BUNDLES:
        monkeypatch.setenv(name, pipe)
    else:
        options[name] = pipe
    with pytest.raises(InvalidInput, match=f"{name} must be a file: {pipe} is a pipe"):
        TlsContexts(**t.cast(t.Any, options)).context(own=True)


def test_auth_files(tmp_path: pathlib.Path, pipe: str) -> None:
    """Also one that no option names, and a link to a pipe."""
    (tmp_path / "config.json").symlink_to(pipe)
    for auth_file, environ in (
        (pipe, {}),
        (None, {"REGISTRY_AUTH_FILE": pipe}),
        (None, {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}),
    ):
        with pytest.raises(InvalidInput, match="An auth file must be a file: .* is a pipe"):
            find_credentials("registry.example.com", auth_file=auth_file, environ=environ)


def test_what_is_no_pipe(tmp_path: pathlib.Path) -> None:
    for path in ("", "nul\0byte", str(tmp_path), str(tmp_path / "missing"), os.devnull):
        refuse_pipe(path, "it")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(InvalidInput, match="it must be a file"):
            refuse_pipe(str(tmp_path / "s"), "it")

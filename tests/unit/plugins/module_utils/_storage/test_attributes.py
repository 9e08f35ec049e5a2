# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mode, owner and group of what is written."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext
from ansible_collections.ocikit.registry.plugins.module_utils._storage.attributes import (
    check_attributes,
    set_attributes,
)


@pytest.mark.parametrize(
    "mode", [None, "0644", "644", "0o644", 0o644, "u=rw,g=r,o=r", "a+rX", "u=rwX,go-w", "g=u"]
)
def test_modes(mode: t.Any) -> None:
    check_attributes({"mode": mode})


@pytest.mark.parametrize(
    "mode", ["", "rw", "0888", "17777", True, -1, 0o10000, 6.44, "u=rw;o=r", "u=q", "0644 "]
)
def test_modes_that_are_refused(mode: t.Any) -> None:
    with pytest.raises(InvalidInput, match="is not a valid mode: write octal digits in quotes"):
        check_attributes({"mode": mode})


@pytest.mark.parametrize("option", ["owner", "group"])
def test_accounts_have_to_exist(option: str) -> None:
    check_attributes({option: "root"})
    check_attributes({option: "54321"})
    with pytest.raises(
        InvalidInput, match=f"'no-such' is not a valid {option}: it does not exist on the host"
    ):
        check_attributes({option: "no-such"})


def test_directories_can_be_entered_by_those_who_may_read_them(tmp_path: pathlib.Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.symlink(tmp_path / "file", tmp_path / "link")
    asked: dict[str, t.Any] = {}

    def record(path: str, attributes: t.Mapping[str, t.Any]) -> bool:
        asked[os.path.basename(path)] = attributes["mode"]
        return path.endswith("file")

    clients = RegistryClients({name: spec.get("default") for name, spec in OPTIONS.items()}, Events())
    paths = [str(tmp_path / name) for name in ("directory", "file", "link")]
    for mode, of_directory in (("0640", "0750"), ("u=rw,g=r", "u=rwX,g=rX"), ("a+r", "a+rX")):
        assert set_attributes(ModuleContext({"mode": mode}, False, clients, record), paths) is True
        assert asked == {"directory": of_directory, "file": mode}
    asked.clear()
    assert set_attributes(ModuleContext({}, False, clients, record), paths) is False
    assert asked == {}

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structure of module_utils is what CONTRIBUTING.md says it is."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UTILS = {path.stem: path for path in (ROOT / "plugins/module_utils").glob("_*.py")}
PURE = (
    "_errors",
    "_reference",
    "_content",
    "_origin",
    "_versions",
    "_patterns",
    "_retention",
    "_credentials",
)


def imports(path: pathlib.Path) -> set[str]:
    """Return the modules that a file imports when it is loaded; imports for type checkers are not among them."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        # Optional libraries are imported in a try statement.
        for statement in [node, *getattr(node, "body", [])] if isinstance(node, ast.Try) else [node]:
            if isinstance(statement, ast.ImportFrom):
                found.add(statement.module or "")
            elif isinstance(statement, ast.Import):
                found.update(alias.name for alias in statement.names)
    return found


def utils_of(path: pathlib.Path) -> set[str]:
    return {name.rpartition(".")[2] for name in imports(path) if ".registry.plugins.module_utils." in name}


def reached(name: str) -> set[str]:
    """Return all utils that a util leads to."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        found |= waiting
        waiting = {other for one in waiting for other in utils_of(UTILS[one])} - found
    return found


def test_every_util_has_its_place_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(_[a-z0-9]+)`", text))
    assert named >= set(UTILS)
    assert named <= set(UTILS)


def test_no_util_imports_itself_through_others() -> None:
    for name, path in UTILS.items():
        for other in utils_of(path):
            assert name not in reached(other), f"{name} and {other} import each other"


@pytest.mark.parametrize("name", PURE)
def test_pure_layers_know_nothing_of_http(name: str) -> None:
    assert not reached(name) & {"_transport", "_client", "_module"}


def test_only_the_transport_imports_requests_and_only_the_module_layer_ansible() -> None:
    importing = {name: imports(path) for name, path in UTILS.items()}
    assert {
        name for name, found in importing.items() if any(one.split(".")[0] == "requests" for one in found)
    } == {"_transport"}
    assert {name for name, found in importing.items() if "ansible.module_utils.basic" in found} == {"_module"}


def test_modules_do_not_import_each_other() -> None:
    for path in (ROOT / "plugins/modules").glob("*.py"):
        assert not any(".plugins.modules." in name for name in imports(path)), path.name

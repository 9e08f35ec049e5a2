# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of module_utils: each imports only those above it, and nothing imports itself through others."""

from __future__ import annotations

import ast
import functools
import pathlib
import re
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UTILS = ROOT / "plugins/module_utils"
# From top to bottom. What stands in one tuple is one room.
ROOMS = (
    ("_errors", "_secrets", "_parallel", "_progress", "_channel"),
    ("_oci",),
    ("_http",),
    ("_registry",),
    ("_storage",),
    ("_deletion",),
    ("_transfer",),
    ("_prune",),
    ("_verify",),
    ("_watch",),
    ("_module",),
)
# Rooms and files whose imports, also through others, never lead to what sends.
WITHOUT_HTTP = (
    "_errors",
    "_secrets",
    "_parallel",
    "_progress",
    "_channel",
    "_oci",
    "_prune.policy",
    "_prune.protection",
    "_prune.rules",
    "_prune.version_ranges",
    "_watch.changes",
)
FILES = {".".join(path.relative_to(UTILS).with_suffix("").parts): path for path in UTILS.rglob("*.py")}


@functools.lru_cache(maxsize=None)
def imported(name: str) -> frozenset[str]:
    """Return the files of module_utils that a file of it imports, wherever in it, for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = name.split(".")[: -node.level]
            found.add(".".join([*above, *(node.module or "").split(".")]))
    return frozenset(found)


def others(name: str) -> set[str]:
    """Return what a file imports that is no part of module_utils, by the full name."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def reached(name: str) -> set[str]:
    """Return all files that a file leads to, itself included where it leads to itself."""
    found: set[str] = set()
    waiting: t.AbstractSet[str] = imported(name)
    while waiting:
        found |= waiting
        waiting = {other for one in waiting for other in imported(one)} - found
    return found


def place(name: str) -> int:
    room = name.partition(".")[0]
    return next(number for number, rooms in enumerate(ROOMS) if room in rooms)


def test_every_file_is_in_a_room_and_every_room_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {name.partition(".")[0] for name in FILES} == {room for rooms in ROOMS for room in rooms}
    table = re.findall(r"^\| ((?:`_[a-z]+(?:/|\.py)`(?:, )?)+) \|", text, re.MULTILINE)
    rows = [tuple(re.findall(r"`(_[a-z]+)(?:/|\.py)`", row)) for row in table]
    assert rows == list(ROOMS)


def test_contributing_says_what_each_file_is_for() -> None:
    """Each file is named in the row of its room, and nothing that is not there."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(_[a-z]+)/` \| (.*) \|$", text, re.MULTILINE))
    named = {f"{room}.{file}" for room, row in rows.items() for file in re.findall(r"`([a-z_]+)`", row)}
    assert named == {name for name in FILES if "." in name}


@pytest.mark.parametrize("name", sorted(FILES))
def test_rooms_import_only_those_above_them(name: str) -> None:
    below = {other for other in imported(name) if place(other) > place(name)}
    assert not below, f"{name} imports {', '.join(sorted(below))}, which stands below it"
    assert imported(name) <= set(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_imports_itself_through_others(name: str) -> None:
    assert name not in reached(name)


@pytest.mark.parametrize("name", sorted(FILES))
def test_imports_inside_module_utils_are_relative(name: str) -> None:
    assert not any(other.startswith("ansible_collections.") for other in others(name))


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_knows_nothing_of_http_leads_to_nothing_that_sends(name: str) -> None:
    if name in WITHOUT_HTTP or name.partition(".")[0] in WITHOUT_HTTP:
        assert not any(other.startswith(("_http", "_registry")) for other in reached(name))


@pytest.mark.parametrize(
    ("library", "files"),
    [
        ("requests", set()),
        ("urllib3", {"_http.connections", "_http.faults", "_http.tls", "_http.transport"}),
        ("ansible.module_utils.basic", {"_module"}),
        ("sigstore", {"_verify.sigstore_library"}),
        ("rfc3161_client", {"_verify.sigstore_library"}),
    ],
)
def test_libraries_are_imported_in_one_file(library: str, files: set[str]) -> None:
    def uses(name: str) -> bool:
        return any(other == library or other.startswith(f"{library}.") for other in others(name))

    assert {name for name in FILES if uses(name)} == files


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for folder in ("plugins", "extensions")
        for path in (ROOT / folder).rglob("*.py")
        if path.parent.name != "modules"
    ),
    ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix(),
)
def test_parameters_and_variables_are_called_by_nouns(path: pathlib.Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    assert not {name.strip("_") for name in names} & {
        "what",
        "one",
        "more",
        "found",
        "wanted",
        "here",
        "there",
    }


SOURCES = sorted(
    path
    for folder in (
        "plugins/module_utils",
        "plugins/plugin_utils",
        "plugins/lookup",
        "plugins/filter",
        "extensions",
    )
    for path in (ROOT / folder).rglob("*.py")
)
# What Ansible and io.RawIOBase demand, and say what it is for.
DEMANDED = {
    "FilterModule",
    "filters",
    "LookupModule",
    "run",
    "readable",
    "seekable",
    "seek",
    "readinto",
    "close",
}


def public(body: t.Sequence[ast.stmt]) -> t.Iterator[tuple[str, str | None]]:
    """Yield the names and documentation of public functions and classes, and of what is public in these."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            overload = any(ast.unparse(decorator) == "t.overload" for decorator in node.decorator_list)
            yield node.name, "overload" if overload else ast.get_docstring(node)
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_public_functions_and_classes_are_documented() -> None:
    """Once for each name: what implements or overrides a documented method needs no documentation of its own."""
    entries = [
        (path.name, name, text)
        for path in SOURCES
        for name, text in public(ast.parse(path.read_text(encoding="utf-8")).body)
    ]
    documented = {name for _file, name, text in entries if text} | DEMANDED
    assert [(file, name) for file, name, _text in entries if name not in documented] == []


def test_modules_do_not_import_each_other() -> None:
    for path in (ROOT / "plugins/modules").glob("*.py"):
        tree: t.Any = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not any(".plugins.modules" in name for name in names), path.name


def code_of_a_module(source: str) -> list[str]:
    """Return the lines of a module that are neither documentation, specification, comment nor empty."""
    tree = ast.parse(source)
    left_out: set[int] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = {node.target.id}
        else:
            continue
        if names & {"DOCUMENTATION", "EXAMPLES", "RETURN", "ARGUMENT_SPEC"}:
            left_out.update(range(node.lineno, t.cast(int, node.end_lineno) + 1))
    lines = enumerate(source.splitlines(), 1)
    return [
        line
        for number, line in lines
        if number not in left_out and line.strip() and not line.lstrip().startswith("#")
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_a_module_is_documentation_a_specification_and_one_call(path: pathlib.Path) -> None:
    source = path.read_text(encoding="utf-8")
    code = code_of_a_module(source)
    assert 0 < len(code) <= 60, f"{path.name} has {len(code)} lines of code: move them into a room"
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert [(function.name, len(function.body)) for function in functions] == [("main", 1)]


# Parts of one algorithm, which tests meet as a whole. All other files have a file of tests of their name.
TESTED_AS_A_WHOLE = {
    "_deletion.by_manifest": "module_utils/_deletion/test_tags.py",
    "_deletion.by_name": "module_utils/_deletion/test_tags.py",
    "_deletion.by_placeholder": "module_utils/_deletion/test_tags.py",
    "_module": "action/test_in_process.py",
    "_prune.apply": "modules/test_registry_prune.py",
    "_verify.certificates": "module_utils/_verify/test_signatures.py",
    "_verify.payloads": "module_utils/_verify/test_signatures.py",
    "_verify.signature_store": "module_utils/_verify/test_signatures.py",
    "_verify.signers": "module_utils/_verify/test_signatures.py",
    "_verify.sigstore_library": "module_utils/_verify/test_signatures.py",
}
TESTS = ROOT / "tests/unit/plugins"


def work_of_modules() -> dict[str, str]:
    """Return the file of module_utils that has the function of each module, with the tests of that module."""
    files = {}
    for path in (ROOT / "plugins/modules").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        (function,) = re.findall(r"^    run\((\w+), ARGUMENT_SPEC", source, re.MULTILINE)
        imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
        (module,) = [node.module for node in imports if any(alias.name == function for alias in node.names)]
        files[str(module).partition("module_utils.")[2]] = f"modules/test_{path.stem}.py"
    return files


def test_every_file_has_tests_of_its_name() -> None:
    """The functions of modules are tested by the module's tests, if not by themselves."""
    by_module = work_of_modules()
    for name in FILES:
        *room, file = name.split(".")
        own = "/".join(["module_utils", *room, f"test_{file.lstrip('_')}.py"])
        tests = own if (TESTS / own).exists() else TESTED_AS_A_WHOLE.get(name) or by_module.get(name, own)
        assert (TESTS / tests).is_file(), f"{name} has no tests: write tests/unit/plugins/{tests}"
        assert name not in TESTED_AS_A_WHOLE or tests != own, f"{name} has tests of its own"
    assert set(FILES) >= set(TESTED_AS_A_WHOLE)
    for path in (ROOT / "plugins/modules").glob("*.py"):
        assert (TESTS / "modules" / f"test_{path.stem}.py").is_file(), f"{path.name} has no tests"


def test_every_module_runs_through_the_one_action_plugin() -> None:
    plugins = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "plugins/action").glob("*.py")}
    assert set(plugins) == {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    assert len({text.replace(name, "NAME") for name, text in plugins.items()}) == 1

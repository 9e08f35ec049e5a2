# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What names something is taken as it is written, in every option of every module, or refused."""

from __future__ import annotations

import importlib
import json
import math
import pathlib
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import (
    INTEGER,
    LIST,
    NUMBER,
    TEXT,
    check_number,
    check_text,
)
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit import running

ROOT = pathlib.Path(__file__).resolve().parents[5]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("registry_*.py"))
# Text that names nothing: words, sizes and times, which are checked when they are read, and what goes into an image.
FREE = frozenset(
    [
        "author",
        "cmd",
        "comment",
        "confirm",
        "content",
        "created",
        "dest",
        "entrypoint",
        "exposed_ports",
        "format",
        "group",
        "max_age",
        "max_size",
        "max_unpacked_size",
        "name",
        "older_than",
        "owner",
        "strategy",
        "unknown_age",
        "user",
        "volumes",
        "workdir",
        "younger_than",
    ]
)
# A name in these modules, which is the name of an image.
NAMES = {"registry_pull": {"name"}, "registry_push": {"name"}, "registry_rmrepo": {"confirm"}}
NOT_TEXT = "is not text but a value of YAML: write it in quotes, as it is meant"


def specs(module: str) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Yield each option of a module, suboptions included, with its specification."""
    waiting = [
        importlib.import_module(f"ansible_collections.ocikit.registry.plugins.modules.{module}").ARGUMENT_SPEC
    ]
    while waiting:
        for name, spec in waiting.pop().items():
            if name == "destination":
                continue
            yield name, spec
            waiting += [spec["options"]] if "options" in spec else []


@pytest.mark.parametrize("module", MODULES)
def test_options_that_name_something_take_text_only(module: str) -> None:
    for name, spec in specs(module):
        if spec.get("choices") or (name in FREE and name not in NAMES.get(module, ())):
            continue
        if spec["type"] == "list":
            assert spec["type"] is LIST or spec["elements"] in ("dict", "path"), (
                f"{name} takes a number as a list"
            )
            assert spec["elements"] is TEXT or spec["elements"] != "str", f"{name} takes numbers as texts"
        elif spec["type"] == "str":
            assert spec["type"] is TEXT, f"{name} takes a number as text"


@pytest.mark.parametrize(
    "value", [1.10, "!!float 1.10", 20240506, 0o123456, True, False, math.nan, None, {"a": "b"}, ["a"]]
)
def test_what_is_no_text_is_refused_in_texts_and_lists(value: t.Any) -> None:
    value = yaml.safe_load(value) if value == "!!float 1.10" else value
    spec: dict[str, dict[str, t.Any]] = {
        "one": {"type": TEXT},
        "many": {"type": LIST, "elements": TEXT},
        "inner": {"type": "dict"},
    }
    spec["inner"]["options"] = {"many": {"type": LIST, "elements": TEXT}}
    for given in ({"one": value}, {"many": ["a", value]}, {"many": value}, {"inner": {"many": [value]}}):
        if value is None and "one" in given or given == {"many": ["a"]} or given == {"many": None}:
            # Ansible takes none for an option that is not set.
            continue
        errors = ArgumentSpecValidator(spec).validate(given).error_messages
        assert len(errors) == 1 and errors[0].endswith(f"{value} {NOT_TEXT}"), (given, errors)
    with pytest.raises(InvalidInput) as caught:
        check_text(value, "tags")
    assert str(caught.value) == f"{value} in tags {NOT_TEXT}."


def test_text_is_taken_as_it_is_written() -> None:
    spec = {"one": {"type": TEXT}, "many": {"type": LIST, "elements": TEXT, "default": []}}

    def taken(**given: t.Any) -> dict[str, t.Any]:
        result = ArgumentSpecValidator(spec).validate(given)
        assert result.error_messages == []
        return t.cast("dict[str, t.Any]", result.validated_parameters)

    # Ad hoc tasks give all values as text.
    assert taken(one="1.10", many="1.10,yes,0123456") == {"one": "1.10", "many": ["1.10", "yes", "0123456"]}
    assert taken(many=["1.10", ""]) == {"one": None, "many": ["1.10", ""]}
    assert taken() == {"one": None, "many": []}


def test_types_equal_those_that_documentation_names() -> None:
    assert (TEXT, LIST, INTEGER, NUMBER) == ("str", "list", "int", "float")
    assert {"str": 1, "list": 2}[TEXT] == 1


@pytest.mark.parametrize(
    ("params", "value"),
    [
        ({"image": "a/b:1", "tags": [1.10]}, "1.1"),
        ({"image": "a/b:1", "tags": 1.10}, "1.1"),
        ({"image": "a/b:1", "tags": [0o123456]}, "42798"),
        ({"image": "a/b:1", "tags": [True]}, "True"),
    ],
)
def test_a_task_with_a_number_for_a_tag_sends_nothing(params: dict[str, t.Any], value: str) -> None:
    with HostileRegistry() as server:
        server.add("a/b", images.samples()["oci"], "1")
        output, _errors = running.start("registry_tag", server.url, **params).communicate()
        result = json.loads(output)
        assert result["failed"] and f"{value} {NOT_TEXT}" in result["msg"]
        assert server.requests == []


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("kind", [INTEGER, NUMBER])
def test_a_boolean_is_no_number(kind: t.Any, value: bool) -> None:
    spec = {"many": {"type": "list", "elements": "dict", "options": {"one": {"type": kind}}}}
    errors = ArgumentSpecValidator(spec).validate({"many": [{"one": value}]}).error_messages
    assert len(errors) == 1 and errors[0].endswith(f"to {kind}: {value} is a boolean: write a number")
    result = ArgumentSpecValidator(spec).validate({"many": [{"one": 3}, {"one": "3"}, {}]})
    assert [entry["one"] for entry in result.validated_parameters["many"]] == [3, 3, None]


def test_limits_of_what_is_deleted_take_no_booleans() -> None:
    options = {name: spec["type"] for name, spec in specs("registry_prune")}
    names = ("keep_last", "max_delete", "undo_days")
    assert all(options[name] is INTEGER for name in names) and options["max_delete_percent"] is NUMBER


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0, None),
        (7, None),
        (None, None),
        (-1, "at least 0"),
        (math.nan, "at least 0"),
        (math.inf, "at most 7"),
        (8, "at most 7"),
    ],
)
def test_numbers_out_of_range(value: float | None, says: str | None) -> None:
    if says is None:
        check_number(value, "limit", 0, 7)
        return
    with pytest.raises(InvalidInput, match=f"^limit must be {says}\\.$"):
        check_number(value, "limit", 0, 7)

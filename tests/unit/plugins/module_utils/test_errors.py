# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors: one harmless line, what was done by then, and the parts that playbooks test."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    LibraryMissing,
    RegistryError,
    Unauthorized,
    printable,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nb\tc", "a b c"),
        ("\x1b[31mred\x9b", "[31mred"),
        ("left \u202eright\u2066", "left  right"),
        ("  spaces  ", "spaces"),
        (404, "404"),
        ("x" * 600, "x" * 500 + "…"),
    ],
)
def test_text_of_a_server_is_one_harmless_line(text: object, line: str) -> None:
    assert printable(text) == line


def test_an_error_goes_on_with_a_sentence_and_keeps_what_it_is() -> None:
    error = Unauthorized("It was refused.", status=401, code="UNAUTHORIZED")
    assert error.add_sentence("Log in.") is error
    assert str(error) == "It was refused. Log in."
    assert error.replace_message("Log in first.").to_dict()["status"] == 401
    assert str(error) == "Log in first."


def test_results_of_the_steps_of_a_task_add_up() -> None:
    error = RegistryError("It failed.").add_result({"changed": False, "targets": []})
    assert error.add_result({"changed": True}).result == {"changed": True, "targets": []}


def test_an_error_that_names_its_request_keeps_it() -> None:
    bare, full = RegistryError("a"), RegistryError("b", status=404, method="HEAD", url="http://b/v2/")
    for error in (bare, full):
        error.add_request(401, "GET", "http://a/v2/")
    assert [(error.status, error.method, error.url) for error in (bare, full)] == [
        (401, "GET", "http://a/v2/"),
        (404, "HEAD", "http://b/v2/"),
    ]


def test_every_kind_has_a_name_of_its_own() -> None:
    def kinds(base: type[RegistryError]) -> list[str]:
        own = [kind for kind in base.__subclasses__() if kind.__module__.endswith("._errors")]
        return [kind.kind for kind in own] + [name for kind in own for name in kinds(kind)]

    names = kinds(RegistryError)
    assert len(names) == len(set(names)) > 10
    assert InvalidInput("x").to_dict()["kind"] == "invalid_input"


def test_a_missing_library_names_its_package_and_what_it_is_for() -> None:
    error = LibraryMissing("cryptography", "to verify signatures")
    assert str(error) == (
        "The Python library cryptography is not installed. It is required to verify signatures."
    )

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that the tests are run with: exact versions, with the hash of every file."""

from __future__ import annotations

import pathlib
import re

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
LOCKS = sorted(path.name for path in TESTS.glob("requirements*.txt"))
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(text: str) -> set[tuple[str, str]]:
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in PIN.findall(text)}


def test_every_list_of_requirements_is_locked() -> None:
    assert sorted(path.with_suffix(".txt").name for path in TESTS.glob("requirements*.in")) == LOCKS


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_the_versions_that_are_asked_for(lock: str) -> None:
    asked = (TESTS / lock).with_suffix(".in").read_text(encoding="utf-8")
    assert pins(asked) and pins(asked) <= pins((TESTS / lock).read_text(encoding="utf-8")), "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_hashes(lock: str) -> None:
    lines = (TESTS / lock).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert packages
    for package in packages:
        assert PIN.match(package) and " --hash=sha256:" in package, package


def test_the_parts_of_one_environment_agree() -> None:
    runtime, tests = (
        pins((TESTS / name).read_text(encoding="utf-8"))
        for name in ("requirements-runtime.txt", "requirements.txt")
    )
    assert runtime <= tests

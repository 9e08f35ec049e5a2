# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names choose what they are meant to choose, and messages tell images apart."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._storage.listing import (
    IMAGE_NAME,
    REF_NAME,
    ImageName,
    chosen,
    free_name,
    labels,
)


def entry(number: int, ref: str | None = None, full: str | None = None) -> dict[str, t.Any]:
    names = {key: name for key, name in ((REF_NAME, ref), (IMAGE_NAME, full)) if name}
    return {"mediaType": "x", "size": 1, "digest": f"sha256:{number:064}", "annotations": names}


ENTRIES = [
    entry(0, "1", "docker.io/library/app:1"),
    entry(1, "1", "r.example.com/team/app:1"),
    entry(2, "app"),
    entry(3),
]


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("1", [0, 1]),
        ("app:1", [0]),
        ("docker.io/library/app:1", [0]),
        ("index.docker.io/library/app:1", [0]),
        ("team/app:1", [1]),
        ("app", [2]),
        ("3", [3]),
        (ENTRIES[3]["digest"], [3]),
        ("4", []),
        ("1" * 5000, []),
        ("", []),
        ("²", []),
        ("App:1", []),
    ],
)
def test_what_a_name_chooses(name: str, places: list[int]) -> None:
    assert chosen(ENTRIES, name) == [ENTRIES[place] for place in places]


def test_labels_differ() -> None:
    assert labels(ENTRIES) == [
        "docker.io/library/app:1",
        "r.example.com/team/app:1",
        "app",
        ENTRIES[3]["digest"],
    ]
    assert labels([entry(0, "a"), entry(0, "a"), entry(1, "b")]) == ["a", "b"]
    assert labels([entry(0, "a"), entry(1, "a")]) == [f"a (sha256:{number:064})" for number in (0, 1)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (ImageName("1", "docker.io/library/app:1"), "1"),
        (ImageName("2", "r.example.com/other/app:2"), "2"),
        (ImageName("1", "r.example.com/other/app:1"), "r.example.com/other/app:1"),
        (ImageName("1", "r.example.com/other/app:1", given=True), "1"),
        (ImageName(""), ""),
    ],
)
def test_the_name_of_another_repository_is_not_taken(name: ImageName, expected: str) -> None:
    assert free_name([ENTRIES[0]], name).name == expected

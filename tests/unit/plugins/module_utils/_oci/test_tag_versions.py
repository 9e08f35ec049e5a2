# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_versions import (
    Version,
    parse_version,
    version_key,
)

# Each line from the oldest to the newest.
ORDERS = [
    "latest 1.9.3 1.10.0",
    "0 0.0 0.0.1 0.1 1 1.0 1.0.0 1.0.1 2",
    "1.4.1 1.4.2-alpha 1.4.2-alpha.1 1.4.2-beta 1.4.2-beta.2 1.4.2-beta.11 1.4.2-rc.1 1.4.2 1.4.3-rc.1 1.4.3",
    "1.4.2rc1 1.4.2-rc.2 1.4.2-rc10 1.4.2 v1.4.2",
    "3.13.0a7 3.13.0b1 3.13.0rc2 3.13.0 3.13.1",
    "6.0.0-M1 6.0.0-M2 6.0.0-M10 6.0.0-RC1 6.0.0",
    "1.4.0-SNAPSHOT 1.4.0 1.4.0-1 1.4.0-2 1.4.0-10 1.4.0-alpine 1.4.0-alpine3.9 1.4.0-alpine3.18",
    "1.4.2 1.4.2-3-g4b26997 1.4.2-12-g1069b85 1.4.3",
    "1.0.2 1.0.2a 1.0.2k 1.0.3",
    "17.0.9 17.0.9-b08 17.0.9-b11 17.0.10",
    "20231231 20240101 20240101-2",
    "2023.12.31 2024.01.02 2024.1.3",
    "build-2 build-10 1",
    "release-1.9 release-1.10",
]


@pytest.mark.parametrize("line", ORDERS)
def test_order(line: str) -> None:
    tags = line.split()
    shuffled = random.Random(1).sample(tags, len(tags))
    assert sorted(shuffled, key=version_key) == tags


@pytest.mark.parametrize(
    "tag, version",
    [
        ("1", Version((1,))),
        ("v1.4.2", Version((1, 4, 2))),
        ("V01.04", Version((1, 4))),
        ("1.4.2-rc.1", Version((1, 4, 2), prerelease="rc.1")),
        ("1.4.2_rc.1", Version((1, 4, 2), prerelease="rc.1")),
        ("1.4.2RC1", Version((1, 4, 2), prerelease="RC1")),
        ("1.4.2-dev", Version((1, 4, 2), prerelease="dev")),
        ("1.4.2-development", Version((1, 4, 2), variant="development")),
        ("1.4.2-prefork", Version((1, 4, 2), variant="prefork")),
        ("1.4.2-b3", Version((1, 4, 2), variant="b3")),
        ("1.4.2b3", Version((1, 4, 2), prerelease="b3")),
        ("1-alpine", Version((1,), variant="alpine")),
        ("1.x", Version((1,), variant="x")),
    ],
)
def test_versions(tag: str, version: Version) -> None:
    assert parse_version(tag) == version


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "v",
        "",
        "7b6d3f2",
        "12factor",
        "sha-4b26997",
        "release-1.4.2",
        "1.4.2-",
        "1..2",
        "-1",
        "1.2\n",
    ],
)
def test_what_is_no_version(tag: str) -> None:
    assert parse_version(tag) is None


@pytest.mark.parametrize("tag", ["1.4", "v1.4.2-rc.1", "1.4.2-alpine", "2024.05.06", "1.4.2-3-g4b26997"])
def test_a_strict_version_has_a_dot(tag: str) -> None:
    assert parse_version(tag) is not None
    assert parse_version(tag, strict=True) == parse_version(tag)
    assert version_key(tag, strict=True) == version_key(tag)


@pytest.mark.parametrize(
    "tag", ["1", "v2", "8675309", "20240506", "20240506-2", "1-alpine", "1-rc.1", "1.", "latest"]
)
def test_without_a_dot_a_tag_is_no_strict_version(tag: str) -> None:
    assert parse_version(tag, strict=True) is None
    assert sorted(["0.1", tag, "0.1-rc.1"], key=lambda one: version_key(one, strict=True)) == [
        tag,
        "0.1-rc.1",
        "0.1",
    ]


TAGS = st.from_regex(r"[v0-9a-c][0-9a-c._-]{0,6}|[0-9]\.[0-9]{1,2}(-rc|-alpine|rc)?[0-9]?", fullmatch=True)


@given(
    st.lists(
        TAGS | st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=128), unique=True
    )
)
def test_the_order_is_total_and_does_not_depend_on_the_input(tags: list[str]) -> None:
    assert len({str(version_key(tag)) for tag in tags}) == len(tags)
    assert sorted(tags, key=version_key) == sorted(reversed(tags), key=version_key)

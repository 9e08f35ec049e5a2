# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirements are read with their units, and refused where they could be met by everything."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Platform
from ansible_collections.ocikit.registry.plugins.module_utils._verify.requirements import (
    REQUIREMENTS,
    Requirements,
    texts,
)


def read(**given: t.Any) -> Requirements:
    return Requirements.read({**dict.fromkeys(REQUIREMENTS), **given})


def test_nothing_is_required_by_default() -> None:
    required = read()
    assert (required.pinned, required.max_bytes, required.max_seconds) == (False, 0, 0)
    assert (required.platforms, required.referrers, required.signatures) == ((), (), ())
    assert not required.need_content and not required.need_each_image


def test_sizes_ages_and_platforms() -> None:
    required = read(max_size="1 MiB", max_age="2d", platforms=["linux/arm64/v8"])
    assert (required.max_bytes, required.max_seconds) == (1 << 20, 2 * 86400)
    assert required.platforms == (Platform.parse("linux/arm64"),)
    assert required.need_each_image and required.need_content


@pytest.mark.parametrize(
    ("given", "each", "content"),
    [
        ({"pinned": True}, False, False),
        ({"forbidden_tags": ["latest"]}, False, False),
        ({"platforms": ["linux/amd64"]}, False, True),
        ({"labels": {"a": ""}}, True, True),
        ({"max_age": "1h"}, True, True),
    ],
)
def test_what_has_to_be_read_of_an_image(given: dict[str, t.Any], each: bool, content: bool) -> None:
    required = read(**given)
    assert (required.need_each_image, required.need_content) == (each, content)


def test_labels_and_referrers_are_patterns() -> None:
    required = read(labels={"team": "a*", "any": None}, referrers=["cosign", "application/vnd.*"])
    pattern = required.labels["team"]
    assert pattern and pattern.compiled.match("alpha") and not pattern.compiled.match("beta")
    assert required.labels["any"] is None
    assert required.cosign and [entry.text for entry in required.referrers] == ["application/vnd.*"]
    assert required.forbidden_tags.match("latest") is False


@pytest.mark.parametrize(
    "given",
    [
        {"max_size": "large"},
        {"max_age": "soon"},
        {"platforms": ["arm64"]},
        {"platforms": [1.0]},
        {"forbidden_tags": [True]},
        {"labels": {"a": 1}},
        {"referrers": [None]},
    ],
)
def test_what_is_refused(given: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidInput):
        read(**given)


def test_lists_of_texts() -> None:
    assert texts(None, "tags") == []
    assert texts(["a"], "tags") == ["a"]
    with pytest.raises(InvalidInput, match="tags"):
        texts([1.10], "tags")

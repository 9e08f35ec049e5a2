# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images to be verified, each with the requirements of the task and its own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._verify.checks import Check, read_checks
from ansible_collections.ocikit.registry.plugins.module_utils._verify.requirements import REQUIREMENTS

Read = t.Callable[..., t.List[Check]]


@pytest.fixture
def read(connect: t.Callable[..., tuple[RegistryClients, t.Any]]) -> Read:
    clients, _client = connect("http://127.0.0.1:1")
    nothing = dict.fromkeys((*REQUIREMENTS, "images", "lock", "signature_repository"))
    return lambda **given: read_checks(clients, {**nothing, **given})


def test_requirements_of_the_task_and_of_one_image(read: Read) -> None:
    plain, own = read(images=["a/b:1", {"image": "c/d", "pinned": False, "max_size": "1k"}], pinned=True)
    assert (str(plain.reference), plain.requirements.pinned) == ("127.0.0.1:1/a/b:1", True)
    assert (own.requirements.pinned, own.requirements.max_bytes) == (False, 1000)
    assert plain.locked is None and plain.signature_repository is None


def test_the_same_requirements_are_read_once(read: Read) -> None:
    first, second, other = read(images=["a/b:1", "a/b:2", {"image": "a/b:3", "pinned": True}])
    assert first.requirements is second.requirements is not other.requirements


@pytest.mark.parametrize(
    ("image", "tag"), [("a/b", "latest"), ("a/b:1", "1"), (f"a/b@sha256:{'0' * 64}", None)]
)
def test_the_tag_that_is_meant(read: Read, image: str, tag: str | None) -> None:
    (check,) = read(images=[image])
    assert check.tag == tag


def test_signatures_may_be_in_another_repository(read: Read) -> None:
    first, second = read(
        images=["a/b:1", {"image": "a/b:2", "signature_repository": "own/sigs"}], signature_repository="sigs"
    )
    assert [
        check.signature_repository and check.signature_repository.repository for check in (first, second)
    ] == [
        "sigs",
        "own/sigs",
    ]


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (None, "There is nothing to verify: name images, or a lock file"),
        ([], "There is nothing to verify"),
        ([1.10], "1.1 in images must be a reference, or a dictionary"),
        ([{"pinned": True}], "An entry of images cannot be used: .*image"),
        ([{"image": "a/b", "no_such": 1}], "An entry of images cannot be used: .*no_such"),
        ([{"image": 1.10}], "images"),
        (["A/B"], "lower case"),
    ],
)
def test_entries_that_are_refused(read: Read, images: t.Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read(images=images)

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags that are made of a digest."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._oci.digest_tags import (
    cosign_tag_names,
    fallback_tag,
    subject_of_tag,
)

SHA256 = f"sha256:{7:064x}"
SHA512 = f"sha512:{7:0128x}"


def test_the_list_of_referrers_has_a_tag_of_at_most_97_characters() -> None:
    assert fallback_tag(SHA256) == f"sha256-{7:064x}"
    assert fallback_tag(SHA512) == "sha512-" + f"{7:0128x}"[:64]


def test_cosign_has_three_tags_where_they_are_short_enough() -> None:
    assert cosign_tag_names(SHA256) == [f"sha256-{7:064x}.{suffix}" for suffix in ("sig", "att", "sbom")]
    assert cosign_tag_names(SHA512) == []


@pytest.mark.parametrize("tag", [fallback_tag(SHA256), *cosign_tag_names(SHA256)])
def test_the_subject_of_a_tag_is_in_its_name(tag: str) -> None:
    assert subject_of_tag(tag) == SHA256


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "sha256-12",
        f"sha256-{7:064x}.zip",
        f"sha1-{7:064x}",
        f"sha256-{7:064x}.sig.sig",
        "x-" + fallback_tag(SHA256),
    ],
)
def test_other_tags_have_no_subject(tag: str) -> None:
    assert subject_of_tag(tag) is None

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version ranges, with the prereleases at their ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_versions import version_key
from ansible_collections.ocikit.registry.plugins.module_utils._prune.version_ranges import VersionRange


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (
            ">=1.2 <2",
            ["1.2", "1.2.0", "v1.9.9", "1.9.9-rc.1"],
            ["1.1.9", "2", "1.2.0-rc1", "3", "2.0.0-rc.1"],
        ),
        (
            "<2",
            ["1.9", "0.1", "1.9-rc.1", "1.9-alpine"],
            ["2.0.0-rc.1", "2.0.0", "v2-rc1", "2.0.0-alpine", "latest"],
        ),
        ("<2.0.0", ["1.9"], ["2.0-rc.1", "2-rc.1", "2.0.0"]),
        ("<=2", ["1.9", "2", "2.0.0", "1.9-rc.1"], ["2.0.0-rc.1", "2-beta", "2.0.1-rc.1", "2.0.1"]),
        ("<2.0.0-0", ["1.9.9", "1.9.9-rc.1"], ["2.0.0-alpha", "2.0.0", "2.0.0-0"]),
        ("<=v2.0.0-0", ["1.9.9"], ["2.0.0-alpha", "2.0.0"]),
        (">=2.0.0-0", ["2.0.0-alpha", "2.0.0", "2.1"], ["1.9.9"]),
        (">2.0.0-0", ["2.0.0-alpha", "2.0.0"], ["1.9.9"]),
        (">=1.0.0-0 <1.1.0-0", ["1.0.0-rc.1", "1.0.9"], ["1.1.0-rc.1", "1.1.0", "0.9"]),
        ("^2.0.0-0", ["2.0.0-alpha", "2.0.0", "2.9"], ["1.9", "3.0.0-rc.1"]),
        ("<2.0.0-rc.2", ["1.9", "2.0.0-beta", "2.0.0-rc.1"], ["2.0.0-rc.2", "2.0.0"]),
        ("<=2.0.0-rc.2", ["2.0.0-rc.1", "2.0.0-rc.2"], ["2.0.0-rc.3", "2.0.0"]),
        (">=2.0.0-rc.1 <2.0.0", ["2.0.0-rc.1", "2.0.0-rc.9"], ["2.0.0-beta", "2.0.0", "1.9"]),
        (">=2.0.0-rc.1 <=2", ["2.0.0-rc.1", "2.0.0"], ["2.0.0-beta", "2.0.1"]),
        (">=2.0.0-0 <2.0.0", ["2.0.0-alpha"], ["2.0.0", "1.9"]),
        (">=1.0.0-rc.1 <2", ["1.0.0-rc.1", "1.9"], ["1.0.0-beta", "2.0.0-rc.1"]),
        ("^1.2", ["1.2.0", "1.9"], ["2.0", "2.0.0-rc1", "1.1", "1.2.0-rc.1"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.3.0-rc.1", "1.2.2"]),
        ("~1", ["1.0", "1.9"], ["2.0.0-rc.1", "2"]),
        ("1.x", ["1.0", "1.9.9"], ["2.0", "2.0.0-rc.1", "0.9"]),
        ("1.2.*", ["1.2.0", "1.2.9"], ["1.3.0-rc.1", "1.3.0"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.3.0-rc.1"]),
        ("<1 || >=3", ["0.1", "3.0"], ["1.0", "1.0.0-rc.1", "2"]),
        ("=1.4", ["1.4", "1.4.0"], ["1.4.1", "1.4-rc.1"]),
        ("=1.4-0", ["1.4.0-0"], ["1.4.0", "1.4.0-rc.1"]),
        (">1.4, <=1.6", ["1.4.1", "1.6.0"], ["1.4.0", "1.4", "1.6.1", "1.6.0-rc.1"]),
        ("*", ["0.1", "9", "1-rc.1"], ["latest"]),
    ],
)
def test_version_ranges(text: str, inside: list[str], outside: list[str]) -> None:
    found = VersionRange(text)
    assert [tag for tag in inside if not found.holds(tag)] == []
    assert [tag for tag in outside if found.holds(tag)] == []


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "newest", "1.0 - 2.0", "!=1.5", "~>1.2", "~=1.4", "==1.4", "=>1", ">=1.x", "^1.x", "x",
        "1.0 ||", "|| 1.0", "1.0 | 2.0", ">=1 && <2", ">=", "<2" + "0" * 128,
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a version range: write one such as"):
        VersionRange(text)


@pytest.mark.parametrize(
    "text", [">=2 <1", ">2 <2", ">=1.2 <1.2", "^2 <1", ">=2.0.0-0 <2.0.0-0", "<1 || >3 <2"]
)
def test_a_range_that_no_version_lies_in_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="its end precedes its beginning"):
        VersionRange(text)


NUMBERS = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(lambda numbers: ".".join(map(str, numbers)))
VERSIONS = st.builds(
    lambda numbers, suffix: numbers + suffix, NUMBERS, st.sampled_from(["", "-alpha", "-rc.1", "-rc.2"])
)


@given(NUMBERS, VERSIONS)
def test_an_upper_bound_admits_no_prerelease_of_its_version(bound: str, tag: str) -> None:
    """Anything below the bound that is no prerelease of it is in the range, and nothing else."""
    exclusive, inclusive, floor = (
        VersionRange(f"<{bound}"),
        VersionRange(f"<={bound}"),
        VersionRange(f"<{bound}-0"),
    )
    below = version_key(tag)[:4] < version_key(bound)[:4]
    same = version_key(tag)[1] == version_key(bound)[1]
    assert exclusive.holds(tag) == floor.holds(tag) == (below and not same)
    assert inclusive.holds(tag) == ((below and not same) or (same and "-" not in tag))


@given(VERSIONS, VERSIONS)
def test_a_version_is_on_one_side_of_another_or_is_it(bound: str, tag: str) -> None:
    sides = [VersionRange(operator + bound).holds(tag) for operator in ("<", "=", ">")]
    released = "-" not in bound and "-" in tag and version_key(tag)[1] == version_key(bound)[1]
    assert sum(sides) == (0 if released else 1)
    assert VersionRange(">=" + bound).holds(tag) == (sides[1] or sides[2])
    assert VersionRange("<=" + bound).holds(tag) == (sides[0] or sides[1])

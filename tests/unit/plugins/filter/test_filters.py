# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters as templates use them."""

from __future__ import annotations

import typing as t

from tests.unit.expressions import evaluate

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "12")


def check(cases: t.Sequence[tuple[str, t.Any]], **variables: t.Any) -> None:
    """Compare the values of expressions; where an Exception is expected, its text must be in the error."""
    answers = evaluate(*(expression for expression, _expected in cases), variables=variables)
    for (expression, expected), value, error in zip(cases, answers.values, answers.errors):
        if isinstance(expected, Exception):
            assert str(expected) in str(error) and "\n" not in str(error), expression
        else:
            assert (value, error) == (expected, None), expression


def parts(
    registry: str, repository: str, tag: str | None = None, digest: str | None = None
) -> dict[str, t.Any]:
    name = f"{registry}/{repository}"
    return {
        "reference": name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else ""),
        "registry": registry,
        "repository": repository,
        "name": name,
        "tag": tag,
        "digest": digest,
    }


def test_image_reference() -> None:
    call = "ocikit.registry.image_reference"
    check(
        [
            (
                f"'registry.example.com:5000/team/app:1.4.2' | {call}",
                parts("registry.example.com:5000", "team/app", "1.4.2"),
            ),
            (f"('[::1]:5000/app:1@' ~ one) | {call}", parts("[::1]:5000", "app", "1", ONE)),
            (f"'busybox' | {call}", parts("docker.io", "library/busybox")),
            (f"'index.docker.io/team/app:1' | {call}", parts("docker.io", "team/app", "1")),
            (f"'team/app' | {call}('registry.example.com')", parts("registry.example.com", "team/app")),
            (
                f"'app:1' | {call}(registry='https://example.com:8443/prefix')",
                parts("example.com:8443", "app", "1"),
            ),
            (f"'quay.io/team/app' | {call}('registry.example.com')", parts("quay.io", "team/app")),
            (f"['a', 'b:1'] | map('{call}', 'x.y') | map(attribute='reference')", ["x.y/a", "x.y/b:1"]),
            (f"'team/App' | {call}", ValueError("is not a valid image reference: names are lower case.")),
            (f"'app:' | {call}", ValueError("'' is not a valid tag")),
            (f"'app@sha256:12' | {call}", ValueError("write sha256: and 64 lower-case hexadecimal digits.")),
            (f"3 | {call}", ValueError("The image must be text, not '3'.")),
            (f"'app' | {call}(registry=3)", ValueError("registry must be text, not '3'.")),
            (
                f"'app' | {call}('https://alice:secret@x.y')",
                ValueError("The registry must not contain credentials"),
            ),
            (f"nothing | {call}", ValueError("'nothing' is undefined")),
        ],
        one=ONE,
    )


def test_image_pin() -> None:
    call = "ocikit.registry.image_pin"
    check(
        [
            (f"'x.y/team/app:1.4.2' | {call}(one)", f"x.y/team/app@{ONE}"),
            (f"'x.y/team/app:1.4.2' | {call}(one, keep_tag=true)", f"x.y/team/app:1.4.2@{ONE}"),
            (f"'x.y/team/app' | {call}(one, keep_tag='yes')", f"x.y/team/app@{ONE}"),
            (f"'app:1' | {call}(digest=one, registry='x.y:5000')", f"x.y:5000/app@{ONE}"),
            (f"'app' | {call}(one)", f"docker.io/library/app@{ONE}"),
            (f"('x.y/app@' ~ one) | {call}(one)", f"x.y/app@{ONE}"),
            (
                f"('x.y/app@' ~ one) | {call}(other)",
                ValueError(f"x.y/app@{ONE} is pinned already, and not to {OTHER}."),
            ),
            (f"'x.y/app' | {call}('latest')", ValueError("'latest' is not a valid digest")),
            (f"'x.y/app' | {call}(one | upper)", ValueError("is not a valid digest")),
            (f"'x.y/app' | {call}(none)", ValueError("The digest must be text, not 'None'.")),
            (
                f"'x.y/app' | {call}(one, keep_tag='maybe')",
                ValueError("keep_tag must be true or false, not 'maybe'."),
            ),
            (f"'x.y/app' | {call}(nothing)", ValueError("'nothing' is undefined")),
        ],
        one=ONE,
        other=OTHER,
    )


def test_tag_version_sort() -> None:
    call = "tags | ocikit.registry.tag_version_sort"
    ordered = ["latest", "1.9.3", "1.10.0-rc.1", "1.10.0", "v1.10.0", "1.10.0-alpine"]
    check(
        [
            (call, ordered),
            (f"{call}(reverse=true)", ordered[::-1]),
            (f"{call}(prereleases=false)", [tag for tag in ordered if "rc" not in tag]),
            (f"{call}(versions_only='yes')", ordered[1:]),
            (f"{call}(prereleases=false, versions_only=true, reverse=true) | first", "1.10.0-alpine"),
            (f"{call}(strict_versions=true)", ordered),
            ("odd | ocikit.registry.tag_version_sort | last", "20240506"),
            ("odd | ocikit.registry.tag_version_sort(strict_versions=true) | last", "1.10.0"),
            (
                "odd | ocikit.registry.tag_version_sort(versions_only=true, strict_versions='yes')",
                ["1.9.0", "1.10.0"],
            ),
            ("[] | ocikit.registry.tag_version_sort", []),
            ("['1', '1'] | ocikit.registry.tag_version_sort", ["1", "1"]),
            ("tags | select('match', '1.9') | ocikit.registry.tag_version_sort", ["1.9.3"]),
            ("'1.9' | ocikit.registry.tag_version_sort", ValueError("The tags must be a list, not '1.9'.")),
            ("none | ocikit.registry.tag_version_sort", ValueError("The tags must be a list, not 'None'.")),
            (
                "['1', 1.9] | ocikit.registry.tag_version_sort",
                ValueError("Each tag must be text, not '1.9'."),
            ),
            ("['1', 'a b'] | ocikit.registry.tag_version_sort", ValueError("'a b' is not a valid tag")),
            (f"{call}(strict_versions='maybe')", ValueError("strict_versions must be true or false")),
            (f"{call}(reverse='maybe')", ValueError("reverse must be true or false, not 'maybe'.")),
            ("nothing | ocikit.registry.tag_version_sort", ValueError("'nothing' is undefined")),
        ],
        odd=["1.10.0", "8675309", "2", "1.9.0", "20240506"],
        tags=["1.10.0-alpine", "1.10.0", "latest", "v1.10.0", "1.9.3", "1.10.0-rc.1"],
    )

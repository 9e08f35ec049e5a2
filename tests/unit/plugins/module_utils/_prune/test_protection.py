# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option protect: however an image is written it is protected, and what names no image is refused."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._prune.protection import (
    Protection,
    read_protect,
    unmatched_entries,
)

DIGEST = "sha256:4b26997deadb" + "0" * 52
OTHER = "sha256:" + "7" * 64


def reason(
    entry: t.Any, tag: str = "1.0", registry: str = "registry.example.com", repository: str = "team/app"
) -> str | None:
    """Return why the tag, or its image with the digest DIGEST, is protected."""
    protection = Protection(read_protect([entry]), registry, repository)
    return protection.why_tag(tag) or protection.why_digest(DIGEST)


def protects(entry: t.Any, **place: str) -> bool:
    return reason(entry, **place) is not None


@pytest.mark.parametrize(
    "entry",
    [
        "1.0",
        "1.*",
        "[0-9].0",
        "regex:1[.].*",
        "team/app",
        "team/app:1.0",
        "team/*:1.0",
        "team/app:1.?",
        f"team/app@{DIGEST}",
        DIGEST,
        DIGEST.upper(),
        DIGEST[7:],
        DIGEST[7:].upper(),
        DIGEST[7:19],
        DIGEST[7:27],
        DIGEST[:-1] + "*",
        DIGEST[:20].upper() + "*",
        f"*/app@{DIGEST}",
        f"*/app@{DIGEST.upper()}",
        "registry.example.com/team/app",
        "registry.example.com/team/app:1.0",
        "registry.example.com/team/app:1.*",
        "registry.example.com/*",
        "registry.*/team/app:1.0",
        "regex:registry[.]example[.]com/team/.*:1[.]0",
        f"registry.example.com/team/app@{DIGEST}",
        f"registry.example.com/team/app:9@{DIGEST}",
        f"registry.example.com/team/a*:9@{DIGEST}",
        f"registry.example.com/team/app@{DIGEST.upper()}",
        "REGISTRY.Example.com/team/app:1.0",
        "Registry.Example.com/team/*:1.0",
        "registry.example.com:443/team/app:1.0",
        "registry.example.com:80/team/*:1.0",
        "https://registry.example.com/team/app:1.0",
        "http://registry.example.com/team/app:1.0",
        "docker://registry.example.com/team/app:1.0",
        "oci://registry.example.com/team/app:1.0",
        f"docker-pullable://registry.example.com/team/app@{DIGEST}",
        f"docker-pullable://registry.example.com/team/app:9@{DIGEST}",
        f"docker://{DIGEST}",
        "docker://registry.example.com/team/*",
    ],
)
def test_every_spelling_of_an_image_protects_it(entry: str) -> None:
    for around in ("{}", " {} ", "{}\r", "{}\r\n", "\t{}\n", "\ufeff{}", "{}\u200b", "\u00a0{}\u2060 "):
        assert reason(around.format(entry)) == f"protected: {entry}"


@pytest.mark.parametrize(
    "entry",
    [
        "1.1",
        "V1.*",
        OTHER,
        OTHER[7:19],
        f"team/app:1.0@{OTHER}",
        "team/other:1.0",
        "other/app:1.0",
        "team/ap",
        "app:1.0",
        "other.example.com/team/app:1.0",
        "registry.example.com:5000/team/app:1.0",
        "registry.example.com/team/other",
        f"registry.example.com/team/other@{DIGEST}",
        "docker.io/team/app:1.0",
        "registry.example.com/team/app:1.1",
        "localhost:5000/team/app:1.0",
    ],
)
def test_entries_of_other_images_protect_nothing_and_are_no_error(entry: str) -> None:
    assert reason(entry) is None


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("", "it is empty"),
        (" \r\n", "it is empty"),
        ("# production", "it is a comment"),
        ("registry.example.com/team/app:1.0 # production", "one entry for each"),
        ("team/app:1.0 team/app:1.1", "one entry for each"),
        ("team/app:1.0\nteam/app:1.1", "one entry for each"),
        ("team/app:1.0,team/app:1.1", "one entry for each"),
        ("team/app:1.0, team/app:1.1", "one entry for each"),
        ("1.0|1.1", "one entry for each"),
        ("team/{app,lib}:1.0", "one entry for each"),
        ("team/{app,lib}:*", "one entry for each"),
        ("^v.*", "Write regex:"),
        ("v.+", "Write regex:"),
        ("registry.example.com/team/app:(1|2).*", "Write regex:"),
        ("[^v]*", "Write"),
        ({"image": "team/app:1.0"}, "it is a dictionary"),
        (["team/app:1.0"], "one entry for each image"),
        (1.1, "it is a number"),
        (42798, "it is a number"),
        (True, "Quote it"),
        (None, "Quote it"),
        ("sha256:4b26997deadb", "a part of a digest"),
        ("sha256:" + "0" * 63, "a part of a digest"),
        ("sha256:" + "0" * 65, "a part of a digest"),
        ("sha512:" + "0" * 64, "a part of a digest"),
        ("team/app@sha256:4b26997deadb", "is not a valid digest"),
        ("team/app@4b26997deadb", "is not a valid digest"),
        ("Team/app:1.0", "lower case"),
        ("registry.example.com/Team/app:1.0", "lower case"),
        ("registry.example.com/Team/*:1.0", "lower case"),
        ("registry.example.com/team/App:1.*", "lower case"),
        ("registry.example.com//team/app:1.0", "is not a valid image reference"),
        ("registry.example.com/team/app:", "not a valid tag"),
        ("registry.example.com:99999/team/app:1.0", "port"),
        ("containerd://" + "0" * 64, "names no image"),
        ("docker://" + "0" * 64, "the ID of a container"),
        ("<none>:<none>", "'<'"),
        ("-1.0", "begins with '-'"),
        ('"team/app:1.0"', "'\"'"),
        ("regex:(", "not a regular expression"),
        ("regex:", "it is empty"),
        ("1" * 129, "neither a tag"),
    ],
)
def test_what_names_no_image_is_refused_by_its_name(entry: t.Any, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_protect(["latest", entry])
    message = str(caught.value)
    assert says in message and "protect" in message
    assert (
        isinstance(entry, str)
        and entry.strip() == ""
        or str(entry).split("\n", maxsplit=1)[0].strip()[:60] in message
    )


def test_a_password_in_an_entry_is_not_shown() -> None:
    for entry in (
        "robot:hunter2$@registry.example.com/team/app:1.0",
        "https://robot:hunter2@registry.example.com/a/*",
    ):
        with pytest.raises(InvalidInput, match="Leave credentials out") as caught:
            read_protect([entry])
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("registry", ["[::1]:5000", "x.y", "x.y:443", "x.y:80", "localhost:5000"])
def test_a_registry_may_be_named_with_or_without_its_own_port(registry: str) -> None:
    for named in (
        {registry, "x.y", "x.y:443", "https://x.y:443", "X.Y", "x.?"} if "x.y" in registry else {registry}
    ):
        for ending in ("", ":1.0", ":1.*"):
            assert protects(f"{named}/team/app{ending}", registry=registry), named
            assert not protects(f"{named}/team/app{ending}", registry="x.y:5000")


@pytest.mark.parametrize(
    "host",
    ["", "docker.io/", "DOCKER.IO/", "index.docker.io/", "registry-1.docker.io/", "registry.hub.docker.com/"],
)
@pytest.mark.parametrize("path", ["nginx", "library/nginx"])
@pytest.mark.parametrize("ending", ["", ":1.0", ":1.*", f"@{DIGEST}"])
def test_docker_hub_has_several_names(host: str, path: str, ending: str) -> None:
    entry = f"{host}{path}{ending}"
    assert protects(entry, registry="docker.io", repository="library/nginx")
    assert not protects(entry, registry="registry.example.com", repository="team/nginx")
    assert not protects(entry, registry="docker.io", repository="team/nginx")


def test_short_names_of_docker_hub_are_no_names_of_other_registries() -> None:
    assert not protects("docker.io/nginx:1.0", repository="nginx")
    assert not protects("nginx:1.0", repository="library/nginx")


def test_a_short_id_may_be_a_tag_as_well() -> None:
    assert reason("4b26997deadb", tag="4b26997deadb") == "protected: 4b26997deadb"
    assert reason(OTHER[7:], tag=OTHER[7:]) == f"protected: {OTHER[7:]}"


class TestMatches:
    """What was found, so that the rest can be warned about."""

    TAGS = ("1.0", "latest")

    def unmatched(self, *entries: str) -> list[str]:
        protection = Protection(read_protect(entries), "registry.example.com", "team/app")
        return unmatched_entries([protection.matches(self.TAGS, {DIGEST})])

    def test_entries_of_this_repository_that_match_nothing_are_returned(self) -> None:
        wrong = [
            "registry.example.com/team/app:1.1",
            "team/app:lastest",
            f"team/app@{OTHER}",
            f"registry.example.com/team/app:1.0@{OTHER}",
            "lastest",
            "2.*",
        ]
        assert self.unmatched(*wrong) == wrong

    def test_entries_that_match_are_not(self) -> None:
        assert not self.unmatched(
            "registry.example.com/team/app:1.0",
            "https://registry.example.com/team/app:1.0",
            "team/app",
            "registry.example.com/team/app",
            f"team/app:9@{DIGEST}",
            "latest",
            "1.*",
            "team/app:latest",
        )

    def test_entries_that_may_be_about_other_repositories_are_not(self) -> None:
        assert not self.unmatched(
            "registry.example.com/team/other:1.1", "other.example.com/team/app:1.1", OTHER, OTHER[7:], OTHER[7:19],
            "registry.example.com/team/other:*", f"*@{OTHER}",
        )  # fmt: skip

    def test_a_tag_needs_a_match_in_one_repository_only(self) -> None:
        protection = Protection(read_protect(["1.0", "3.0"]), "registry.example.com", "team/app")
        assert unmatched_entries([protection.matches(["1.0"], ()), protection.matches(["2.0"], ())]) == [
            "3.0"
        ]

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries may or may not do, found out by asking one: tests are chosen by this, not by a server's name."""

from __future__ import annotations

import contextlib
import functools
import typing as t

import requests

from . import images
from .server import OptionMissing, Registry

NOTHING = "sha256:" + "0" * 64
TRAITS = {
    "405": "say 405 where deletion is switched off",
    "artifact_type": "list referrers with the artifact type of their manifest",
    "catalog": "list its repositories",
    "change_type": "let a tag move from an image to an index",
    "delete_tag": "delete a tag by its name",
    "digest_tags": "delete the tags of a digest along with it",
    "docker": "take the media types of Docker",
    "foreign_layers": "take an image with a layer that is elsewhere",
    "head_json": "answer a HEAD of what it does not have with the type of its errors",
    "keep_untagged": "keep an image that has lost its last tag",
    "missing_repository": "answer 404 to the list of tags of a repository that it does not have",
    "own_blobs": "show a blob in those repositories alone that have it",
    "readonly_405": "say 405 where nothing can be written",
    "referrers": "have the referrers API",
    "subject": "say that it lists what is pushed with a subject",
    "tag_pages": "give tags in pages",
    "whole_indexes": "refuse an index with an entry that it does not have",
}


@functools.lru_cache(maxsize=None)
def traits() -> frozenset[str]:
    """Return those of `TRAITS` that the chosen kind of registry has; three are started to be asked."""
    with Registry() as registry:
        found = {name for name, has in PROBES.items() if has(registry)}
    for name, closed in (("405", Registry(delete=False)), ("readonly_405", Registry(readonly=True))):
        with contextlib.suppress(OptionMissing), closed:
            if _delete(closed, NOTHING) == 405:
                found.add(name)
    return frozenset(found)


def stored(image: images.Image) -> bool:
    """Return whether the chosen kind of registry stores an image with such media types."""
    if b"application/vnd.docker." in image.raw:
        return "docker" in traits()
    return b".nondistributable." not in image.raw or "foreign_layers" in traits()


def samples() -> dict[str, images.Image]:
    """Return those of `images.samples` that the chosen kind of registry stores."""
    return {name: sample for name, sample in images.samples().items() if stored(sample)}


def _artifact_type(registry: Registry) -> bool:
    subject = _image("artifact-type")
    signature = images.artifact("application/vnd.example.signature", subject=subject)
    for image in (subject, signature):
        images.push(registry.url, "traits/app", image)
    answer = requests.get(f"{registry.url}/v2/traits/app/referrers/{subject.digest}", timeout=30)
    # Where there is no API, clients write the list.
    return answer.status_code == 404 or [one["artifactType"] for one in answer.json()["manifests"]] == [
        "application/vnd.example.signature"
    ]


def _catalog(registry: Registry) -> bool:
    return requests.get(f"{registry.url}/v2/_catalog", timeout=30).status_code == 200


def _change_type(registry: Registry) -> bool:
    image = _image("change-type")
    images.push(registry.url, "traits/app", image, "type")
    return _is_stored(registry, images.index([image]), "type")


def _delete_tag(registry: Registry) -> bool:
    for tag in ("deleted", "other"):
        images.push(registry.url, "traits/app", _image("delete-tag"), tag)
    return (
        _delete(registry, "deleted") == 202 and images.head(registry.url, "traits/app", "other") is not None
    )


def _digest_tags(registry: Registry) -> bool:
    image = _image("digest-tags")
    for tag in ("first", "second"):
        images.push(registry.url, "traits/app", image, tag)
    _delete(registry, image.digest)
    return not any(images.head(registry.url, "traits/app", tag) for tag in ("first", "second"))


def _docker(registry: Registry) -> bool:
    return _is_stored(registry, images.image({"trait": "docker"}, media="docker"), "media-types")


def _foreign_layers(registry: Registry) -> bool:
    return _is_stored(
        registry, images.image([images.foreign_layer(["http://127.0.0.1:9/layer"], {})]), "foreign"
    )


def _head_json(registry: Registry) -> bool:
    answer = requests.head(f"{registry.url}/v2/traits/app/manifests/absent", timeout=30)
    return answer.headers.get("Content-Type", "").startswith("application/json")


def _keep_untagged(registry: Registry) -> bool:
    first = _image("tagged")
    for image in (first, _image("untagged")):
        images.push(registry.url, "traits/app", image, "keep")
    return images.head(registry.url, "traits/app", first.digest) is not None


def _missing_repository(registry: Registry) -> bool:
    return requests.get(f"{registry.url}/v2/traits/none/tags/list", timeout=30).status_code == 404


def _own_blobs(registry: Registry) -> bool:
    image = _image("blobs")
    images.push(registry.url, "traits/app", image)
    images.push(registry.url, "traits/other", _image("others"))
    url = f"{registry.url}/v2/traits/other/blobs/{next(iter(image.blobs))}"
    return requests.head(url, timeout=30).status_code == 404


def _referrers(registry: Registry) -> bool:
    images.push(registry.url, "traits/app", _image("referrers"))
    return requests.get(f"{registry.url}/v2/traits/app/referrers/{NOTHING}", timeout=30).status_code == 200


def _subject(registry: Registry) -> bool:
    signature = images.artifact("application/vnd.example.signature", subject=_image("subject"))
    images.push(registry.url, "traits/app", signature)
    answer = requests.put(
        f"{registry.url}/v2/traits/app/manifests/{signature.digest}",
        data=signature.raw,
        headers={"Content-Type": signature.media_type},
        timeout=30,
    )
    return "OCI-Subject" in answer.headers


def _tag_pages(registry: Registry) -> bool:
    for tag in ("page-1", "page-2"):
        images.push(registry.url, "traits/app", _image("pages"), tag)
    answer = requests.get(f"{registry.url}/v2/traits/app/tags/list", params={"n": "1"}, timeout=30)
    return len(answer.json()["tags"]) == 1


def _whole_indexes(registry: Registry) -> bool:
    index = images.index([_image("absent")])
    answer = requests.put(
        f"{registry.url}/v2/traits/app/manifests/{index.digest}",
        data=index.raw,
        headers={"Content-Type": index.media_type},
        timeout=30,
    )
    return answer.status_code != 201


PROBES: dict[str, t.Callable[[Registry], bool]] = {
    "artifact_type": _artifact_type,
    "catalog": _catalog,
    "change_type": _change_type,
    "delete_tag": _delete_tag,
    "digest_tags": _digest_tags,
    "docker": _docker,
    "foreign_layers": _foreign_layers,
    "head_json": _head_json,
    "keep_untagged": _keep_untagged,
    "missing_repository": _missing_repository,
    "own_blobs": _own_blobs,
    "referrers": _referrers,
    "subject": _subject,
    "tag_pages": _tag_pages,
    "whole_indexes": _whole_indexes,
}


def _image(name: str) -> images.Image:
    return images.image({"trait": name})


def _is_stored(registry: Registry, image: images.Image, tag: str) -> bool:
    try:
        images.push(registry.url, "traits/app", image, tag)
    except images.NotStored:
        return False
    return True


def _delete(registry: Registry, reference: str) -> int:
    return requests.delete(f"{registry.url}/v2/traits/app/manifests/{reference}", timeout=30).status_code

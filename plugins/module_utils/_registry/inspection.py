# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What the modules that only read return: tags, manifests, referrers and blobs of a repository."""

from __future__ import annotations

import typing as t

from .._errors import InvalidInput, NotFound
from .._oci.content import Descriptor, Platform
from .._oci.reference import Reference, check_digest, check_tag, is_digest
from .._oci.tag_patterns import TAGS, Patterns
from .client import Fetched
from .context import ModuleContext
from .fallback_tag import referrer_descriptor
from .headers import shown_headers
from .images import (
    ImagePicker,
    check_expected,
    check_expected_option,
    entries_in,
    image_config,
    manifest_facts,
    needs_below,
)
from .option_types import check_number
from .referrers import ATTESTATION, COSIGN_TAG, find_referrers, read_cosign_tags
from .repository import Repository


def inspect_tags(context: ModuleContext) -> dict[str, t.Any]:
    """Return the result of a task of registry_tag_info. Raises InvalidInput."""
    params = context.params
    reference = context.clients.repository(params["image"])
    repository = context.clients.repository_of(reference)
    same_as = _read_same_as(params)
    include, exclude = (Patterns(params[name], name, TAGS) for name in ("include", "exclude"))
    page = repository.tags(params["limit"], params["last"])
    listed = page.names if page else []
    tags = [tag for tag in listed if (not params["include"] or include.match(tag)) and not exclude.match(tag)]
    result: dict[str, t.Any] = {
        "changed": False,
        "exists": page is not None,
        "repository": reference.name,
        "tags": tags,
        "total": len(listed),
        "last": page.last if page else None,
    }
    if params["digests"] or same_as:
        descriptors = _resolve_tags(repository, tags, same_as)
        result["tags"] = list(descriptors)
        result["digests"] = {tag: descriptor.digest for tag, descriptor in descriptors.items()}
        result["details"] = [
            {
                "tag": tag,
                "digest": descriptor.digest,
                "media_type": descriptor.media_type,
                "size": descriptor.size,
            }
            for tag, descriptor in descriptors.items()
        ]
    return result


def _read_same_as(params: t.Mapping[str, t.Any]) -> str | None:
    """Return the tag or digest that tags are compared with, and refuse options that contradict each other."""
    check_number(params["limit"], "limit", 1)
    same_as = params["same_as"]
    if not same_as:
        return None
    if params["limit"] or params["last"]:
        raise InvalidInput("same_as needs all tags: leave out limit and last.")
    return same_as if is_digest(same_as) else check_tag(same_as)


def _resolve_tags(
    repository: Repository, tags: t.Sequence[str], same_as: str | None
) -> dict[str, Descriptor]:
    """Return the descriptors of ``tags``; with ``same_as`` of those that point to the same image as that."""
    # The tag may be none of those that the filters left, and is asked for but once if it is.
    other = [same_as] if same_as and not is_digest(same_as) and same_as not in tags else []
    needed = [*tags, *other]
    descriptors = dict(zip(needed, repository.map(repository.resolve, needed)))
    compared = descriptors.get(same_as) if same_as else None
    digest = compared.digest if compared else same_as
    existing = {tag: descriptors[tag] for tag in tags}
    return {
        tag: descriptor
        for tag, descriptor in existing.items()
        if descriptor and digest in (None, descriptor.digest)
    }


def inspect_manifest(context: ModuleContext) -> dict[str, t.Any]:
    """Return the result of a task of registry_manifest_info. Raises InvalidInput, NotFound and Refused."""
    params, clients = context.params, context.clients
    reference = clients.reference(params["image"])
    if not params["content"]:
        return _inspect_head(context, reference)
    platform = Platform.parse(params["platform"]) if params["platform"] else None
    expected = params["expected_digest"]
    check_expected_option(expected)
    repository = clients.repository_of(reference)
    root = repository.find_manifest(reference.target)
    check_expected(reference, root.manifest.digest if root else None, expected)
    result: dict[str, t.Any] = {
        "changed": False,
        "exists": root is not None,
        "image": str(reference),
        "digest": None,
    }
    if root is None:
        return result
    fetched = _fetch_image(repository, reference, root, platform) if platform else root
    manifest = fetched.manifest
    result["index_digest"] = None if fetched is root else root.manifest.digest
    result.update(manifest_facts(manifest, needs_below(repository, manifest) if params["sizes"] else {}))
    result["pinned"] = reference.pinned(manifest.digest)
    result["headers"] = shown_headers(fetched.headers)
    if params["config"]:
        result["config"] = image_config(repository, manifest)
    return result


def _inspect_head(context: ModuleContext, reference: Reference) -> dict[str, t.Any]:
    """Return what one HEAD tells of a manifest. Raises InvalidInput, NotFound and Refused."""
    params = context.params
    for option in ("platform", "config", "sizes"):
        if params[option]:
            raise InvalidInput(f"{option} needs the content of the manifest: leave content out.")
    check_expected_option(params["expected_digest"])
    descriptor = context.clients.repository_of(reference).resolve(reference.target)
    check_expected(reference, descriptor.digest if descriptor else None, params["expected_digest"])
    result: dict[str, t.Any] = {
        "changed": False,
        "exists": descriptor is not None,
        "image": str(reference),
        "digest": descriptor.digest if descriptor else None,
    }
    if descriptor:
        result["pinned"] = reference.pinned(descriptor.digest)
        result["media_type"], result["size"] = descriptor.media_type, descriptor.size
    return result


def _fetch_image(repository: Repository, reference: Reference, root: Fetched, platform: Platform) -> Fetched:
    """Return the manifest of the image for ``platform``, with its headers."""
    picker = ImagePicker(repository, root.manifest, reference, repository.concurrency)
    image = picker.pick(platform).image
    if image.digest == root.manifest.digest:
        return root
    fetched = repository.find_manifest(image.digest)
    if fetched is None:
        raise NotFound(
            f"{reference} has {image.digest} as its image for {platform}, but the registry does not have that.",
            status=404,
        )
    return fetched


def inspect_referrers(context: ModuleContext) -> dict[str, t.Any]:
    """Return the result of a task of registry_referrers_info. Raises InvalidInput."""
    reference = context.clients.reference(context.params["image"])
    artifact_type = context.params["artifact_type"]
    repository = context.clients.repository_of(reference)
    fetched = repository.find_manifest(reference.target)
    result = {"changed": False, "image": str(reference), "exists": fetched is not None}
    if fetched is None:
        return {**result, "digest": None, "referrers": []}
    children = entries_in(repository, fetched.manifest)
    subjects = [fetched.manifest.digest]
    if context.params["children"]:
        subjects += [child.digest for child in children if not child.attests]
    referrers = repository.map(
        lambda subject: _describe_referrers(repository, subject, artifact_type), dict.fromkeys(subjects)
    )
    entries = [entry for listed in referrers for entry in listed]
    entries += [_describe(child.attests, child, ATTESTATION) for child in children if child.attests]
    return {
        **result,
        "digest": fetched.manifest.digest,
        "referrers": [entry for entry in entries if artifact_type in (None, entry["artifact_type"])],
    }


def _describe_referrers(
    repository: Repository, subject: str, artifact_type: str | None
) -> list[dict[str, t.Any]]:
    listed = find_referrers(repository, subject, artifact_type)
    tags = read_cosign_tags(repository, subject)
    return [_describe(subject, descriptor, listed.source) for descriptor in listed.descriptors] + [
        {**_describe(subject, referrer_descriptor(manifest), COSIGN_TAG), "tag": tag}
        for tag, manifest in tags.items()
    ]


def _describe(subject: str, referrer: Descriptor, source: str) -> dict[str, t.Any]:
    return {
        "subject": subject,
        "digest": referrer.digest,
        "media_type": referrer.media_type,
        "artifact_type": referrer.artifact_type,
        "size": referrer.size,
        "annotations": dict(referrer.annotations),
        "source": source,
    }


def inspect_blobs(context: ModuleContext) -> dict[str, t.Any]:
    """Return the result of a task of registry_blob_info. Raises InvalidInput."""
    reference = context.clients.reference(context.params["image"])
    digests = list(dict.fromkeys(check_digest(digest) for digest in context.params["digests"]))
    repository = context.clients.repository_of(reference)
    sizes = repository.map(lambda digest: repository.client.blob_size(repository.name, digest), digests)
    return {
        "changed": False,
        "repository": reference.name,
        "blobs": [
            {"digest": digest, "exists": size is not None, "size": size}
            for digest, size in zip(digests, sizes)
        ],
        "missing": [digest for digest, size in zip(digests, sizes) if size is None],
        "total_size": sum(size for size in sizes if size is not None),
    }

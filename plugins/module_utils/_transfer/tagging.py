# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Tags pointed to an existing image: compared first, written together, verified."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import InvalidInput, Refused, RegistryError, Unsupported
from .._oci.content import SCHEMA1_TYPES, Descriptor, Manifest, digest_diff
from .._oci.reference import Reference, check_digest
from .._parallel import map_concurrent
from .._registry.client import RegistryClient
from .._registry.connection import RegistryClients
from .._registry.images import check_expected, require
from .._registry.repository import Repository
from .copy import copy_graph

ABSENT = "absent"


@dataclass
class Target:
    """One tag to be written, the condition on what it is now, and what became of it."""

    reference: Reference
    if_digest: str | None = None
    before: str | None = None
    after: str | None = None

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def to_dict(self) -> dict[str, t.Any]:
        return {
            "image": str(self.reference),
            "digest_before": self.before,
            "digest": self.after,
            "changed": self.changed,
        }


def targets_diff(targets: t.Sequence[Target]) -> dict[str, str]:
    """Return the diff of what ``targets`` pointed to and what they point to."""
    return digest_diff(
        {str(target.reference): target.before for target in targets},
        {str(target.reference): target.after for target in targets},
    )


def condition(if_digest: str | None) -> str | None:
    """Read the option if_digest: a digest, or ABSENT. Raises InvalidInput."""
    return if_digest if if_digest in (None, "", ABSENT) else check_digest(str(if_digest), "if_digest")


def read_targets(
    clients: RegistryClients, params: t.Mapping[str, t.Any], home: Reference | None
) -> list[Target]:
    """Return the targets that the options ``tags``, ``to`` and ``if_digest`` name; tags are those of ``home``.

    Raises InvalidInput.
    """
    if params["tags"] and home is None:
        raise InvalidInput(
            "tags are set in the repository of image: without image, write full references in to."
        )
    targets = [Target(home.with_tag(name), condition(params["if_digest"])) for name in params["tags"] if home]
    targets += [_read_target(clients, entry, params["if_digest"]) for entry in params["to"]]
    seen = set()
    for reference in (target.reference for target in targets):
        if reference in seen:
            raise InvalidInput(f"{reference} is named twice as a target.")
        seen.add(reference)
    return targets


def _read_target(clients: RegistryClients, entry: t.Any, if_digest: str | None) -> Target:
    if isinstance(entry, str):
        entry = {"image": entry}
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("image"), str)
        or set(entry) - {"image", "if_digest"}
    ):
        raise InvalidInput("Each entry of to must be a reference, or a dictionary of image and if_digest.")
    reference = clients.reference(entry["image"])
    if reference.digest or not reference.tag:
        raise InvalidInput(f"{reference} cannot be a target: write repository:tag, without a digest.")
    return Target(reference, condition(entry.get("if_digest") or if_digest))


def retag(
    client: RegistryClient,
    source: Reference,
    targets: t.Sequence[Target],
    *,
    expected_digest: str | None,
    overwrite: bool,
    check_mode: bool,
    concurrency: int,
) -> str:
    """Let all ``targets``, tags of one registry, point to ``source``, and return its digest.

    Every condition is checked before the first write. Requests: a HEAD for each target, and for the source a GET where
    a write is certain by then, else a HEAD; then for each target that changes a PUT, right after another HEAD if there
    is a condition. Raises NotFound, Refused and Unsupported (schema 1); an error of a write has the state of each
    target in ``result``.
    """
    for target, found in zip(
        targets, map_concurrent(lambda one: look_at(client, one, overwrite), targets, concurrency)
    ):
        target.before = target.after = found.digest if found else None
    known = source.digest or expected_digest
    certain = any(target.before is None or known not in (None, target.before) for target in targets)
    manifest: Manifest | None = None
    if certain and not check_mode:
        manifest = client.manifest(source.repository, source.target)
        image = manifest.descriptor
    else:
        image = require(source, _resolve(client, source))
    digest = image.digest
    check_targets(str(source), digest, targets, expected_digest, overwrite)
    moving = [target for target in targets if target.before != digest]
    if moving and image.media_type in SCHEMA1_TYPES:
        raise Unsupported(
            f"{source} is a schema 1 manifest, which today's registries do not store: push the image anew."
        )
    if not check_mode and moving:
        manifest = manifest or client.manifest(source.repository, digest)
        _write(client, source, manifest, moving, targets, overwrite, concurrency)
    for target in targets:
        target.after = digest
    return digest


def look_at(client: RegistryClient, target: Target, overwrite: bool) -> Descriptor | None:
    """Return what ``target`` points to now. Only where a condition hangs on it must its absence be certain."""
    reference = target.reference
    return client.resolve(
        reference.repository, reference.target, trust_absence=overwrite and not target.if_digest
    )


def _resolve(client: RegistryClient, reference: Reference) -> Descriptor | None:
    return client.resolve(reference.repository, reference.target)


def check_targets(
    source: str, digest: str, targets: t.Sequence[Target], expected_digest: str | None, overwrite: bool
) -> None:
    """Raise Refused unless ``source``, which has ``digest``, may be written to ``targets``, whose ``before`` is known.

    A target that has the digest already needs no write, so that no condition stands against running a task twice.
    """
    check_expected(source, digest, expected_digest, "nothing was changed")
    for target in (one for one in targets if one.before != digest):
        if target.if_digest and target.if_digest != (target.before or ABSENT):
            raise Refused(
                f"{target.reference} is {target.before or ABSENT}, not {target.if_digest} as if_digest demands:"
                " nothing was changed."
            )
        if not overwrite and target.before:
            raise Refused(
                f"{target.reference} exists with the digest {target.before} and would move to {digest}, but overwrite"
                " is false: nothing was changed."
            )


def check_unmoved(client: RegistryClient, target: Target, overwrite: bool) -> None:
    """Raise Refused where ``target`` moved since it was looked at, and a condition hangs on what it was then.

    Much time may pass until it is written. Without a condition whoever comes last is right.
    """
    if overwrite and not target.if_digest:
        return
    found = look_at(client, target, overwrite)
    now = found.digest if found else None
    if now != target.before:
        raise Refused(
            f"{target.reference} moved from {target.before or ABSENT} to {now or ABSENT} meanwhile: it is left alone."
        )


class GuardedStore(Repository):
    """A repository in which each of ``targets`` is checked right before it is written: see check_unmoved()."""

    def __init__(
        self, client: RegistryClient, repository: str, targets: t.Iterable[Target], overwrite: bool
    ) -> None:
        super().__init__(client, repository)
        self._targets = {target.reference.target: target for target in targets}
        self._overwrite = overwrite

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        target = self._targets.get(name) if name else None
        if target:
            check_unmoved(self.client, target, self._overwrite)
        super().put_manifest(manifest, name)


def _write(
    client: RegistryClient,
    source: Reference,
    manifest: Manifest,
    moving: t.Sequence[Target],
    targets: t.Sequence[Target],
    overwrite: bool,
    concurrency: int,
) -> None:
    here = Repository(client, source.repository)

    def write(target: Target) -> RegistryError | None:
        repository, tag = target.reference.repository, target.reference.target
        try:
            if repository == source.repository:
                check_unmoved(client, target, overwrite)
                client.put_manifest(repository, tag, manifest)
            else:
                there = GuardedStore(client, repository, [target], overwrite)
                copy_graph(here, there, manifest, [tag], concurrency)
        except RegistryError as error:
            return error
        target.after = manifest.digest
        return None

    # Other repositories come first: their blobs may fail to arrive, and then nothing should have moved here.
    for group in (
        [target for target in moving if target.reference.repository != source.repository],
        [target for target in moving if target.reference.repository == source.repository],
    ):
        failures = list(zip(group, map_concurrent(write, group, concurrency)))
        errors = [error for _target, error in failures if error]
        if errors:
            look_after_failure(client, [one for one, error in failures if error], errors[0], concurrency)
            errors[0].result = {
                "changed": any(target.changed for target in targets),
                "targets": [target.to_dict() for target in targets],
            }
            raise errors[0]


def look_after_failure(
    client: RegistryClient, targets: t.Sequence[Target], error: RegistryError, concurrency: int
) -> None:
    """Note what ``targets`` are after ``error``: a write that failed may have been carried out all the same.

    Those that cannot be looked up keep what is known of them, and are named in the error.
    """

    def look(target: Target) -> str | None:
        try:
            found = _resolve(client, target.reference)
        except RegistryError:
            return str(target.reference)
        target.after = found.digest if found else None
        return None

    unknown = [name for name in map_concurrent(look, targets, concurrency) if name]
    if unknown:
        error.args = (f"{error} What became of {', '.join(unknown)} could not be looked up.",)

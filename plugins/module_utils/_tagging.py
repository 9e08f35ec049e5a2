# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Tags pointed to an existing image: compared first, written together, verified."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ocikit.registry.plugins.module_utils._client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._copy import copy_graph
from ansible_collections.ocikit.registry.plugins.module_utils._errors import NotFound, Refused, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import each
from ansible_collections.ocikit.registry.plugins.module_utils._reference import Reference
from ansible_collections.ocikit.registry.plugins.module_utils._stores import RepositoryStore

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
    a write is certain by then, else a HEAD; then a PUT for each target that changes. Raises NotFound and Refused; an
    error after the first write has the state of each target in ``result``.
    """
    for target, digest in zip(targets, each(lambda one: _digest(client, one.reference), targets, concurrency)):
        target.before = target.after = digest
    known = source.digest or expected_digest
    certain = any(target.before is None or known not in (None, target.before) for target in targets)
    manifest: Manifest | None = None
    if certain and not check_mode:
        manifest = client.manifest(source.repository, source.target)
        digest = manifest.digest
    else:
        found = _digest(client, source)
        if found is None:
            raise NotFound(f"{source} does not exist.", status=404)
        digest = found
    _check(source, digest, targets, expected_digest, overwrite)
    moving = [target for target in targets if target.before != digest]
    if not check_mode and moving:
        manifest = manifest or client.manifest(source.repository, digest)
        _write(client, source, manifest, moving, targets, concurrency)
    for target in targets:
        target.after = digest
    return digest


def _digest(client: RegistryClient, reference: Reference) -> str | None:
    descriptor = client.resolve(reference.repository, reference.target)
    return descriptor.digest if descriptor else None


def _check(
    source: Reference, digest: str, targets: t.Sequence[Target], expected_digest: str | None, overwrite: bool
) -> None:
    if expected_digest and digest != expected_digest:
        raise Refused(f"{source} has the digest {digest}, not the expected {expected_digest}: nothing was changed.")
    for target in targets:
        if target.if_digest and target.if_digest != (target.before or ABSENT):
            raise Refused(
                f"{target.reference} is {target.before or ABSENT}, not {target.if_digest} as if_digest demands:"
                " nothing was changed."
            )
        if not overwrite and target.before not in (None, digest):
            raise Refused(
                f"{target.reference} exists with the digest {target.before} and would move to {digest}, but overwrite"
                " is false: nothing was changed."
            )


def _write(
    client: RegistryClient,
    source: Reference,
    manifest: Manifest,
    moving: t.Sequence[Target],
    targets: t.Sequence[Target],
    concurrency: int,
) -> None:
    here = RepositoryStore(client, source.repository)

    def write(target: Target) -> RegistryError | None:
        repository, tag = target.reference.repository, target.reference.target
        try:
            if repository == source.repository:
                client.put_manifest(repository, tag, manifest)
            else:
                copy_graph(here, RepositoryStore(client, repository), manifest, [tag], concurrency)
        except RegistryError as error:
            return error
        target.after = manifest.digest
        return None

    # Other repositories come first: their blobs may fail to arrive, and then nothing should have moved here.
    for group in (
        [target for target in moving if target.reference.repository != source.repository],
        [target for target in moving if target.reference.repository == source.repository],
    ):
        errors = [error for error in each(write, group, concurrency) if error]
        if errors:
            errors[0].result = {
                "changed": any(target.changed for target in targets),
                "targets": [target.to_dict() for target in targets],
            }
            raise errors[0]

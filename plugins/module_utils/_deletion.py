# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Safe removal of tags: whatever the registry can do, tags that were not named keep their images.

Registries differ in what a DELETE takes along. The ladder is: delete the tag, where the registry knows how to; else let
the tag point to a placeholder that nothing else uses, and delete that by its digest. Before the first change a probe
tells whether digests can be deleted at all, and every failure after it is rolled back and verified.
"""

from __future__ import annotations

import gzip
import json
import secrets
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ocikit.registry.plugins.module_utils._blobs import BytesBody, upload
from ansible_collections.ocikit.registry.plugins.module_utils._client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._content import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
)
from ansible_collections.ocikit.registry.plugins.module_utils._errors import Refused, RegistryError, Unsupported
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import each

STRATEGIES = ("auto", "tag", "placeholder", "manifest")
_EMPTY_TAR = bytes(1024)
_PAUSES = (0, 0.5, 1, 2)


@dataclass
class Removal:
    """One tag to be removed: what it points to, which other tags do as well, and how it was removed."""

    tag: str
    descriptor: Descriptor
    siblings: list[str] = field(default_factory=list)
    method: str | None = None

    @property
    def digest(self) -> str:
        return self.descriptor.digest

    def to_dict(self, check_mode: bool) -> dict[str, t.Any]:
        return {
            "tag": self.tag,
            "digest": self.digest,
            "siblings": self.siblings,
            "method": self.method,
            "changed": check_mode or self.method is not None,
        }


class Remover:
    """Removes tags of one repository.

    ``tags`` maps every tag of the repository to what it points to (None: could not be read).
    """

    def __init__(
        self, client: RegistryClient, repository: str, tags: t.Mapping[str, Descriptor | None], concurrency: int
    ) -> None:
        self._client = client
        self._repository = repository
        self._tags = tags
        self._concurrency = concurrency

    def plan(self, names: t.Iterable[str]) -> list[Removal]:
        """Return what there is to remove of ``names``; absent ones need nothing."""
        wanted = sorted(set(names))
        removals = []
        for tag in wanted:
            descriptor = self._tags.get(tag)
            if descriptor:
                siblings = sorted(
                    other for other, one in self._tags.items() if one and one.digest == descriptor.digest and other != tag
                )
                removals.append(Removal(tag, descriptor, siblings))
        return removals

    def remove(self, removals: t.Sequence[Removal], strategy: str = "auto") -> None:
        """Remove the tags of ``removals`` and verify it; ``method`` of each tells how.

        Raises Unsupported where the registry does not allow it (nothing is changed then), Refused where a digest is
        still needed, and the error of a step that failed; its sentence tells what was put back.
        """
        if strategy == "manifest":
            self._by_manifest(removals)
            return
        rest = list(removals)
        if strategy in ("auto", "tag"):
            rest = self._by_tag(rest, strategy)
        for batch in _batches(rest):
            self._by_placeholder(batch)

    def _by_tag(self, removals: list[Removal], strategy: str) -> list[Removal]:
        """Delete by name; return what has to go another way. The first one shows whether the registry knows how."""
        if not removals:
            return []
        originals = self._originals([one for one in removals if one.siblings])
        first, others = removals[0], removals[1:]
        unsupported = self._delete_tag(first)
        if unsupported:
            if strategy == "tag":
                raise Unsupported(
                    f"The registry cannot delete a tag by its name ({unsupported}) Nothing was changed; the strategy auto"
                    " finds another way.",
                    status=unsupported.status,
                    code=unsupported.code,
                )
            return removals
        self._verify([first], originals)
        failed = each(lambda one: (one, self._delete_tag(one)), others, self._concurrency)
        self._verify([one for one, error in failed if not error], originals)
        left = [one for one, error in failed if error]
        return left

    def _delete_tag(self, removal: Removal) -> RegistryError | None:
        """Delete one tag by name, unless it moved. Return the registry's answer where it does not know how to."""
        self._check_unmoved(removal)
        deletion = self._client.delete_manifest(self._repository, removal.tag)
        if deletion.outcome == "unsupported":
            return deletion.error
        if deletion.outcome == "absent" and self._client.resolve(self._repository, removal.tag):
            return Unsupported("it says that a tag which exists does not.")
        removal.method = "tag"
        return None

    def _by_placeholder(self, removals: t.Sequence[Removal]) -> None:
        """Let the tags point to a placeholder, delete that by its digest, and put everything back if it fails."""
        if not removals:
            return
        self._probe()
        originals = self._originals(removals)
        placeholder = self._push_placeholder(removals)
        moved: list[Removal] = []
        try:
            for removal in removals:
                self._check_unmoved(removal)
                moved.append(removal)
                self._client.put_manifest(self._repository, removal.tag, placeholder)
            deletion = self._client.delete_manifest(self._repository, placeholder.digest)
            if deletion.error:
                raise deletion.error
            self._check_gone(removals)
        except BaseException as error:
            self._roll_back(moved, originals, placeholder, error)
            raise
        for removal in removals:
            removal.method = "placeholder"
        self._verify(removals, originals)

    def _by_manifest(self, removals: t.Sequence[Removal]) -> None:
        """Delete by digest, which takes all tags along: only where each of them was named, and no index needs it."""
        named = {removal.tag for removal in removals}
        unread = sorted(tag for tag, descriptor in self._tags.items() if descriptor is None)
        if unread:
            raise Refused(
                f"What {', '.join(unread)} points to cannot be read, so nothing is deleted by digest: it may be needed."
            )
        digests = {removal.digest for removal in removals}
        for removal in removals:
            unnamed = [tag for tag in removal.siblings if tag not in named]
            if unnamed:
                raise Refused(
                    f"{removal.digest} is also tagged {', '.join(unnamed)}: name these tags as well, or choose the"
                    " strategy auto, which keeps them. Nothing was changed."
                )
        for index_tag, needed in self._needed_by_others(digests).items():
            raise Refused(f"{needed} is part of the index that {index_tag} points to: nothing was changed.")
        for digest in sorted(digests):
            mine = [removal for removal in removals if removal.digest == digest]
            for removal in mine:
                self._check_unmoved(removal)
            deletion = self._client.delete_manifest(self._repository, digest)
            if deletion.outcome == "unsupported" and deletion.error:
                raise deletion.error
            for removal in mine:
                removal.method = "manifest"
        self._check_gone(removals)

    def _needed_by_others(self, digests: set[str]) -> dict[str, str]:
        """Return for each tag whose index has one of ``digests`` in it that digest."""
        indexes = {
            one.digest: tag
            for tag, one in self._tags.items()
            if one and one.media_type in INDEX_TYPES and one.digest not in digests
        }
        manifests = each(lambda digest: self._client.manifest(self._repository, digest), indexes, self._concurrency)
        return {
            indexes[manifest.digest]: child.digest
            for manifest in manifests
            for child in manifest.children
            if child.digest in digests
        }

    def _probe(self) -> None:
        """Ask for the deletion of a digest that does not exist: its answer tells whether there is deletion at all."""
        digest = f"sha256:{secrets.token_hex(32)}"
        deletion = self._client.delete_manifest(self._repository, digest)
        if deletion.outcome == "unsupported":
            error = deletion.error
            raise Unsupported(
                "The registry does not allow deletion, so nothing was changed. On distribution it is switched on with"
                " storage.delete.enabled.",
                status=error.status if error else None,
                code=error.code if error else None,
                registry_message=error.registry_message if error else None,
                method="DELETE",
                url=error.url if error else None,
            )

    def _originals(self, removals: t.Sequence[Removal]) -> dict[str, Manifest]:
        """Fetch the manifests that a roll-back would need, by their digests."""
        digests = sorted({removal.digest for removal in removals})
        return dict(
            zip(digests, each(lambda digest: self._client.manifest(self._repository, digest), digests, self._concurrency))
        )

    def _check_unmoved(self, removal: Removal) -> None:
        found = self._client.resolve(self._repository, removal.tag)
        if found is None or found.digest != removal.digest:
            raise Refused(
                f"{self._repository}:{removal.tag} moved from {removal.digest} to {found.digest if found else 'nothing'}"
                " while it was to be removed: it is left alone."
            )

    def _check_gone(self, removals: t.Sequence[Removal]) -> None:
        """See that the tags are gone; some registries take a moment to delete."""
        left = [removal.tag for removal in removals]
        for pause in _PAUSES:
            time.sleep(pause)
            found = each(lambda tag: self._client.resolve(self._repository, tag), left, self._concurrency)
            left = [tag for tag, descriptor in zip(left, found) if descriptor]
            if not left:
                return
        raise Unsupported(f"The registry accepted the deletion but keeps the tags {', '.join(left)}.")

    def _push_placeholder(self, removals: t.Sequence[Removal]) -> Manifest:
        """Store an image that is like no other, in the family of media types that the registry has shown to take."""
        docker = all(removal.descriptor.media_type.startswith("application/vnd.docker.") for removal in removals)
        layer = gzip.compress(_EMPTY_TAR, mtime=0)
        labels = {
            # For whoever finds it after a crash: what the tags pointed to.
            "ocikit.registry.placeholder": secrets.token_hex(16),
            "ocikit.registry.removed": json.dumps({removal.tag: removal.digest for removal in removals}),
        }
        config = json.dumps(
            {
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": labels},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(_EMPTY_TAR)]},
            }
        ).encode()
        descriptors = []
        for media_type, content in (
            (DOCKER_CONFIG if docker else OCI_CONFIG, config),
            (DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP, layer),
        ):
            descriptor = Descriptor(media_type, digest_of(content), len(content))
            if not self._client.has_blob(self._repository, descriptor.digest):
                upload(self._client, self._repository, descriptor, BytesBody(content))
            descriptors.append({"mediaType": media_type, "digest": descriptor.digest, "size": descriptor.size})
        media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        data = {"schemaVersion": 2, "mediaType": media_type, "config": descriptors[0], "layers": descriptors[1:]}
        return Manifest.parse(json.dumps(data).encode(), media_type)

    def _roll_back(
        self,
        moved: t.Sequence[Removal],
        originals: t.Mapping[str, Manifest],
        placeholder: Manifest,
        error: BaseException,
    ) -> None:
        """Point the tags back to their images. What cannot be put back is said in the error that is under way."""
        lost = []
        for removal in moved:
            try:
                found = self._client.resolve(self._repository, removal.tag)
                if found is None or found.digest == placeholder.digest:
                    self._client.put_manifest(self._repository, removal.tag, originals[removal.digest])
            except RegistryError:
                lost.append(f"{removal.tag} ({removal.digest})")
        if isinstance(error, RegistryError) and moved:
            said = f"could not be put back: {', '.join(lost)}" if lost else "all tags were put back and verified"
            error.args = (f"{error} After this failure {said}.",)

    def _verify(self, removals: t.Sequence[Removal], originals: t.Mapping[str, Manifest]) -> None:
        """See that the tags are gone, and that siblings still point to what they did: lost ones are put back."""
        self._check_gone([removal for removal in removals if removal.method == "tag"])
        removed = {removal.tag for removal in removals}
        siblings = {tag: one.digest for one in removals for tag in one.siblings if tag not in removed}

        def restored(tag: str) -> bool:
            if self._client.resolve(self._repository, tag) is not None:
                return False
            self._client.put_manifest(self._repository, tag, originals[siblings[tag]])
            return True

        tags = [tag for tag in siblings if tag not in {one.tag for one in removals}]
        lost = [tag for tag, was in zip(tags, each(restored, tags, self._concurrency)) if was]
        if lost:
            raise Unsupported(
                f"The registry deleted {', '.join(sorted(lost))} along with {', '.join(sorted(removed))}; these tags were"
                " put back. It cannot delete single tags."
            )


def _batches(removals: t.Sequence[Removal], size: int = 200) -> t.Iterator[t.Sequence[Removal]]:
    """One placeholder serves many tags: distribution 2.8 reads every tag of the repository at each deletion."""
    for start in range(0, len(removals), size):
        yield removals[start : start + size]

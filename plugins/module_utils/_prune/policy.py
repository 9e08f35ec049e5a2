# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The prune policy: which tags and digests of a repository are to be deleted, as pure functions over a snapshot.

A tag is deleted if a rule deletes it and none keeps it; a tag that no rule names is kept. A digest is deleted if a tag of
it is and nothing that stays needs it.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from .._oci.content import SCHEMA1_TYPES
from .._oci.digest_tags import subject_of_tag
from .._oci.graph import closure, parents_first
from .._oci.quantities import known_age
from .._oci.tag_versions import version_key
from .protection import Protection
from .rules import Rule

_UNREADABLE = "it cannot be read"


class ManifestRecord(t.NamedTuple):
    """What the policy has to know of one manifest. ``created`` is in seconds since 1970, None where nothing says it.

    ``blobs`` are its configuration, which comes first, and its layers. ``removed`` is not empty for the placeholder of an
    interrupted removal: the tags that were to be removed.
    """

    media_type: str
    size: int
    created: float | None
    children: tuple[str, ...] = ()
    subject: str | None = None
    blobs: tuple[tuple[str, int], ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def image_id(self) -> str | None:
        """What container engines call the ID of the image: the digest of its configuration."""
        return self.blobs[0][0] if self.blobs else None


@dataclass(frozen=True)
class Snapshot:
    """One repository as it was read. A tag that could not be read has the digest None."""

    tags: t.Mapping[str, str | None]
    manifests: t.Mapping[str, ManifestRecord]

    @cached_property
    def children(self) -> dict[str, tuple[str, ...]]:
        """The children of each index."""
        return {digest: manifest.children for digest, manifest in self.manifests.items() if manifest.children}

    @cached_property
    def dependencies(self) -> dict[str, list[str]]:
        """What has to stay with each digest: its children, its subject, and what refers to it."""
        dependencies = {digest: [*manifest.children] for digest, manifest in self.manifests.items()}
        for digest, manifest in self.manifests.items():
            if manifest.subject:
                dependencies[digest].append(manifest.subject)
                dependencies.setdefault(manifest.subject, []).append(digest)
        return dependencies

    @cached_property
    def parents(self) -> dict[str, list[str]]:
        """The indexes of each child."""
        parents: dict[str, list[str]] = {}
        for digest, children in self.children.items():
            for child in children:
                parents.setdefault(child, []).append(digest)
        return parents

    @cached_property
    def digests(self) -> set[str]:
        """All digests that name a manifest: its own, also where it is missing, and the IDs of images."""
        own = {*self.manifests, *self.parents, *filter(None, self.tags.values())}
        return own.union(filter(None, (manifest.image_id for manifest in self.manifests.values())))

    def with_children(self, digests: t.Iterable[str]) -> set[str]:
        """Return ``digests`` with the children of indexes, and theirs."""
        return closure(digests, self.children)

    def with_dependencies(self, digests: t.Iterable[str]) -> set[str]:
        """Return ``digests`` with all that has to stay with them."""
        return closure(digests, self.dependencies)

    def created(self, tag: str) -> float | None:
        """Return when the image of ``tag`` was made, in seconds since 1970, or None where nothing says it."""
        manifest = self.manifests.get(self.tags[tag] or "")
        return manifest.created if manifest else None


@dataclass
class Verdict:
    """What becomes of one tag, and the rule or the reason for it.

    ``follows_subject`` marks a tag that was named after a digest, such as that of a signature, and shares its fate.
    """

    tag: str
    digest: str | None
    created: float | None
    delete: bool
    why: str
    follows_subject: bool = False


@dataclass
class RetentionPlan:
    """What a policy decides about a repository.

    ``digests`` are deleted as a whole, in this order; ``needed`` ones stay. ``bytes`` become free with the registry's
    garbage collection.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)
    bytes: int = 0

    @property
    def candidates(self) -> list[Verdict]:
        """The tags that are to be deleted."""
        return [verdict for verdict in self.verdicts if verdict.delete]

    @property
    def kept(self) -> list[Verdict]:
        """The tags that stay."""
        return [verdict for verdict in self.verdicts if not verdict.delete]

    @property
    def candidate_digests(self) -> set[str]:
        """What the tags lead to that are to be deleted."""
        return {verdict.digest for verdict in self.candidates if verdict.digest}

    @property
    def kept_digests(self) -> set[str]:
        """What the tags lead to that stay."""
        return {verdict.digest for verdict in self.kept if verdict.digest}


def make_plan(
    snapshot: Snapshot,
    rules: t.Sequence[Rule],
    protection: Protection,
    now: float,
    delete_unknown_age: bool,
    unfinished: t.Collection[str] = (),
) -> RetentionPlan:
    """Decide which tags and digests are to be deleted. The result does not depend on the order of tags.

    ``now`` is in seconds since 1970. ``delete_unknown_age`` takes images of unknown age for very old. ``unfinished`` are
    digests that a run that was stopped has left to be deleted: they are, if nothing needs them now.
    """
    plan = RetentionPlan()
    ordinary = sorted(tag for tag in snapshot.tags if subject_of_tag(tag) is None)
    protected = _protected(snapshot, protection)
    judged = _judge_tags(snapshot, ordinary, rules, protected, now, delete_unknown_age)
    for tag, (delete, why) in judged.items():
        plan.verdicts.append(Verdict(tag, snapshot.tags[tag], snapshot.created(tag), delete, why))
    plan.needed = snapshot.with_dependencies(protected.digests.keys() | plan.kept_digests)
    _judge_digest_tags(snapshot, plan, rules, protected, unfinished)
    if all(digest is not None for digest in snapshot.tags.values()):
        # A tag that cannot be read may need any digest.
        unneeded = snapshot.with_children({*unfinished, *plan.candidate_digests}) - plan.needed
        plan.digests = _deletion_order(snapshot, unneeded.intersection(snapshot.manifests))
        plan.bytes = _bytes_freed(snapshot, plan.digests)
    _spare_schema1(snapshot, plan)
    plan.verdicts.sort(key=lambda verdict: verdict.tag)
    return plan


class _Protected(t.NamedTuple):
    """The tags and digests of a repository that are protected, each with the reason."""

    tags: dict[str, str]
    digests: dict[str, str]


def _protected(snapshot: Snapshot, protection: Protection) -> _Protected:
    """Find what is protected: by its tag, its digest, the ID of its image, or that of an image in it."""
    direct: dict[str, str] = {}
    for digest in sorted({*snapshot.manifests, *snapshot.parents}):
        manifest = snapshot.manifests.get(digest)
        image_id = manifest.image_id if manifest else None
        why = protection.why_digest(digest) or (protection.why_digest(image_id) if image_id else None)
        if why:
            direct[digest] = why
    digests = dict(direct)
    for digest, why in direct.items():
        # Container engines name the image of their platform, not the index that it was pulled by.
        for index in closure([digest], snapshot.parents):
            digests.setdefault(index, why)
    tags = {}
    for tag, found in snapshot.tags.items():
        reason = protection.why_tag(tag) or digests.get(found or "")
        if reason:
            tags[tag] = reason
    return _Protected(tags, digests)


def _judge_tags(
    snapshot: Snapshot,
    tags: t.Sequence[str],
    rules: t.Sequence[Rule],
    protected: _Protected,
    now: float,
    delete_unknown_age: bool,
) -> dict[str, tuple[bool, str]]:
    """Return for each tag whether the rules delete it, and why."""
    keep: dict[str, str] = {}
    delete: dict[str, str] = {}
    for tag in tags:
        digest = snapshot.tags[tag]
        if digest is None:
            keep[tag] = _UNREADABLE
        elif tag in protected.tags:
            keep[tag] = protected.tags[tag]
        elif digest in snapshot.manifests and tag in snapshot.manifests[digest].removed:
            delete[tag] = "an interrupted removal left it"
    undecided = [tag for tag in tags if tag not in keep and tag not in delete]
    ages = {tag: known_age(snapshot.created(tag), now) for tag in [*undecided, *keep] if snapshot.tags[tag]}
    if delete_unknown_age:
        ages = {tag: math.inf if age is None else age for tag, age in ages.items()}
    for rule in rules:
        selected = [tag for tag in ages if rule.selects(tag)]
        newest = _newest(rule, selected, ages)
        for tag in selected:
            age = ages[tag]
            if age is None and rule.needs_age(tag):
                keep.setdefault(tag, "its age is unknown")
            elif tag in newest or (rule.keep and rule.admits_age(age)):
                keep.setdefault(tag, rule.name)
            elif rule.delete and rule.group_of(tag) is not None and rule.admits_age(age):
                delete.setdefault(tag, rule.name)
    verdicts = {}
    for tag in tags:
        if tag in delete and tag not in keep:
            verdicts[tag] = (True, delete[tag])
        else:
            verdicts[tag] = (False, keep.get(tag, "no rule names it"))
    return verdicts


def _newest(rule: Rule, selected: t.Sequence[str], ages: t.Mapping[str, float | None]) -> set[str]:
    """Return the tags that ``keep_last`` keeps: the newest of each group, whatever the rule says of their ages.

    Equal dates are told apart by version and name, so that the choice is always the same.
    """
    if rule.keep_last is None:
        return set()
    groups: dict[t.Any, list[str]] = {}
    for tag in selected:
        group = rule.group_of(tag)
        if group is not None and (rule.by == "version" or ages[tag] is not None):
            groups.setdefault(group, []).append(tag)

    def order(tag: str) -> t.Any:
        return 0.0 if rule.by == "version" else -t.cast(float, ages[tag]), version_key(tag)

    return {
        tag for tags in groups.values() for tag in sorted(tags, key=order, reverse=True)[: rule.keep_last]
    }


def _judge_digest_tags(
    snapshot: Snapshot,
    plan: RetentionPlan,
    rules: t.Sequence[Rule],
    protected: _Protected,
    unfinished: t.Collection[str],
) -> None:
    """Add the verdicts on tags that are named after a digest: those of signatures, attestations and lists of referrers.

    Each stays and is deleted with its subject.
    """
    undecided = {
        tag: t.cast(str, subject_of_tag(tag)) for tag in sorted(snapshot.tags) if subject_of_tag(tag)
    }
    orphan_rule = next((rule.name for rule in rules if rule.orphans and rule.delete), None)
    candidates = {*unfinished, *plan.candidate_digests}
    settled = False
    while not settled:
        settled = True
        digests = candidates.union(digest for digest in map(snapshot.tags.get, undecided) if digest)
        unneeded = snapshot.with_children(digests) - plan.needed
        for tag, subject in list(undecided.items()):
            digest = snapshot.tags[tag]
            why = protected.tags.get(tag)
            if digest is None:
                why = _UNREADABLE
            elif digest in plan.needed or (subject in snapshot.manifests and subject not in unneeded):
                why = why or f"it belongs to {subject}"
            elif subject not in snapshot.manifests and orphan_rule is None:
                why = why or "its image is not in the repository"
            if why:
                # What stays may need what seemed to be unneeded: the others are looked at again.
                plan.verdicts.append(Verdict(tag, digest, None, False, why, follows_subject=True))
                plan.needed |= snapshot.with_dependencies({digest} if digest else set())
                del undecided[tag]
                settled = False
    for tag, subject in undecided.items():
        orphan = subject not in snapshot.manifests
        why = t.cast(str, orphan_rule) if orphan else f"with {subject}"
        plan.verdicts.append(Verdict(tag, snapshot.tags[tag], None, True, why, follows_subject=not orphan))


def _spare_schema1(snapshot: Snapshot, plan: RetentionPlan) -> None:
    """Keep the tags of schema 1 images that stay: no registry takes these back if the removal of a tag goes wrong."""
    for verdict in plan.candidates:
        manifest = snapshot.manifests.get(verdict.digest or "")
        if manifest and manifest.media_type in SCHEMA1_TYPES and verdict.digest not in plan.digests:
            verdict.delete, verdict.why = False, "its image has schema 1 and stays"


def _deletion_order(snapshot: Snapshot, digests: set[str]) -> list[str]:
    """Return ``digests`` with signatures and indexes before what they are about.

    Signatures come first: a killed run then leaves images without them, and not the other way round. What it leaves
    without a tag are the children of one index at most.
    """
    successors: dict[str, set[str]] = {}
    for digest in digests:
        manifest = snapshot.manifests[digest]
        successors[digest] = {*manifest.children, *filter(None, [manifest.subject])}
    signatures = set()
    for tag, signature in snapshot.tags.items():
        subject = subject_of_tag(tag)
        if subject and signature in digests:
            signatures.add(signature)
            successors[signature].add(subject)
    return parents_first(successors, urgent=signatures)


def _bytes_freed(snapshot: Snapshot, digests: t.Collection[str]) -> int:
    """Return the bytes of ``digests``, and of the blobs that no other manifest has."""
    deleted = set(digests)
    staying = {
        blob
        for digest, manifest in snapshot.manifests.items()
        if digest not in deleted
        for blob, _size in manifest.blobs
    }
    blobs = {blob: size for digest in digests for blob, size in snapshot.manifests[digest].blobs}
    manifests = sum(snapshot.manifests[digest].size for digest in digests)
    return manifests + sum(size for blob, size in blobs.items() if blob not in staying)

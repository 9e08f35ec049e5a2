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
from .._oci.digest_tags import fallback_tag, subject_of_tag
from .._oci.graph import closure, parents_first
from .._oci.quantities import known_age
from .._oci.tag_versions import version_key
from .protection import Protection
from .rules import Rule

_UNREADABLE = "it cannot be read"
_DANGLING = "its manifest is missing"
_NO_SUBJECT = "its image is not in the repository"


class ManifestRecord(t.NamedTuple):
    """What the policy has to know of one manifest. ``created`` is in seconds since 1970, None where nothing says it.

    ``blobs`` are its configuration, which comes first, and its layers. ``removed`` is not empty for the placeholder of an
    interrupted removal: the tags that were to be removed. ``labels`` are those that rules ask for, as far as they could be
    read, with None for one that the image does not have. ``attestations`` are the children that are none of its images.
    """

    media_type: str
    size: int
    created: float | None
    children: tuple[str, ...] = ()
    subject: str | None = None
    blobs: tuple[tuple[str, int], ...] = ()
    removed: tuple[str, ...] = ()
    labels: tuple[tuple[str, str | None], ...] = ()
    attestations: tuple[str, ...] = ()

    @property
    def image_id(self) -> str | None:
        """What container engines call the ID of the image: the digest of its configuration."""
        return self.blobs[0][0] if self.blobs else None


@dataclass(frozen=True)
class Snapshot:
    """One repository as it was read. A tag that could not be read has the digest None.

    So has one that is ``dangling``: the registry lists it, and has no manifest of it. Either may need any digest.
    """

    tags: t.Mapping[str, str | None]
    manifests: t.Mapping[str, ManifestRecord]
    dangling: frozenset[str] = frozenset()

    @cached_property
    def children(self) -> dict[str, tuple[str, ...]]:
        """The children of each index."""
        return {digest: manifest.children for digest, manifest in self.manifests.items() if manifest.children}

    @cached_property
    def own_children(self) -> dict[str, list[str]]:
        """What is deleted along with each index: its children; of a list of referrers, those whose own subject is the image."""
        own = {digest: [*children] for digest, children in self.children.items()}
        for tag, digest in self.tags.items():
            subject = subject_of_tag(tag)
            if subject and digest in own and tag == fallback_tag(subject):
                # A listing is a hint: others have put into it what they like.
                referrers = self.referrers.get(subject, ())
                own[digest] = [child for child in own[digest] if child in referrers]
        return own

    @cached_property
    def referrers(self) -> dict[str, set[str]]:
        """The manifests whose subject is each digest."""
        referrers: dict[str, set[str]] = {}
        for digest, manifest in self.manifests.items():
            if manifest.subject:
                referrers.setdefault(manifest.subject, set()).add(digest)
        return referrers

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

    def with_own_children(self, digests: t.Iterable[str]) -> set[str]:
        """Return ``digests`` with what is deleted along with them."""
        return closure(digests, self.own_children)

    def with_dependencies(self, digests: t.Iterable[str]) -> set[str]:
        """Return ``digests`` with all that has to stay with them."""
        return closure(digests, self.dependencies)

    def labels(self, tag: str) -> dict[str, str | None]:
        """Return the labels of the image of ``tag`` that could be read, None for one that it does not have."""
        manifest = self.manifests.get(self.tags[tag] or "")
        return dict(manifest.labels) if manifest else {}

    def created(self, tag: str) -> float | None:
        """Return when the image of ``tag`` was made, in seconds since 1970, or None where nothing says it."""
        manifest = self.manifests.get(self.tags[tag] or "")
        return manifest.created if manifest else None


@dataclass
class Verdict:
    """What becomes of one tag, why, and the rule that decided it, if one did.

    ``follows_subject`` marks a tag that is named after a digest, such as that of a signature, and is kept and deleted with
    that.
    """

    tag: str
    digest: str | None
    created: float | None
    delete: bool
    reason: str
    rule: str | None = None
    follows_subject: bool = False

    @property
    def why(self) -> str:
        """Rule and reason in one line, such as ``old builds: 6 days old, kept until 30 days``."""
        return f"{self.rule}: {self.reason}" if self.rule else self.reason


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
    for tag, (delete, rule, reason) in judged.items():
        plan.verdicts.append(
            Verdict(tag, snapshot.tags[tag], snapshot.created(tag), bool(delete), reason, rule)
        )
    plan.needed = snapshot.with_dependencies(protected.digests.keys() | plan.kept_digests)
    _judge_digest_tags(snapshot, plan, rules, protected, unfinished)
    if all(verdict.digest is not None for verdict in plan.kept):
        # A tag that stays and cannot be read may need any digest.
        unneeded = snapshot.with_own_children({*unfinished, *plan.candidate_digests}) - plan.needed
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
    for tag, tagged in snapshot.tags.items():
        reason = protection.why_tag(tag) or digests.get(tagged or "")
        if reason:
            tags[tag] = reason
    return _Protected(tags, digests)


class _Opinion(t.NamedTuple):
    """What a rule says of a tag: delete it, keep it, or (None) nothing, which keeps it where all say that."""

    delete: bool | None
    rule: str | None
    reason: str


def _judge_tags(
    snapshot: Snapshot,
    tags: t.Sequence[str],
    rules: t.Sequence[Rule],
    protected: _Protected,
    now: float,
    delete_unknown_age: bool,
) -> dict[str, _Opinion]:
    """Return the opinion that prevails on each tag: that of the first rule that keeps it, else of the first that deletes it."""
    opinions: dict[str, list[_Opinion]] = {tag: [] for tag in tags}
    judged = []
    for tag in tags:
        digest = snapshot.tags[tag]
        if digest is None and tag in snapshot.dangling and tag not in protected.tags:
            opinions[tag] += _opinions_on_dangling(tag, rules, delete_unknown_age)
            continue
        if digest is None:
            reason = _DANGLING if tag in snapshot.dangling else _UNREADABLE
            opinions[tag].append(_Opinion(False, None, protected.tags.get(tag, reason)))
            continue
        if tag in protected.tags:
            opinions[tag].append(_Opinion(False, None, protected.tags[tag]))
        elif digest in snapshot.manifests and tag in snapshot.manifests[digest].removed:
            opinions[tag].append(_Opinion(True, None, "an interrupted removal left it"))
            continue
        judged.append(tag)
    ages = {tag: known_age(snapshot.created(tag), now) for tag in judged}
    if delete_unknown_age:
        ages = {tag: math.inf if age is None else age for tag, age in ages.items()}
    for rule in (rule for rule in rules if not rule.dangling):
        selected = []
        for tag in filter(rule.selects, judged):
            admitted = rule.admits_labels(snapshot.labels(tag))
            if admitted:
                selected.append(tag)
            elif admitted is None:
                opinions[tag].append(_Opinion(False, rule.name, "its labels cannot be read"))
        newest = _newest(snapshot, rule, selected, ages)
        for tag, reason in newest.items():
            opinions[tag].append(_Opinion(False, rule.name, reason))
        for tag in selected:
            if tag not in newest:
                opinions[tag].append(_opinion(rule, tag, ages[tag]))
    return {tag: _prevailing(opinions[tag]) for tag in tags}


def _opinions_on_dangling(
    tag: str, rules: t.Sequence[Rule], delete_unknown_age: bool
) -> t.Iterator[_Opinion]:
    """Yield what rules say of a tag without a manifest. It has neither age nor labels, and ``keep_last`` does not count it."""
    for rule in rules:
        if not rule.selects(tag) or rule.labels:
            continue
        if rule.delete and rule.has_age_limits and not delete_unknown_age:
            yield _Opinion(False, rule.name, f"{_DANGLING}, and its age is unknown")
        elif rule.keep or rule.delete:
            yield _Opinion(rule.delete, rule.name, _DANGLING)
    yield _Opinion(None, None, _DANGLING)


def _opinion(rule: Rule, tag: str, age: float | None) -> _Opinion:
    """Return what a rule says of a tag that it selects, and that is none of the newest."""
    if age is None and rule.needs_age(tag):
        return _Opinion(False, rule.name, "its age is unknown")
    admitted = rule.admits_age(age)
    reasons = [rule.about_age(age)] if rule.has_age_limits and age is not None else []
    if rule.keep and admitted:
        return _Opinion(False, rule.name, "; ".join(reasons) or rule.about_match(tag))
    if not rule.delete:
        return _Opinion(None, None, "no rule deletes it")
    group = rule.group_of(tag)
    if group is None:
        return _Opinion(None, rule.name, "it has no group")
    if admitted and rule.keep_last is not None:
        reasons.append(f"not among the {rule.about_newest(group)}")
    return _Opinion(admitted or None, rule.name, "; ".join(reasons) or rule.about_match(tag))


def _prevailing(opinions: t.Sequence[_Opinion]) -> _Opinion:
    """Return the first opinion that keeps, else the first that deletes, else the first of a rule that would."""
    ordered = sorted(
        opinions,
        key=lambda opinion: (
            opinion.delete is None,
            bool(opinion.delete),
            opinion.delete is None and not opinion.rule,
        ),
    )
    first = ordered[0] if ordered else _Opinion(None, None, "no rule names it")
    return first._replace(delete=bool(first.delete))


def _newest(
    snapshot: Snapshot, rule: Rule, selected: t.Sequence[str], ages: t.Mapping[str, float | None]
) -> dict[str, str]:
    """Return the tags that ``keep_last`` keeps, with the reason: the newest of each group, whatever their ages.

    Images are counted, and all tags of a counted image are kept, also those that the rule does not select; or tags are
    counted. Equal dates are told apart by version and name, so that the choice is always the same.
    """
    if rule.keep_last is None:
        return {}

    def order(tag: str) -> t.Any:
        created = 0.0 if rule.by == "version" else -t.cast(float, ages[tag])
        return created, version_key(tag, rule.strict_versions)

    groups: dict[t.Any, list[str]] = {}
    for tag in sorted((tag for tag in selected if rule.by == "version" or ages[tag] is not None), key=order):
        group = rule.group_of(tag)
        if group is not None:
            groups.setdefault(group, []).append(tag)
    names: dict[str | None, list[str]] = {}
    for tag in ages:
        names.setdefault(snapshot.tags[tag], []).append(tag)
    newest: dict[str, str] = {}
    for group, tags in groups.items():
        reason = rule.about_newest(group)
        if rule.count == "tags":
            newest.update(dict.fromkeys(tags[::-1][: rule.keep_last], reason))
            continue
        # The newest tag of each image comes last, and decides its place.
        images: dict[str | None, list[str]] = {}
        for tag in tags:
            images.setdefault(snapshot.tags[tag], []).append(tag)
        places = sorted((own[-1] for own in images.values()), key=order, reverse=True)
        counted = {snapshot.tags[tag]: tag for tag in places[: rule.keep_last]}
        for digest, tag in counted.items():
            own = set(images[digest])
            for name in names[digest]:
                newest.setdefault(name, reason if name in own else f"{reason}, as {tag} is the same image")
    return newest


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
    for tag in [tag for tag in undecided if tag in snapshot.dangling and tag not in protected.tags]:
        rule = next((rule for rule in rules if rule.dangling and rule.delete and rule.selects(tag)), None)
        if rule:
            plan.verdicts.append(Verdict(tag, None, None, True, _DANGLING, rule.name))
            del undecided[tag]
    orphan_rule = next((rule.name for rule in rules if rule.orphans and rule.delete), None)
    candidates = {*unfinished, *plan.candidate_digests}
    settled = False
    while not settled:
        settled = True
        digests = candidates.union(digest for digest in map(snapshot.tags.get, undecided) if digest)
        unneeded = snapshot.with_own_children(digests) - plan.needed
        for tag, subject in list(undecided.items()):
            digest = snapshot.tags[tag]
            why = protected.tags.get(tag)
            if digest is None:
                why = why or (_DANGLING if tag in snapshot.dangling else _UNREADABLE)
            elif digest in plan.needed or (subject in snapshot.manifests and subject not in unneeded):
                why = why or f"it belongs to {subject}"
            elif subject not in snapshot.manifests and orphan_rule is None:
                why = why or _NO_SUBJECT
            if why:
                # What stays may need what seemed to be unneeded: the others are looked at again.
                plan.verdicts.append(Verdict(tag, digest, None, False, why, follows_subject=True))
                plan.needed |= snapshot.with_dependencies({digest} if digest else set())
                del undecided[tag]
                settled = False
    for tag, subject in undecided.items():
        digest = snapshot.tags[tag]
        if subject in snapshot.manifests:
            plan.verdicts.append(Verdict(tag, digest, None, True, f"with {subject}", follows_subject=True))
        else:
            plan.verdicts.append(Verdict(tag, digest, None, True, _NO_SUBJECT, orphan_rule))


def _spare_schema1(snapshot: Snapshot, plan: RetentionPlan) -> None:
    """Keep the tags of schema 1 images that stay: no registry takes these back if the removal of a tag goes wrong."""
    for verdict in plan.candidates:
        manifest = snapshot.manifests.get(verdict.digest or "")
        if manifest and manifest.media_type in SCHEMA1_TYPES and verdict.digest not in plan.digests:
            verdict.delete, verdict.rule, verdict.reason = False, None, "its image has schema 1 and stays"


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

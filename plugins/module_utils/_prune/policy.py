# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The prune policy: which tags and digests of a repository are to go, as pure functions over facts.

A rule gives votes to the tags that it matches. A tag goes if a rule votes for that and none votes to keep it; a tag that
no rule names is kept. A digest goes if a tag of it went and nothing that stays needs it.
"""

from __future__ import annotations

import fnmatch
import math
import re
import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from .._errors import InvalidInput, printable
from .._oci.content import SCHEMA1_TYPES
from .._oci.digest_tags import subject_of_tag
from .._oci.quantities import known_age, parse_duration
from .._oci.reference import DOCKER_HUB
from .._oci.tag_patterns import Patterns, regex
from .._oci.tag_versions import Version, parse_version, version_key

_RANGE = re.compile(r"(>=|<=|>|<|=|\^|~)?\s*([^\s,<>=^~|]+)")


class ManifestRecord(t.NamedTuple):
    """What the policy has to know of one manifest. ``created`` is in seconds since 1970, None where nothing says it.

    ``removed`` is not empty for the placeholder of an interrupted removal: the tags that were to be removed.
    """

    media_type: str
    size: int
    created: float | None
    children: tuple[str, ...] = ()
    subject: str | None = None
    blobs: tuple[tuple[str, int], ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """One repository as it was read. A tag that could not be read has the digest None."""

    tags: t.Mapping[str, str | None]
    manifests: t.Mapping[str, ManifestRecord]

    @cached_property
    def referrers(self) -> dict[str, list[str]]:
        """The digests that refer to each subject."""
        found: dict[str, list[str]] = {}
        for digest, manifest in self.manifests.items():
            if manifest.subject:
                found.setdefault(manifest.subject, []).append(digest)
        return found


@dataclass(frozen=True)
class Rule:
    """One rule of a policy; see the documentation of registry_prune for its fields."""

    name: str
    include: Patterns
    exclude: Patterns
    versions: VersionRange | None
    prereleases: str
    orphans: bool
    keep: bool
    delete: bool
    keep_last: int | None
    by: str
    group: str | None
    older_than: float | None
    younger_than: float | None

    def selects(self, tag: str) -> bool:
        """Tell whether the tag is one that this rule is about, its age apart."""
        if not self.include.match(tag) or self.exclude.match(tag):
            return False
        version = parse_version(tag)
        if version is None:
            return self.versions is None and self.prereleases == "any" and self.by != "version"
        if self.prereleases != "any" and bool(version.prerelease) != (self.prereleases == "only"):
            return False
        return self.versions is None or self.versions.holds(tag)

    def group_of(self, tag: str) -> t.Any:
        """Return the group that ``keep_last`` counts the tag in, or None where it has none and so does not apply."""
        if self.group is None:
            return ""
        if self.group in ("major", "minor"):
            version = parse_version(tag)
            return _padded(version)[: 1 if self.group == "major" else 2] if version else None
        found = re.search(self.group, tag)
        return found.groups() or found.group(0) if found else None


class VersionRange:
    """A range such as ``>=1.2 <2``, ``^1.2``, ``~1.2.3`` or ``1.x``; alternatives stand between ``||``."""

    def __init__(self, text: str) -> None:
        self._alternatives = [self._read(part, text) for part in text.split("||")]

    def holds(self, tag: str) -> bool:
        """Tell whether the version that ``tag`` is lies in the range."""
        key = _order(tag)
        return any(
            all(low <= key and (high is None or key < high) for low, high in bounds)
            for bounds in self._alternatives
        )

    @staticmethod
    def _read(part: str, text: str) -> list[tuple[t.Any, t.Any]]:
        bounds = []
        rest = part.replace(",", " ").strip()
        if rest in ("", "*"):
            return []
        while rest:
            found = _RANGE.match(rest)
            bound = _bounds(found.group(1) or "", found.group(2)) if found else None
            if found is None or bound is None:
                raise InvalidInput(
                    f"{printable(text)!r} is not a version range: write one such as '>=1.2 <2' or '^1.2'."
                )
            bounds.append(bound)
            rest = rest[found.end() :].strip()
        return bounds


@dataclass
class Verdict:
    """What becomes of one tag, and the rule or the reason for it. A companion shares the fate of its subject."""

    tag: str
    digest: str | None
    created: float | None
    delete: bool
    why: str
    companion: bool = False


@dataclass
class RetentionPlan:
    """What a policy makes of a repository. ``digests`` go as a whole, in this order; ``needed`` ones stay."""

    verdicts: list[Verdict] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)
    bytes: int = 0

    @property
    def victims(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.delete]

    @property
    def kept(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.delete]


class Protection:
    """What must not go, whatever the rules say: digests, references, and patterns over either."""

    def __init__(self, entries: t.Iterable[str], registry: str, repository: str) -> None:
        # Whichever of these ports the registry has anyway: protecting too much is no harm.
        host = re.sub(r":(443|80)\Z", "", registry)
        self._names = [f"{name}/{repository}" for name in (host, f"{host}:443", f"{host}:80")] + [repository]
        if registry == DOCKER_HUB:
            self._names += [f"index.docker.io/{repository}", repository.rpartition("library/")[2]]
        self._exact: dict[str, str] = {}
        self._patterns: list[tuple[t.Pattern[str], str]] = []
        for entry in entries:
            name, at, digest = (entry.partition("://")[2] or entry).rpartition("@")
            text = f"{_without_tag(name)}@{digest}" if at else digest
            self._exact[text] = entry
            if any(character in text for character in "*?["):
                self._patterns.append((re.compile(fnmatch.translate(text)), entry))

    def why(self, tag: str, digests: t.Iterable[str]) -> str | None:
        """Return the reason why a tag that leads to ``digests`` is protected, or None."""
        reason = self._find([tag, *self._names, *(f"{name}:{tag}" for name in self._names)])
        return reason or next((why for why in map(self.why_digest, digests) if why), None)

    def why_digest(self, digest: str) -> str | None:
        """Return the reason why a digest is protected, or None."""
        return self._find([digest, *(f"{name}@{digest}" for name in self._names)])

    def _find(self, candidates: t.Sequence[str]) -> str | None:
        for candidate in candidates:
            if candidate in self._exact:
                return f"protected: {self._exact[candidate]}"
        for pattern, entry in self._patterns:
            if any(map(pattern.match, candidates)):
                return f"protected: {entry}"
        return None


def parse_rules(rules: t.Sequence[t.Mapping[str, t.Any]]) -> list[Rule]:
    """Read a policy. Raises InvalidInput for a rule that says nothing, or contradicts itself."""
    if not rules:
        raise InvalidInput("The policy has no rules: without any, every tag is kept.")
    return [_parse_rule(rule, position) for position, rule in enumerate(rules, 1)]


def make_plan(
    facts: Snapshot,
    rules: t.Sequence[Rule],
    protection: Protection,
    now: float,
    delete_unknown_age: bool,
    unfinished: t.Collection[str] = (),
) -> RetentionPlan:
    """Decide what goes. The result does not depend on the order of tags.

    ``unfinished`` are digests that were to be deleted by a run that was stopped: they go if nothing needs them now.
    """
    plan = RetentionPlan()
    ordinary = sorted(tag for tag in facts.tags if subject_of_tag(tag) is None)
    for tag, (delete, why) in _vote(facts, ordinary, rules, protection, now, delete_unknown_age).items():
        plan.verdicts.append(Verdict(tag, facts.tags[tag], _created(facts, tag), delete, why))
    protected = {digest for digest in facts.manifests if protection.why_digest(digest)}
    plan.needed = _closure(facts, protected.union(one.digest for one in plan.kept if one.digest))
    _judge_companions(facts, plan, rules, protection, unfinished)
    if all(digest is not None for digest in facts.tags.values()):
        # A tag that cannot be read may need any digest.
        gone = _below(facts, {*unfinished, *(one.digest for one in plan.victims if one.digest)})
        plan.digests = _ordered(facts, gone.intersection(facts.manifests) - plan.needed)
        plan.bytes = _bytes_freed(facts, plan.digests)
    _spare_schema1(facts, plan)
    plan.verdicts.sort(key=lambda verdict: verdict.tag)
    return plan


def check_limits(plan: RetentionPlan, max_delete: int | None, max_delete_percent: float) -> str | None:
    """Return a sentence where a plan goes further than it may, else None. Companions are not counted."""
    tags = [verdict for verdict in plan.verdicts if not verdict.companion]
    count = sum(verdict.delete for verdict in tags)
    if max_delete is not None and count > max_delete:
        return f"{count} tags would be deleted, and max_delete allows {max_delete}"
    if count * 100 > max_delete_percent * len(tags):
        share = count * 100 / len(tags)
        return (
            f"{count} of {len(tags)} tags ({share:.0f} %) would be deleted, and max_delete_percent allows"
            f" {max_delete_percent:g}"
        )
    return None


def _vote(
    facts: Snapshot,
    tags: t.Sequence[str],
    rules: t.Sequence[Rule],
    protection: Protection,
    now: float,
    delete_unknown_age: bool,
) -> dict[str, tuple[bool, str]]:
    keep: dict[str, str] = {}
    delete: dict[str, str] = {}
    for tag in tags:
        digest = facts.tags[tag]
        reason = protection.why(tag, _below(facts, {digest}) if digest else ())
        if digest is None:
            keep[tag] = "it cannot be read"
        elif reason:
            keep[tag] = reason
        elif digest in facts.manifests and tag in facts.manifests[digest].removed:
            delete[tag] = "an interrupted removal left it"
    undecided = [tag for tag in tags if tag not in keep and tag not in delete]
    ages = {tag: known_age(_created(facts, tag), now) for tag in [*undecided, *keep] if facts.tags[tag]}
    if delete_unknown_age:
        ages = {tag: math.inf if age is None else age for tag, age in ages.items()}
    for rule in rules:
        selected = [tag for tag in ages if rule.selects(tag)]
        last = _last(rule, selected, ages)
        for tag in selected:
            age = ages[tag]
            if age is None and _needs_age(rule, tag):
                keep.setdefault(tag, "its age is unknown")
            elif tag in last or (rule.keep and _age_holds(rule, age)):
                keep.setdefault(tag, rule.name)
            elif rule.delete and rule.group_of(tag) is not None and _age_holds(rule, age):
                delete.setdefault(tag, rule.name)
    verdicts = {}
    for tag in tags:
        if tag in delete and tag not in keep:
            verdicts[tag] = (True, delete[tag])
        else:
            verdicts[tag] = (False, keep.get(tag, "no rule names it"))
    return verdicts


def _needs_age(rule: Rule, tag: str) -> bool:
    """Tell whether a rule's vote on the tag hangs on its age."""
    counted = rule.keep_last is not None and rule.by == "created" and rule.group_of(tag) is not None
    return counted or rule.older_than is not None or rule.younger_than is not None


def _age_holds(rule: Rule, age: float | None) -> bool:
    """Tell whether a rule's limits of age admit a tag. Without limits all are, of whatever age."""
    if age is None:
        return True
    return (rule.older_than is None or age > rule.older_than) and (
        rule.younger_than is None or age < rule.younger_than
    )


def _last(rule: Rule, selected: t.Sequence[str], ages: t.Mapping[str, float | None]) -> set[str]:
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


def _judge_companions(
    facts: Snapshot,
    plan: RetentionPlan,
    rules: t.Sequence[Rule],
    protection: Protection,
    unfinished: t.Collection[str],
) -> None:
    """Let signatures, attestations and referrers live and die with what they are about."""
    undecided = {tag: t.cast(str, subject_of_tag(tag)) for tag in sorted(facts.tags) if subject_of_tag(tag)}
    orphan_rule = next((rule.name for rule in rules if rule.orphans and rule.delete), None)
    victims = {*unfinished, *(one.digest for one in plan.victims if one.digest)}
    settled = False
    while not settled:
        settled = True
        going = victims.union(digest for digest in map(facts.tags.get, undecided) if digest)
        doomed = _below(facts, going) - plan.needed
        for tag, subject in list(undecided.items()):
            digest = facts.tags[tag]
            why = protection.why(tag, _below(facts, {digest}) if digest else ())
            if digest is None:
                why = "it cannot be read"
            elif digest in plan.needed or (subject in facts.manifests and subject not in doomed):
                why = why or f"it belongs to {subject}"
            elif subject not in facts.manifests and orphan_rule is None:
                why = why or "what it belongs to is not here"
            if why:
                # What stays may need what seemed to go: the others are looked at again.
                plan.verdicts.append(Verdict(tag, digest, None, False, why, companion=True))
                plan.needed |= _closure(facts, {digest} if digest else set())
                del undecided[tag]
                settled = False
    for tag, subject in undecided.items():
        orphan = subject not in facts.manifests
        why = t.cast(str, orphan_rule) if orphan else f"with {subject}"
        plan.verdicts.append(Verdict(tag, facts.tags[tag], None, True, why, companion=not orphan))


def _spare_schema1(facts: Snapshot, plan: RetentionPlan) -> None:
    """Keep the tags of schema 1 images that stay: no registry takes these back if the removal of a tag goes wrong."""
    for verdict in plan.victims:
        manifest = facts.manifests.get(verdict.digest or "")
        if manifest and manifest.media_type in SCHEMA1_TYPES and verdict.digest not in plan.digests:
            verdict.delete, verdict.why = False, "its image has schema 1 and stays"


def _closure(facts: Snapshot, digests: t.Iterable[str]) -> set[str]:
    """Return the digests with all that has to stay with them: what is below, subjects, and what refers to them."""
    return _reach(
        digests,
        lambda digest, manifest: (
            *manifest.children,
            *filter(None, [manifest.subject]),
            *facts.referrers.get(digest, ()),
        ),
        facts,
    )


def _below(facts: Snapshot, digests: t.Iterable[str]) -> set[str]:
    """Return the digests with the children of indexes, and theirs."""
    return _reach(digests, lambda _digest, manifest: manifest.children, facts)


def _reach(
    digests: t.Iterable[str], following: t.Callable[[str, ManifestRecord], t.Iterable[str]], facts: Snapshot
) -> set[str]:
    reached: set[str] = set()
    waiting = list(digests)
    while waiting:
        digest = waiting.pop()
        if digest in reached:
            continue
        reached.add(digest)
        manifest = facts.manifests.get(digest)
        waiting += following(digest, manifest) if manifest else ()
    return reached


def _ordered(facts: Snapshot, digests: set[str]) -> list[str]:
    """Order digests so that what needs others goes before them, and these as soon after it as can be.

    Signatures come first: a killed run then leaves images without them, and not the other way round. What it leaves
    without a tag are the children of one index at most.
    """
    named: dict[str, set[str]] = {digest: set() for digest in digests}
    for digest in digests:
        manifest = facts.manifests[digest]
        named[digest].update((*manifest.children, *filter(None, [manifest.subject])))
    signatures = set()
    for tag, signature in facts.tags.items():
        subject = subject_of_tag(tag)
        if subject and signature in digests:
            signatures.add(signature)
            named[signature].add(subject)
    waiting = dict.fromkeys(digests, 0)
    for digest in digests:
        named[digest] &= digests
        for other in named[digest]:
            waiting[other] += 1
    ready = sorted(
        (one for one, count in waiting.items() if not count), key=lambda one: (one in signatures, one)
    )
    ordered = []
    while ready:
        digest = ready.pop()
        ordered.append(digest)
        for other in sorted(named[digest]):
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    # Contents cannot name each other in circles, but tags like those of signatures can.
    return ordered + sorted(digests.difference(ordered))


def _bytes_freed(facts: Snapshot, digests: t.Sequence[str]) -> int:
    gone = set(digests)
    staying = {
        blob
        for digest, manifest in facts.manifests.items()
        if digest not in gone
        for blob, _size in manifest.blobs
    }
    freed = {
        blob: size
        for digest in digests
        for blob, size in (facts.manifests[digest].blobs if digest in facts.manifests else ())
    }
    manifests = sum(facts.manifests[digest].size for digest in digests if digest in facts.manifests)
    return manifests + sum(size for blob, size in freed.items() if blob not in staying)


def _created(facts: Snapshot, tag: str) -> float | None:
    manifest = facts.manifests.get(facts.tags[tag] or "")
    return manifest.created if manifest else None


def _parse_rule(rule: t.Mapping[str, t.Any], position: int) -> Rule:
    match = rule.get("match") or {}
    name = printable(rule.get("name") or f"rule {position}")
    keep, delete, keep_last = bool(rule.get("keep")), bool(rule.get("delete")), rule.get("keep_last")
    if keep and delete:
        raise InvalidInput(f"The policy's {name} both keeps and deletes: choose one.")
    if not (keep or delete or keep_last is not None):
        raise InvalidInput(f"The policy's {name} neither keeps nor deletes: set keep, delete or keep_last.")
    if keep and keep_last is not None:
        raise InvalidInput(f"The policy's {name} keeps all that it matches: leave keep_last out.")
    if keep_last is not None and keep_last < 0:
        raise InvalidInput(f"The policy's {name} has a negative keep_last.")
    group = rule.get("group")
    if group and keep_last is None:
        raise InvalidInput(f"The policy's {name} has a group without keep_last, which it is for.")
    if group and group not in ("major", "minor"):
        regex(group, f"The group of the policy's {name}")
    tags = match.get("tags")
    orphans = bool(match.get("orphans"))
    if tags is None and match.get("version") is None and not orphans:
        raise InvalidInput(
            f"The policy's {name} does not say what it matches: set tags, version or orphans in match."
        )
    return Rule(
        name=name,
        include=Patterns(
            tags if tags is not None else ([] if orphans and not match.get("version") else ["*"]),
            "match.tags",
        ),
        exclude=Patterns(match.get("exclude") or [], "match.exclude"),
        versions=VersionRange(match["version"]) if match.get("version") else None,
        prereleases=match.get("prereleases") or "any",
        orphans=orphans,
        keep=keep,
        delete=delete,
        keep_last=keep_last,
        by=rule.get("by") or "created",
        group=group or None,
        older_than=parse_duration(rule["older_than"]) if rule.get("older_than") else None,
        younger_than=parse_duration(rule["younger_than"]) if rule.get("younger_than") else None,
    )


def _padded(version: Version) -> tuple[int, ...]:
    return (version.numbers + (0, 0, 0))[: max(3, len(version.numbers))]


def _order(tag: str) -> tuple[t.Any, ...]:
    """The place of a version among others; spellings of the same version have the same."""
    return version_key(tag)[:4]


def _bounds(operator: str, text: str) -> tuple[t.Any, t.Any] | None:
    """Return the least version, and the least one beyond, that one part of a range admits."""
    wildcard = re.match(r"v?(\d+(?:\.\d+)*)\.[xX*](?:\.[xX*])*\Z", text)
    # What is longer than a tag can be is no version of one.
    version = parse_version(wildcard.group(1) if wildcard else text) if len(text) <= 128 else None
    if version is None:
        return None
    numbers = version.numbers
    own = _order(text if not wildcard else wildcard.group(1))
    least = (0,)
    if wildcard:
        if operator not in ("", "="):
            return None
        return _floor(numbers), _floor(_raised(numbers, len(numbers) - 1))
    after = (*own, ())
    if operator in ("", "="):
        return own, after
    if operator == ">=":
        return own, None
    if operator == ">":
        return after, None
    if operator == "<":
        return least, own
    if operator == "<=":
        return least, after
    if operator == "~":
        return own, _floor(_raised(numbers, min(1, len(numbers) - 1)))
    leading = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return own, _floor(_raised(numbers, leading))


def _raised(numbers: tuple[int, ...], place: int) -> tuple[int, ...]:
    return numbers[:place] + (numbers[place] + 1,)


def _floor(numbers: tuple[int, ...]) -> tuple[t.Any, ...]:
    """The place before all versions, prereleases too, that begin with ``numbers``."""
    significant = list(numbers)
    while significant and not significant[-1]:
        significant.pop()
    return (1, significant)


def _without_tag(name: str) -> str:
    base, colon, tail = name.rpartition(":")
    return base if colon and "/" not in tail else name

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The plan for a repository: what of it goes and what stays, as typed data, and as the JSON of plan files and results."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone

from .._oci.digest_tags import subject_of_tag
from .._oci.graph import walk
from .._oci.reference import Reference
from .._oci.tag_versions import natural_key
from .._registry.repository import Repository
from .documents import (
    checked,
    checked_digest,
    checked_registry,
    checked_repository,
    checked_tag,
    encode_document,
    optional,
    read_document,
    write_document,
)
from .policy import RetentionPlan, Snapshot, Verdict
from .protection import Protection

_DIGEST = re.compile(r"sha(?:256|512):[0-9a-f]{64,128}")
PLAN_FORMAT = "ocikit.registry/prune-plan/1"


class PlannedTag(t.NamedTuple):
    """One tag of a plan: the digest it points to, when its image was made, and why it stays or goes.

    Without a digest it cannot be read, or is ``dangling``: the registry lists it, and its manifest is
    missing. ``why`` is one line of ``rule``, None where no rule decided, and ``reason``. ``size`` is that of
    the image with all that it consists of, in bytes, as far as known.
    """

    tag: str
    digest: str | None
    created: str | None
    why: str
    rule: str | None
    reason: str
    size: int | None = None
    dangling: bool = False

    @property
    def decided_by(self) -> str:
        """The rule that decided, else the reason in general words, to sum tags up by."""
        if self.rule:
            return self.rule
        return "with their image" if subject_of_tag(self.tag) else _DIGEST.sub("an image", self.reason)

    def to_dict(self) -> dict[str, t.Any]:
        """Return the tag as results and plan files show it."""
        return self._asdict()

    @classmethod
    def from_verdict(cls, verdict: Verdict, snapshot: Snapshot) -> PlannedTag:
        """Return the tag that the policy decided about, with the time of its image."""
        created = verdict.created
        time = None if created is None else datetime.fromtimestamp(created, timezone.utc)
        return cls(
            verdict.tag,
            verdict.digest,
            time.isoformat().replace("+00:00", "Z") if time else None,
            verdict.why,
            verdict.rule,
            verdict.reason,
            _size(snapshot, verdict.digest) if verdict.digest else None,
            verdict.tag in snapshot.dangling,
        )

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> PlannedTag:
        """Read a tag of a plan file. Raises ValueError and KeyError."""
        return cls(
            checked_tag(data["tag"]),
            optional(checked_digest, data["digest"]),
            optional(lambda value: t.cast(str, checked(value, str)), data["created"]),
            checked(data["why"], str),
            optional(lambda value: t.cast(str, checked(value, str)), data.get("rule")),
            # Plans of older releases have only the line.
            checked(data.get("reason", data["why"]), str),
            optional(lambda value: t.cast(int, checked(value, int)), data.get("size")),
            checked(data.get("dangling", False), bool),
        )


@dataclass(frozen=True)
class RepositoryPlan:
    """What is to become of one repository. ``digests`` go as a whole, in this order; ``bytes`` is what that frees."""

    registry: str
    repository: str
    delete: tuple[PlannedTag, ...] = ()
    keep: tuple[PlannedTag, ...] = ()
    digests: tuple[str, ...] = ()
    bytes: int = 0

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def place(self) -> tuple[str, str]:
        """The registry and the name of the repository."""
        return self.registry, self.repository

    @property
    def reference(self) -> Reference:
        """The repository as a reference."""
        return Reference(self.registry, self.repository)

    @property
    def has_work(self) -> bool:
        """Whether the plan deletes anything."""
        return bool(self.delete or self.digests)

    @property
    def candidates(self) -> dict[str, str]:
        """The tags that go, each with the digest that it has to point to."""
        return {entry.tag: entry.digest for entry in self.delete if entry.digest}

    def names(self) -> t.Iterator[str]:
        """Yield all names and digests that a result shows of the plan."""
        yield str(self)
        yield from self.digests
        for entry in (*self.delete, *self.keep):
            yield entry.tag
            yield entry.digest or ""

    @property
    def totals(self) -> list[dict[str, t.Any]]:
        """How many tags each rule, or reason where no rule decided, deletes and keeps; what deletes most comes first."""
        deleted = Counter(entry.decided_by for entry in self.delete)
        kept = Counter(entry.decided_by for entry in self.keep)
        names = sorted({**deleted, **kept}, key=lambda name: (-deleted[name], -kept[name], name))
        return [{"rule": name, "delete": deleted[name], "keep": kept[name]} for name in names]

    @property
    def dangling(self) -> set[str]:
        """The tags that go whose manifest is missing."""
        return {entry.tag for entry in self.delete if not entry.digest}

    def to_dict(self) -> dict[str, t.Any]:
        """Return the plan as results and plan files show it."""
        return {
            "registry": self.registry,
            "repository": self.repository,
            "delete": [entry.to_dict() for entry in self.delete],
            "keep": [entry.to_dict() for entry in self.keep],
            "digests": list(self.digests),
            "bytes": self.bytes,
        }

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> RepositoryPlan:
        """Read a repository of a plan file. Raises ValueError, KeyError and TypeError."""
        delete = tuple(map(PlannedTag.from_dict, checked(data["delete"], list)))
        if any(entry.digest is None and not entry.dangling for entry in delete):
            raise ValueError("a tag that goes has a digest, or is dangling")
        return cls(
            checked_registry(data["registry"]),
            checked_repository(data["repository"]),
            delete,
            tuple(map(PlannedTag.from_dict, checked(data["keep"], list))),
            tuple(map(checked_digest, checked(data["digests"], list))),
            checked(data["bytes"], int),
        )


def make_repository_plan(
    repository: Repository, snapshot: Snapshot, retention: RetentionPlan, protection: Protection
) -> RepositoryPlan:
    """Return the plan that ``retention`` leads to, with the referrers that only the referrers API knows.

    Tags are in the order of their names, where 10 follows 9.
    Raises ProtocolError where the registry lists referrers of referrers without end.
    """

    def planned(verdicts: t.Iterable[Verdict]) -> tuple[PlannedTag, ...]:
        ordered = sorted(verdicts, key=lambda verdict: (natural_key(verdict.tag), verdict.tag))
        return tuple(PlannedTag.from_verdict(verdict, snapshot) for verdict in ordered)

    return RepositoryPlan(
        repository.registry,
        repository.name,
        planned(retention.candidates),
        planned(retention.kept),
        tuple(_with_referrers(repository, snapshot, retention.digests, protection)),
        retention.bytes,
    )


def _size(snapshot: Snapshot, digest: str) -> int:
    """Return the bytes of a manifest, of the children of an index, and of their blobs, each once."""
    records = [snapshot.manifests.get(member) for member in snapshot.with_children([digest])]
    blobs = {blob: size for record in records if record for blob, size in record.blobs}
    return sum(record.size for record in records if record) + sum(blobs.values())


def _with_referrers(
    repository: Repository, snapshot: Snapshot, digests: t.Sequence[str], protection: Protection
) -> list[str]:
    """Return ``digests``, before each of them its referrers that no tag leads to, and theirs.

    A listing is a hint: only a manifest whose own subject is the digest goes with it.
    """
    if not digests or repository.referrers(digests[0]) is None:
        return list(digests)

    def refers(referrer: str, digest: str) -> bool:
        if referrer in snapshot.manifests or protection.why_digest(referrer):
            return False
        fetched = repository.find_manifest(referrer)
        subject = fetched.manifest.subject if fetched else None
        return subject is not None and subject.digest == digest

    referrers: dict[str, list[str]] = {}

    def visit(digest: str) -> list[str]:
        listed = repository.referrers(digest) or []
        referrers[digest] = [entry.digest for entry in listed if refers(entry.digest, digest)]
        return referrers[digest]

    walk(digests, visit, repository.concurrency)
    ordered: dict[str, None] = {}
    for digest in digests:
        for level in reversed(walk([digest], referrers.__getitem__)):
            ordered.update(dict.fromkeys(level))
    return list(ordered)


def read_plans(path: str) -> list[RepositoryPlan]:
    """Return the plans in a plan file. Raises InvalidInput and LocalStorageError."""
    return read_document(path, {PLAN_FORMAT: _parse})


def write_plans(path: str, plans: t.Iterable[RepositoryPlan], check_mode: bool) -> bool:
    """Write a plan file, but in ``check_mode``, unless it holds ``plans`` already. Return whether that changes it.

    Raises LocalStorageError.
    """
    document = encode_document(PLAN_FORMAT, {"repositories": [plan.to_dict() for plan in plans]})
    return write_document(path, document, check_mode)


def _parse(document: t.Mapping[str, t.Any]) -> list[RepositoryPlan]:
    return [RepositoryPlan.from_dict(entry) for entry in checked(document["repositories"], list)]


def diff_of(plans: t.Iterable[RepositoryPlan], limit: int = 50) -> dict[str, str]:
    """Return the diff of plans: a line for each tag that goes, or where they are many, a line for each rule or other reason."""
    before, after = [], []
    for plan in plans:
        if not plan.has_work:
            continue
        before.append(f"{plan}: {len(plan.delete) + len(plan.keep)} tags\n")
        after.append(
            f"{plan}: {len(plan.keep)} tags, {len(plan.digests)} digests and {plan.bytes} bytes less\n"
        )
        if len(plan.delete) <= limit:
            before += [f"  {entry.tag} {entry.digest} ({entry.why})\n" for entry in plan.delete]
            continue
        reasons: dict[str, list[str]] = {}
        for entry in plan.delete:
            reasons.setdefault(entry.decided_by, []).append(entry.tag)
        before += [
            f"  {len(tags)} tags, {tags[0]} to {tags[-1]} ({reason})\n" for reason, tags in reasons.items()
        ]
    return {"before": "".join(before), "after": "".join(after)}

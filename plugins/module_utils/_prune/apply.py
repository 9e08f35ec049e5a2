# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""A plan carried out in one repository, as far as it still holds."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field, replace

from .._deletion.digest import DigestDeleter, check_deletable
from .._deletion.polling import poll, wait_until_gone
from .._deletion.removal import TagRemoval
from .._deletion.tag_states import TagStates, read_tags
from .._deletion.tags import TagRemover
from .._errors import DigestMismatch, ProtocolError, RegistryError, ServerFault, Unsupported
from .._oci.content import Descriptor, Manifest
from .._oci.graph import walk
from .._registry.placeholder import read_removed_tags
from .._registry.repository import Repository
from .plan import RepositoryPlan
from .undo import UndoEntry

# So many digests are deleted between two looks at all tags, and between two at the names that are new.
_LOOK_EVERY = 100
_NEWS_EVERY = 10


class Refusal(t.NamedTuple):
    """A tag or digest of a plan that was left alone, and why."""

    tag: str
    digest: str | None
    why: str

    def to_dict(self) -> dict[str, t.Any]:
        return self._asdict()


@dataclass
class Outcome:
    """What became of the plan for one repository, and what stopped it. ``policy`` is the name of one of several."""

    plan: RepositoryPlan
    policy: str | None = None
    deleted_tags: list[str] = field(default_factory=list)
    deleted_digests: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    error: RegistryError | None = None

    @property
    def changed(self) -> bool:
        return bool(self.deleted_tags or self.deleted_digests)

    @property
    def incomplete(self) -> bool:
        """Whether not all was done that was planned."""
        return bool(self.error or self.refused)

    @property
    def counts(self) -> dict[str, int]:
        """The lengths of all lists, by their names in results."""
        return {
            "delete": len(self.plan.delete),
            "keep": len(self.plan.keep),
            "digests": len(self.plan.digests),
            "deleted_tags": len(self.deleted_tags),
            "deleted_digests": len(self.deleted_digests),
            "refused": len(self.refused),
        }

    def to_dict(self) -> dict[str, t.Any]:
        """Return the outcome as results show it."""
        return {
            **self.plan.to_dict(),
            "policy": self.policy,
            "counts": self.counts,
            "rules": self.plan.totals,
            "deleted_tags": self.deleted_tags,
            "deleted_digests": self.deleted_digests,
            "refused": [refusal.to_dict() for refusal in self.refused],
            "error": str(self.error) if self.error else None,
        }


class PlanApplier:
    """One plan on its way. What moved since the plan was made is refused; what is gone already needs nothing.

    look() comes first, then read_originals() and run(); ``outcome`` tells at any time what was done.
    """

    def __init__(self, repository: Repository, outcome: Outcome) -> None:
        self._repository = repository
        self.outcome = outcome
        # Tags that were to stay, and went away after digests were deleted.
        self.vanished: list[str] = []
        self._planned = outcome.plan.candidates
        self._expected = {entry.tag: entry.digest for entry in (*outcome.plan.keep, *outcome.plan.delete)}
        self._tags: dict[str, Descriptor] = {}
        self._unreadable: dict[str, RegistryError] = {}
        self._candidates: dict[str, str] = {}
        self._digests: list[str] = []
        self._deleter = DigestDeleter(repository)
        self._blocked: set[str] = set()
        self._originals: dict[str, UndoEntry] = {}
        # By digest, what an original names.
        self._named: dict[str, tuple[Descriptor, ...]] = {}

    def look(self) -> None:
        """Look at all tags and digests as they are now, and refuse what the plan says no more. Raises RegistryError."""
        self._tags, self._unreadable = self._look_up(self._repository.tag_names())
        self._candidates = self._unmoved()
        left_over = {digest for tag, digest in self._candidates.items() if digest != self._planned[tag]}
        self._digests = self._free([*sorted(left_over), *self.outcome.plan.digests])

    @property
    def has_work(self) -> bool:
        return bool(self._candidates or self._digests)

    @property
    def pending(self) -> RepositoryPlan:
        """The part of the plan that is still to be done."""
        plan = self.outcome.plan
        delete = tuple(entry for entry in plan.delete if entry.tag in self._candidates)
        return replace(plan, delete=delete, digests=tuple(self._digests))

    def read_originals(self) -> list[UndoEntry]:
        """Return what undoes the plan: each manifest that goes, and the tags that lead to it, needed ones first."""
        tags: dict[str, list[str]] = {}
        for tag in self._candidates:
            tags.setdefault(self._planned[tag], []).append(tag)

        def read(digest: str) -> UndoEntry | None:
            fetched = self._repository.find_manifest(digest)
            if fetched is None:
                return None
            if tags.get(digest) and read_removed_tags(self._repository, fetched.manifest):
                # Nothing to be put back: the run that was stopped has recorded the image itself.
                return None
            self._named[digest] = _named_by(fetched.manifest)
            return UndoEntry.from_manifest(self._repository, fetched.manifest, digest, tags.get(digest, ()))

        digests = list(dict.fromkeys([*reversed(self._digests), *tags]))
        entries = self._repository.map(read, digests)
        self._originals = {entry.digest: entry for entry in entries if entry}
        return list(self._originals.values())

    def run(self) -> None:
        """Delete tags whose digest stays by the safe removal of tags, then digests, what needs others first.

        Raises RegistryError at the first failure; ``outcome`` tells what was done by then.
        """
        if self._digests:
            check_deletable(self._repository)
        going = set(self._digests)
        single = [tag for tag, digest in self._candidates.items() if digest not in going]
        try:
            self._untag(single)
        finally:
            self._put_back_lost({self._candidates[tag] for tag in single})
        try:
            for number, digest in enumerate(self._digests):
                if number % _NEWS_EVERY == 0 and (number or single):
                    self._look_again(everything=number % _LOOK_EVERY == 0)
                if digest not in self._blocked:
                    self._delete(digest)
        except BaseException:
            with contextlib.suppress(RegistryError):
                self._look_again(everything=True)
            raise
        if going:
            self._look_again(everything=True)
        self._check_gone()

    def _look_up(self, names: t.Sequence[str]) -> tuple[dict[str, Descriptor], dict[str, RegistryError]]:
        states = read_tags(self._repository, names)
        return dict(states.found), dict(states.unreadable)

    def _unmoved(self) -> dict[str, str]:
        """Return the candidates, each with what it points to: its image still, or what a killed run has left there."""
        candidates = {}
        for tag, digest in self._planned.items():
            descriptor = self._tags.get(tag)
            if tag in self._unreadable:
                self._refuse(tag, digest, "it cannot be read")
            elif descriptor and (descriptor.digest == digest or self._is_left_over(tag, descriptor.digest)):
                candidates[tag] = descriptor.digest
            elif descriptor:
                self._refuse(tag, digest, f"it moved to {descriptor.digest} since the plan was made")
        return candidates

    def _is_left_over(self, tag: str, digest: str) -> bool:
        try:
            fetched = self._repository.find_manifest(digest)
            return fetched is not None and tag in read_removed_tags(self._repository, fetched.manifest)
        except (DigestMismatch, ProtocolError, ServerFault):
            return False

    def _free(self, digests: list[str]) -> list[str]:
        """Return the digests that exist and that no tag outside the plan leads to."""
        present = self._repository.map(self._repository.resolve, digests)
        digests = [digest for digest, descriptor in zip(digests, present) if descriptor]
        if digests and self._unreadable:
            tag = min(self._unreadable)
            self._refuse(tag, None, "it cannot be read, and may need any digest: none is deleted")
            return []
        self._block(
            {tag: descriptor for tag, descriptor in self._tags.items() if tag not in self._candidates},
            digests,
        )
        return [digest for digest in digests if digest not in self._blocked]

    def _block(self, tags: t.Mapping[str, Descriptor], digests: t.Sequence[str]) -> None:
        """Refuse what ``tags`` need of ``digests``. Only what the plan did not know is read."""
        going = set(digests)
        news = [
            tag
            for tag, descriptor in tags.items()
            if going and (self._expected.get(tag) != descriptor.digest or descriptor.digest in going)
        ]
        late: set[str] = set()
        for tag, needs in zip(news, self._repository.map(lambda tag: self._needs(tags[tag]), news)):
            for digest in sorted(needs & going - self._blocked):
                self._blocked.add(digest)
                self._refuse(tag, digest, f"{tag} needs {digest} now")
                late.update({digest}.intersection(self.outcome.deleted_digests))
        if late:
            self._put_back(late)

    def _needs(self, descriptor: Descriptor) -> set[str]:
        """Return a digest with all that it names, directly or not."""
        needs = {descriptor.digest}

        def visit(digest: str) -> list[str]:
            named = self._named.get(digest)
            if named is None:
                fetched = self._repository.find_manifest(digest)
                named = _named_by(fetched.manifest) if fetched else ()
            needs.update(other.digest for other in named)
            return [other.digest for other in named if other.is_manifest]

        walk([descriptor.digest], visit)
        return needs

    def _look_again(self, everything: bool) -> None:
        """Someone may push while this runs: tags that are new, or were moved, may need what was to go."""
        names = self._repository.tag_names()
        tags, unreadable = self._look_up(
            names if everything else [name for name in names if name not in self._tags]
        )
        if unreadable:
            raise next(iter(unreadable.values()))
        moved = {
            tag: descriptor
            for tag, descriptor in tags.items()
            if self._tags.get(tag) != descriptor and self._candidates.get(tag) != descriptor.digest
        }
        if everything and self.outcome.deleted_digests:
            self.vanished += [tag for tag in self._tags if tag not in tags and tag not in self._candidates]
        self._tags = tags if everything else {**self._tags, **tags}
        self._block(moved, self._digests)

    def _put_back(self, digests: set[str]) -> None:
        """Undo what came too late to be refused. The registry has the blobs until it collects its garbage."""
        for digest in reversed(self._digests):
            if digest in digests:
                self._repository.put(digest, self._originals[digest].original())
                self.outcome.deleted_digests.remove(digest)

    def _untag(self, tags: t.Sequence[str]) -> None:
        remover = TagRemover(self._repository, TagStates(self._tags))
        removals = remover.plan(tags)
        try:
            remover.remove(removals)
        finally:
            self.outcome.deleted_tags += [removal.tag for removal in removals if removal.method]

    def _put_back_lost(self, digests: set[str]) -> None:
        """Put back what went with its last tag, as on zot 1.4.3: only the tag was to go, as something needs the image."""

        def put(digest: str) -> None:
            if digest in self._originals and not self._repository.resolve(digest):
                self._repository.put(digest, self._originals[digest].original())

        self._repository.map(put, sorted(digests))

    def _delete(self, digest: str) -> None:
        """Delete a digest with its tags, except those that moved a moment ago."""
        names = [tag for tag, planned in self._candidates.items() if planned == digest]
        descriptors, unreadable = self._look_up(names)
        if unreadable:
            raise next(iter(unreadable.values()))
        tags = []
        for tag, descriptor in descriptors.items():
            if descriptor.digest == digest:
                tags.append(tag)
            else:
                self._refuse(tag, digest, f"it moved to {descriptor.digest} while the plan was applied")
                self._block({tag: descriptor}, self._digests)
        if digest in self._blocked:
            return
        try:
            original = self._originals.get(digest)
            error = self._deleter.try_delete(
                digest,
                [TagRemoval(tag, descriptors[tag]) for tag in tags],
                manifest=original.original() if original else None,
            )
            if error:
                raise error
        except (RegistryError, KeyboardInterrupt):
            # The registry may have done it, or be about to.
            for _look in poll():
                if self._is_gone(digest):
                    break
            self._note(digest, tags, self._is_gone)
            raise
        self._note(digest, tags, lambda _reference: True)

    def _note(self, digest: str, tags: t.Sequence[str], gone: t.Callable[[str], bool]) -> None:
        outcome = self.outcome
        outcome.deleted_digests += [digest] if gone(digest) else []
        outcome.deleted_tags += [tag for tag in tags if tag not in outcome.deleted_tags and gone(tag)]

    def _is_gone(self, reference: str) -> bool:
        """Tell whether something is gone in spite of a failure."""
        try:
            return self._repository.resolve(reference) is None
        except RegistryError:
            return False

    def _check_gone(self) -> None:
        outcome = self.outcome
        left = wait_until_gone(self._repository, [*outcome.deleted_digests, *outcome.deleted_tags])
        if not left:
            return
        outcome.deleted_digests = [digest for digest in outcome.deleted_digests if digest not in left]
        outcome.deleted_tags = [tag for tag in outcome.deleted_tags if tag not in left]
        raise Unsupported(
            f"The registry accepted the deletion but has {', '.join(left[:5])} still, or again if it was pushed meanwhile."
        )

    def _refuse(self, tag: str, digest: str | None, why: str) -> None:
        self.outcome.refused.append(Refusal(tag, digest, why))


def _named_by(manifest: Manifest) -> tuple[Descriptor, ...]:
    """Return what ``manifest`` names: its children, of whatever type, and its subject."""
    return (*manifest.children, *filter(None, [manifest.subject]))

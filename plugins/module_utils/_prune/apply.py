# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""A plan carried out in one repository, as far as it still holds."""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass, field, replace
from functools import partial

from .._deletion.digest import DigestDeleter, check_deletable
from .._deletion.polling import wait_until_gone
from .._deletion.removal import TagRemoval
from .._deletion.tag_states import TagStates, read_tags
from .._deletion.tags import TagRemover
from .._errors import DigestMismatch, ProtocolError, Refused, RegistryError, ServerFault, Unsupported
from .._oci.content import Descriptor, Manifest
from .._oci.graph import walk
from .._progress import Progress
from .._registry.listings import PAGE_SIZE
from .._registry.placeholder import read_removed_tags
from .._registry.repository import Repository
from .plan import RepositoryPlan
from .undo import UndoEntry

# The most digests that are deleted between two looks at all tags, and between two at the names of new ones.
_LOOK_EVERY = 100
_NEWS_EVERY = 10
# So many tags are looked at again for each deletion, on the average: all of them each time where there are no more.
_LOOKS = 32
# Seconds after which a request that is sent again is taken for one that had to wait.
_PAUSE = 0.5


class Refusal(t.NamedTuple):
    """A tag or digest of a plan that was left alone, and why."""

    tag: str
    digest: str | None
    why: str

    def to_dict(self) -> dict[str, t.Any]:
        """Return the refusal as results show it."""
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
        """Whether anything was deleted."""
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


class _Needed(Refused):
    """A digest that was to be deleted is needed again, or its tags have changed."""


class _Guard:
    """Called right before each request of one deletion: ``agreed`` is how many were sent."""

    def __init__(self, look: t.Callable[[int, float], None]) -> None:
        """``look`` is given the number of the request, and the seconds since the one before."""
        self._look = look
        self._asked_at = 0.0
        self.agreed = 0

    def __call__(self) -> None:
        self._look(self.agreed + 1, time.monotonic() - self._asked_at if self.agreed else 0.0)
        self._asked_at = time.monotonic()
        self.agreed += 1


class PlanApplier:
    """One plan on its way. What moved since the plan was made is refused; what is gone already needs nothing.

    look() comes first, then run(); ``outcome`` tells at any time what was done.
    """

    def __init__(self, repository: Repository, outcome: Outcome, progress: Progress | None = None) -> None:
        self._repository = repository
        self._progress = progress or Progress()
        self.outcome = outcome
        # Tags that were to stay, and went away after digests were deleted.
        self.vanished: list[str] = []
        # What undoes the plan: each manifest that goes, and the tags that lead to it, needed ones first.
        self.originals: list[UndoEntry] = []
        self._planned = outcome.plan.candidates
        self._expected = {entry.tag: entry.digest for entry in (*outcome.plan.keep, *outcome.plan.delete)}
        self._deleter = DigestDeleter(repository)
        # The tags as they were last seen, and those of them that go, with what they point to.
        self._tags: dict[str, Descriptor] = {}
        self._candidates: dict[str, str] = {}
        # Candidates whose manifest is missing.
        self._dangling: frozenset[str] = frozenset()
        self._digests: list[str] = []
        self._blocked: set[str] = set()
        self._originals: dict[str, UndoEntry] = {}
        # By digest, what an original names.
        self._named: dict[str, tuple[Descriptor, ...]] = {}
        self._deletions = 0
        # How long it took to look at all tags, in seconds.
        self._look_seconds = 0.0

    def look(self, fetch: bool) -> None:
        """Look at all tags and digests as they are now, and refuse what the plan says no more.

        ``fetch`` reads what undoes the plan as well. Raises RegistryError.
        """
        started = time.monotonic()
        names = self._repository.tag_names()
        stage = self._progress.stage(f"{self._repository}: checked", "tags", len(names))
        states = read_tags(self._repository, names, note=stage.advance)
        self._look_seconds = time.monotonic() - started
        self._tags = dict(states.descriptors)
        self._candidates = self._unmoved(states)
        self._dangling = states.dangling.intersection(self.outcome.plan.dangling)
        for tag in sorted(self.outcome.plan.dangling.intersection(states.descriptors)):
            self._refuse(tag, None, f"it points to {states.descriptors[tag].digest} now")
        left_over = {digest for tag, digest in self._candidates.items() if digest != self._planned[tag]}
        digests = [*sorted(left_over), *self.outcome.plan.digests]
        present = self._read_originals(digests) if fetch else self._present(digests)
        self._digests = self._free([digest for digest in digests if digest in present], states)
        self._originals = {
            digest: entry for digest, entry in self._originals.items() if self._is_to_be_undone(entry)
        }
        self.originals = list(self._originals.values())

    @property
    def has_work(self) -> bool:
        """Whether anything of the plan is left to be deleted."""
        return bool(self._candidates or self._dangling or self._digests)

    @property
    def pending(self) -> RepositoryPlan:
        """The part of the plan that is still to be done."""
        plan = self.outcome.plan
        tags = {*self._candidates, *self._dangling}
        delete = tuple(entry for entry in plan.delete if entry.tag in tags)
        return replace(plan, delete=delete, digests=tuple(self._digests))

    def run(self) -> None:
        """Delete tags whose digest stays by the safe removal of tags, then digests, what needs others first.

        Raises RegistryError at the first failure; ``outcome`` tells what was done by then.
        """
        if self._digests:
            check_deletable(self._repository)
        going = set(self._digests)
        single = [tag for tag, digest in self._candidates.items() if digest not in going]
        try:
            self._untag([*single, *sorted(self._dangling)])
        finally:
            self._put_back_lost({self._candidates[tag] for tag in single})
        try:
            stage = self._progress.stage(f"{self._repository}: deleted", "digests", len(self._digests))
            for digest in self._digests:
                self._delete(digest)
                stage.advance()
        except BaseException:
            with contextlib.suppress(RegistryError):
                self._look_again(everything=True)
            raise
        if going:
            self._look_again(everything=True)
        self._check_gone()

    # The plan as it is now

    def _unmoved(self, states: TagStates) -> dict[str, str]:
        """Return the candidates, each with what it points to: its image still, or what a killed run has left there."""
        candidates = {}
        for tag, digest in self._planned.items():
            descriptor = states.descriptors.get(tag)
            if tag in states.unreadable:
                self._refuse(tag, digest, "it cannot be read")
            elif descriptor and (descriptor.digest == digest or self._is_left_over(tag, descriptor.digest)):
                candidates[tag] = descriptor.digest
            elif descriptor:
                self._refuse(tag, digest, f"it moved to {descriptor.digest} since the plan was made")
            elif tag in states.dangling:
                self._refuse(tag, digest, "its manifest is missing now")
        return candidates

    def _is_left_over(self, tag: str, digest: str) -> bool:
        try:
            fetched = self._repository.find_manifest(digest)
            return fetched is not None and tag in read_removed_tags(self._repository, fetched.manifest)
        except (DigestMismatch, ProtocolError, ServerFault):
            return False

    def _present(self, digests: t.Sequence[str]) -> set[str]:
        descriptors = self._repository.map(self._repository.resolve, digests)
        return {digest for digest, descriptor in zip(digests, descriptors) if descriptor}

    def _read_originals(self, digests: t.Sequence[str]) -> set[str]:
        """Read what undoes the deletion of ``digests`` and of tags, and return which manifests there are."""
        tags: dict[str, list[str]] = {}
        for tag in self._candidates:
            tags.setdefault(self._planned[tag], []).append(tag)
        present: set[str] = set()

        def read(digest: str) -> UndoEntry | None:
            fetched = self._repository.find_manifest(digest)
            if fetched is None:
                return None
            present.add(digest)
            self._named[digest] = _named_by(fetched.manifest)
            if tags.get(digest) and read_removed_tags(self._repository, fetched.manifest):
                # Nothing to be put back: the run that was stopped has recorded the image itself.
                return None
            return UndoEntry.from_manifest(self._repository, fetched.manifest, digest, tags.get(digest, ()))

        entries = self._repository.map(read, list(dict.fromkeys([*reversed(digests), *tags])))
        self._originals = {entry.digest: entry for entry in entries if entry}
        return present

    def _is_to_be_undone(self, entry: UndoEntry) -> bool:
        return bool(entry.tags) or entry.digest in self._digests

    def _free(self, digests: list[str], states: TagStates) -> list[str]:
        """Return the digests that no tag outside the plan leads to, as far as that can be known."""
        unknown = [*states.unreadable, *(states.dangling - self._dangling)]
        if digests and unknown:
            tag = min(unknown)
            why = "it cannot be read" if tag in states.unreadable else "its manifest is missing"
            self._refuse(tag, None, f"{why}, and it may need any digest: none is deleted")
            return []
        others = {tag: descriptor for tag, descriptor in self._tags.items() if tag not in self._candidates}
        self._block(others, digests)
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

    # Looking again

    def _look_again(
        self, everything: bool = False, listing: bool = True, tags: t.Collection[str] = ()
    ) -> None:
        """Look at ``tags``, with ``listing`` at those that are new, or at everything: somebody may push while this runs."""
        started = time.monotonic()
        names = self._repository.tag_names() if everything or listing else list(tags)
        states = read_tags(
            self._repository,
            names if everything else [name for name in names if name not in self._tags or name in tags],
        )
        if states.unreadable:
            raise next(iter(states.unreadable.values()))
        moved = {
            tag: descriptor
            for tag, descriptor in states.descriptors.items()
            if self._tags.get(tag) != descriptor and self._candidates.get(tag) != descriptor.digest
        }
        if everything:
            if self.outcome.deleted_digests:
                self.vanished += [
                    tag for tag in self._tags if tag not in states.descriptors and tag not in self._planned
                ]
            self._tags = {}
            self._look_seconds = time.monotonic() - started
        self._tags.update(states.descriptors)
        for tag in moved:
            digest = self._candidates.pop(tag, None)
            if digest:
                self._refuse(tag, digest, f"it moved to {moved[tag].digest} while the plan was applied")
        self._block(moved, self._digests)
        self._block_all(states.dangling.difference(self._tags, self._planned, self._dangling, self.vanished))

    def _block_all(self, dangling: t.Collection[str]) -> None:
        """Refuse all digests that are left, as it is not known what a new tag without a manifest needs."""
        left = set(self._digests).difference(self._blocked, self.outcome.deleted_digests)
        if dangling and left:
            self._blocked |= left
            why = "its manifest is missing, and it may need any digest: no more is deleted"
            self._refuse(min(dangling), None, why)

    def _look_before(self, digest: str, tags: t.Collection[str], sent: int, waited: float) -> None:
        """Look again right before request number ``sent`` that deletes ``digest`` or one of its tags.

        All tags are looked at as often as it takes a few requests for each deletion, and when it was ``waited``, as after
        a pause that the registry asked for. Raises _Needed where the digest is needed by then, or one of ``tags`` moved.
        """
        self._deletions += sent == 1
        count = len(self._tags)
        everything = waited > max(_PAUSE, self._look_seconds) or (
            sent == 1 and self._deletions % min(_LOOK_EVERY, 1 + count // _LOOKS) == 0
        )
        listing = sent > 1 or self._deletions % min(_NEWS_EVERY, 1 + count // PAGE_SIZE) == 0
        self._look_again(everything, listing, tags)
        if digest in self._blocked or any(self._candidates.get(tag) != digest for tag in tags):
            raise _Needed(f"{digest} is needed again.")

    # Writing

    def _put_back(self, digests: set[str]) -> None:
        """Undo what came too late to be refused. The registry has the blobs until its garbage collection."""
        for digest in reversed(self._digests):
            if digest in digests:
                self._repository.put(digest, self._originals[digest].original())
                self.outcome.deleted_digests.remove(digest)

    def _untag(self, tags: t.Sequence[str]) -> None:
        remover = TagRemover(self._repository, TagStates(self._tags, dangling=self._dangling))
        removals = remover.plan(tags)
        stage = self._progress.stage(f"{self._repository}: deleted", "tags", len(removals))
        stage.counter = lambda: sum(removal.method is not None for removal in removals)
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
        """Delete a digest with its tags, unless something needs it by then. A tag that moved meanwhile is left alone."""
        while digest not in self._blocked:
            removals = [
                TagRemoval(tag, self._tags[tag])
                for tag, candidate in self._candidates.items()
                if candidate == digest and tag in self._tags
            ]
            tags = [removal.tag for removal in removals]
            guard = _Guard(partial(self._look_before, digest, tags))
            original = self._originals.get(digest)
            try:
                error = self._deleter.try_delete(
                    digest, removals, guard, original.original() if original else None
                )
                if error:
                    raise error
            except _Needed:
                if guard.agreed:
                    # Requests before this one may have been carried out, also where their answer was lost.
                    self._note(digest, tags, self._are_gone(digest, tags))
                continue
            except (RegistryError, KeyboardInterrupt):
                self._note(digest, tags, self._are_gone(digest, tags))
                raise
            self._note(digest, tags, {digest, *tags})
            return

    def _note(self, digest: str, tags: t.Iterable[str], gone: t.Container[str]) -> None:
        outcome = self.outcome
        if digest in gone and digest not in outcome.deleted_digests:
            outcome.deleted_digests.append(digest)
        outcome.deleted_tags += [tag for tag in tags if tag in gone and tag not in outcome.deleted_tags]

    def _are_gone(self, digest: str, tags: t.Sequence[str]) -> set[str]:
        """Return which of a digest and its tags are gone in spite of a failure: the registry may be about to delete them."""
        try:
            return {digest, *tags}.difference(wait_until_gone(self._repository, [digest, *tags]))
        except RegistryError:
            return set()

    def _check_gone(self) -> None:
        """See that everything is gone that the registry said it deleted. Raises Unsupported, naming what is not."""
        outcome = self.outcome
        left = wait_until_gone(self._repository, [*outcome.deleted_digests, *outcome.deleted_tags])
        if not left:
            return
        outcome.deleted_digests = [digest for digest in outcome.deleted_digests if digest not in left]
        outcome.deleted_tags = [tag for tag in outcome.deleted_tags if tag not in left]
        others = f" and {len(left) - 5} more" if len(left) > 5 else ""
        raise Unsupported(
            f"The registry accepted the deletion but has {', '.join(left[:5])}{others} still, or again if it was pushed"
            " meanwhile: run this again, or delete these by other means."
        )

    def _refuse(self, tag: str, digest: str | None, why: str) -> None:
        self.outcome.refused.append(Refusal(tag, digest, why))


def _named_by(manifest: Manifest) -> tuple[Descriptor, ...]:
    """Return what ``manifest`` names: its children, of whatever type, and its subject."""
    return (*manifest.children, *filter(None, [manifest.subject]))

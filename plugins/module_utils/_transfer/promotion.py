# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Tags of several images moved as one transaction: all conditions are checked and all contents stored first, then either
all tags move or none does. To undo that is the same transaction in the other direction.
"""

from __future__ import annotations

import functools
import time
import typing as t
from dataclasses import dataclass, replace

from .._deletion.tag_states import read_tags
from .._deletion.tags import TagRemover
from .._errors import InvalidInput, NotFound, ProtocolError, Refused, RegistryError, Unsupported
from .._oci.content import SCHEMA1_TYPES, Descriptor, Manifest
from .._oci.reference import Reference, check_digest
from .._parallel import map_concurrent, poll
from .._registry.connection import MASKED_NAMES, RegistryClients
from .._registry.context import ModuleContext
from .._registry.images import check_expected_option, require
from .._registry.placeholder import refuse_placeholder
from .._registry.repository import Repository
from .deliver import Along, Delivery, Image, send
from .former_images import FormerImages
from .targets import (
    ABSENT,
    Sought,
    Target,
    Write,
    check_targets,
    check_unique,
    condition,
    look_up,
    note_before,
    targets_diff,
)

# How old a look at a tag may be, in seconds, to count as one right before the tag is written.
_FRESH = 1.0


@dataclass
class Source:
    """An image to be promoted, and what it is now. ``manifest`` is there if it was read."""

    clients: RegistryClients
    reference: Reference
    descriptor: Descriptor | None = None
    manifest: Manifest | None = None

    @property
    def repository(self) -> Repository:
        """The repository of the image."""
        return self.clients.repository_of(self.reference)

    @property
    def sought(self) -> Sought:
        """The image as look_up() takes it."""
        return Sought(self.repository, self.reference)


@dataclass
class Move:
    """One tag and the digest that it is to have, None where it is to be gone; and what became of it.

    ``source`` is the image that it gets. ``descriptor_before`` is what the tag was at ``looked_at``, in seconds of time.monotonic().
    ``message`` says why it could not be put back after a failure.
    """

    target: Target
    digest: str | None = None
    source: Source | None = None
    expected_digest: str | None = None
    descriptor_before: Descriptor | None = None
    looked_at: float = 0.0
    rolled_back: bool = False
    message: str | None = None

    @property
    def due(self) -> bool:
        """Whether the tag does not have yet what it is to have."""
        return self.target.before != self.digest

    @property
    def repository(self) -> tuple[str, str]:
        """The registry and the name of the repository of the tag."""
        return self.target.reference.registry, self.target.reference.repository

    def note_before(self, descriptor: Descriptor | None) -> None:
        """Note what the tag is before anything is written."""
        note_before(self.target, descriptor)
        self.descriptor_before = descriptor
        self.looked_at = time.monotonic()

    def to_dict(self) -> dict[str, t.Any]:
        """Return the move as results show it."""
        return {
            **self.target.to_dict(),
            "source": str(self.source.reference) if self.source else None,
            "rolled_back": self.rolled_back,
            "message": self.message,
        }


def promote(context: ModuleContext) -> dict[str, t.Any]:
    """Do what registry_promote is asked for, and return its result. Raises InvalidInput, NotFound and Refused."""
    params, clients = context.params, context.clients
    destination = clients if params["destination"] is None else clients.for_destination(params["destination"])
    if (params["images"] is None) == (params["undo"] is None):
        raise InvalidInput("Set either images or undo.")
    if params["undo"] is None:
        moves = read_promotion(clients, destination, params["images"], context.check_mode)
    else:
        moves = read_undo(destination, params["undo"])
    _refuse_masked_names(clients, moves)
    along = Along(params["referrers"], params["signatures"])
    delivery = carry_out(destination, moves, context.check_mode, along)
    result = outcome(moves)
    return {
        **result,
        "changed": result["changed"] or delivery.referrers > 0,
        "blobs": delivery.to_dict(),
        "companions": delivery.referrers,
        "diff": targets_diff([move.target for move in moves]),
    }


def _refuse_masked_names(clients: RegistryClients, moves: t.Sequence[Move]) -> None:
    """Raise InvalidInput where the result would not show images and digests as they are: undos and lock files are made of it."""
    names: list[object] = []
    for move in moves:
        names += [move.target.reference, move.target.before, move.digest]
        names += [move.source.reference] if move.source else []
    if clients.masks(names):
        raise InvalidInput(f"{MASKED_NAMES} Nothing was changed.")


def outcome(moves: t.Sequence[Move]) -> dict[str, t.Any]:
    """Return the part of a result that tells what became of all tags, and how to undo it."""
    changed = [move.target for move in moves if move.target.changed]
    return {
        "changed": bool(changed) or any(move.target.repaired for move in moves),
        "targets": [move.to_dict() for move in moves],
        "previous": [
            {"image": str(target.reference), "digest_before": target.before, "digest": target.after}
            for target in changed
        ],
    }


def read_promotion(
    clients: RegistryClients,
    destination: RegistryClients,
    images: t.Sequence[t.Mapping[str, t.Any]],
    check_mode: bool,
) -> list[Move]:
    """Return the moves that ``images`` ask for; sources are read through ``clients``, targets through ``destination``.

    A HEAD for each target, then one for each source, or a GET where a write is certain by then. Raises NotFound, Refused and
    Unsupported, with all that stands in the way.
    """
    if not images:
        raise InvalidInput("No image is named in images.")
    moves: list[Move] = []
    sources: dict[Reference, Source] = {}
    for entry in images:
        reference, expected = clients.reference(entry["image"]), entry["expected_digest"]
        source = sources.setdefault(reference, Source(clients, reference))
        if not entry["to"]:
            raise InvalidInput(f"No target is named for {reference}: set to.")
        check_expected_option(expected)
        for text in entry["to"]:
            target = Target(destination, _target(destination, text, reference), condition(entry["if_digest"]))
            moves.append(Move(target, None, source, expected))
    check_unique(move.target.reference for move in moves)
    _look_up(moves, list(sources.values()), destination.concurrency, check_mode)
    problems: list[RegistryError] = []
    for move in moves:
        problems += _problems(move)
    for source in sources.values():
        problems += _placeholder_problems(source)
    _raise_all(problems)
    return moves


def _look_up(
    moves: t.Sequence[Move], sources: t.Sequence[Source], concurrency: int, check_mode: bool
) -> None:
    """Look targets and sources up.

    The first source is among the targets, as a registry that has served one HEAD is believed when it says 404 to others.
    """
    first = sources[0]
    descriptors = look_up(
        [first.sought, *(Sought(move.target.repository, move.target.reference) for move in moves)],
        concurrency,
    )
    first.descriptor = descriptors[0]
    for move, descriptor in zip(moves, descriptors[1:]):
        move.note_before(descriptor)
    certain = {
        id(move.source)
        for move in moves
        if move.source
        and (
            move.target.before is None
            or (move.source.reference.digest or move.expected_digest) not in (None, move.target.before)
        )
    }
    read = [source for source in sources if id(source) in certain and not check_mode]
    for source, fetched in zip(
        read,
        map_concurrent(
            lambda source: source.repository.find_manifest(source.reference.target), read, concurrency
        ),
    ):
        source.manifest = fetched.manifest if fetched else None
        source.descriptor = fetched.manifest.descriptor if fetched else None
    rest = [source for source in sources[1:] if source not in read]
    for source, descriptor in zip(rest, look_up([source.sought for source in rest], concurrency)):
        source.descriptor = descriptor


def _target(clients: RegistryClients, text: str, source: Reference) -> Reference:
    reference = clients.reference(text)
    if not reference.tag and source.tag:
        reference = replace(reference, tag=source.tag)
    if reference.digest or not reference.tag:
        raise InvalidInput(f"{reference} cannot be a target: write repository:tag, without a digest.")
    return reference


def _problems(move: Move) -> t.Iterator[RegistryError]:
    """Note what the target of ``move`` is to have, and yield what stands against the move."""
    source = t.cast(Source, move.source)
    try:
        move.digest = require(source.reference, source.descriptor, None, "nothing was changed").digest
    except NotFound as error:
        yield error
        return
    try:
        check_targets(str(source.reference), move.digest, [move.target], move.expected_digest)
    except RegistryError as error:
        yield error
    for image, descriptor in (
        (
            (source.reference, source.descriptor),
            (move.target.reference, move.descriptor_before),
        )
        if move.due
        else ()
    ):
        if descriptor and descriptor.media_type in SCHEMA1_TYPES:
            yield Unsupported(
                f"{image} is a schema 1 image, which registries do not take again, so it could not be put back after"
                " a failure: nothing was changed. Push it anew."
            )


def _placeholder_problems(source: Source) -> t.Iterator[RegistryError]:
    image = source.manifest or source.descriptor
    try:
        if image:
            refuse_placeholder(source.repository, str(source.reference), image)
    except Refused as error:
        yield error


def read_undo(clients: RegistryClients, entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Move]:
    """Return the moves that take a promotion back, whose ``previous`` is ``entries``.

    A HEAD for each tag, and for each manifest that comes back. Raises like read_promotion().
    """
    moves: list[Move] = []
    given: list[str] = []
    for entry in entries:
        reference, before = clients.reference(entry["image"]), entry["digest_before"]
        if reference.digest or not reference.tag:
            raise InvalidInput(f"{reference} cannot be undone: it is no tag.")
        if before == "":
            # What templates make of null.
            before = None
        if before is not None:
            check_digest(before, "digest_before")
        given.append(check_digest(entry["digest"]))
        moves.append(Move(Target(clients, reference), before))
    check_unique(move.target.reference for move in moves)
    sought = [Sought(move.target.repository, move.target.reference) for move in moves]
    for move, descriptor in zip(moves, look_up(sought, clients.concurrency)):
        move.note_before(descriptor)
    problems: list[RegistryError] = []
    for move, digest in zip(moves, given):
        if move.target.before not in (digest, move.digest):
            problems.append(
                Refused(
                    f"{move.target.reference} is {move.target.before or ABSENT}, not {digest} as the promotion left it:"
                    " nothing was changed."
                )
            )
    back = [
        Sought(move.target.repository, replace(move.target.reference, digest=move.digest))
        for move in moves
        if move.due and move.digest
    ]
    for image, descriptor in zip(back, look_up(back, clients.concurrency)):
        if descriptor is None:
            problems.append(
                NotFound(
                    f"The registry does not have {image.reference} any more: nothing was changed.", status=404
                )
            )
    _raise_all(problems)
    return moves


def _raise_all(problems: t.Sequence[RegistryError]) -> None:
    """Raise the first of ``problems`` with the sentences of all."""
    if problems:
        raise problems[0].replace_message(" ".join(dict.fromkeys(str(problem) for problem in problems)))


def carry_out(
    destination: RegistryClients, moves: t.Sequence[Move], check_mode: bool, along: Along
) -> Delivery:
    """Store what ``moves`` need, then move all tags or none; ``target.after`` of each tells what it is then.

    The error of a failure has the outcome() in ``result``, and its sentence says whether anything could not be put back.
    """
    try:
        delivery = _store(moves, check_mode, along)
        if not check_mode:
            _Transaction(moves, destination.concurrency).run(stored=delivery.wrote)
    except RegistryError as error:
        error.add_result(outcome(moves))
        raise
    for move in moves:
        move.target.after = move.digest
    return delivery


def _store(moves: t.Sequence[Move], check_mode: bool, along: Along) -> Delivery:
    """Store contents in the repositories of the targets by digest: no tag shows anything of it yet."""
    images: dict[Reference, Image] = {}
    for move in moves:
        source = move.source
        if not source or not source.descriptor or not move.digest:
            continue
        place = replace(move.target.reference, tag=None, digest=move.digest)
        root = source.manifest or source.descriptor
        image = Image(
            str(source.reference),
            root,
            move.digest,
            [Target(move.target.clients, place, before=None if move.due else move.digest)],
            source.repository,
            functools.partial(along.find, source.repository, root) if along else None,
        )
        if not image.is_in(move.target.repository):
            images.setdefault(place, image)
    try:
        delivery = send(list(images.values()), check_mode=check_mode, include_foreign=False)
    except RegistryError as error:
        error.add_sentence("No tag had moved.")
        raise
    for move in moves:
        sent = images.get(replace(move.target.reference, tag=None, digest=move.digest))
        move.target.repaired = not move.due and sent is not None and sent.targets[0].repaired
    return delivery


class _Transaction:
    """Moves the tags of all ``moves`` that are due, or none of them."""

    def __init__(self, moves: t.Sequence[Move], concurrency: int) -> None:
        self._moves = [move for move in moves if move.due]
        self._concurrency = concurrency
        self._former_images = FormerImages([move.target for move in self._moves])
        # By their digests, what tags get and what they had.
        self._contents: dict[str, Manifest] = {
            move.source.manifest.digest: move.source.manifest
            for move in self._moves
            if move.source and move.source.manifest
        }

    def run(self, stored: bool) -> None:
        """Move the tags and verify it; ``target.after`` of each move tells what it has then.

        ``stored`` tells that contents were stored after the tags were looked up, which may have taken long. Whatever a
        roll-back may need is read first. After a failure those tags that had moved are put back, and the error that is
        raised says how that ended.
        """
        self._read_contents()
        if stored:
            self._map(self._check_unmoved, self._moves)
        try:
            # What cannot be removed shows before anything else has moved, and a removed tag is easily put back.
            self._remove([move for move in self._moves if move.digest is None])
            self._map(self._put, [move for move in self._moves if move.digest])
            self._verify()
        except RegistryError as error:
            error.add_sentence(self._roll_back())
            raise
        except KeyboardInterrupt as error:
            raise RegistryError(f"The task was interrupted. {self._roll_back()}") from error
        self._former_images.put_back()

    def _map(self, function: t.Callable[[Move], t.Any], moves: t.Sequence[Move]) -> list[t.Any]:
        return map_concurrent(function, moves, self._concurrency)

    def _read_contents(self) -> None:
        self._contents.update(self._former_images.read())
        needed: dict[str, Repository] = {}
        for move in self._moves:
            # Reads of what was stored a moment ago may lag behind.
            origin = move.source.repository if move.source else move.target.repository
            for digest, repository in ((move.target.before, move.target.repository), (move.digest, origin)):
                if digest and digest not in self._contents:
                    needed.setdefault(digest, repository)
        manifests = map_concurrent(lambda item: item[1].manifest(item[0]), needed.items(), self._concurrency)
        self._contents.update(zip(needed, manifests))

    def _check_unmoved(self, move: Move) -> None:
        """Raise Refused where a tag moved since it was looked up."""
        now = move.target.look()
        if now != move.target.before:
            raise Refused(
                f"{move.target.reference} moved from {move.target.before or ABSENT} to {now or ABSENT} meanwhile: no tag"
                " was moved."
            )
        move.looked_at = time.monotonic()

    def _put(self, move: Move) -> None:
        digest = t.cast(str, move.digest)

        def guard() -> None:
            # A look that was right before this one need not be taken twice.
            fresh = not move.target.is_conditional and time.monotonic() - move.looked_at < _FRESH
            if move.target.write is not Write.NONE or not fresh:
                move.target.check_unmoved(digest)

        move.target.put(self._contents[digest], guard)

    def _remove(self, moves: t.Sequence[Move]) -> None:
        """Remove tags, unless they have other digests than those that they have before or after a move."""
        for key in dict.fromkeys(move.repository for move in moves):
            group = {move.target.reference.target: move for move in moves if move.repository == key}
            repository = next(iter(group.values())).target.repository
            remover = TagRemover(
                repository, read_tags(repository, group), next(iter(group.values())).target.clients.warn
            )
            removals = remover.plan(group)
            for removal in removals:
                move = group[removal.tag]
                if removal.digest not in (move.target.before, move.digest):
                    raise Refused(
                        f"{move.target.reference} moved to {removal.digest} meanwhile, and is left alone."
                    )
            for move in group.values():
                move.target.write = Write.BEGUN
            remover.remove(removals)
            for move in group.values():
                move.target.write = Write.STORED

    def _verify(self) -> None:
        """See that tags are what they were made to be: reads may lag behind writes for a moment."""
        for move in self._settle(self._moves, lambda move: move.digest):
            raise ProtocolError(
                f"{move.target.reference} is {move.target.after or ABSENT} right after it became"
                f" {move.digest or ABSENT}: something else moves it, or the registry does not keep what is written."
            )

    def _settle(self, moves: t.Sequence[Move], expected: t.Callable[[Move], str | None]) -> list[Move]:
        """Look at tags until they are what is expected, and return those that are not after all looks.

        A tag that is neither what it was nor what it was to become is not waited for.
        """

        left = list(moves)
        for _look in poll():
            self._map(self._look, left)
            left = [move for move in left if move.target.after != expected(move)]
            if all(self._is_foreign(move) for move in left):
                break
        return left

    @staticmethod
    def _is_foreign(move: Move) -> bool:
        """Tell whether the tag was last seen with a digest that it does not have from here."""
        return move.target.after not in (move.target.before, move.digest)

    # After a failure

    def _roll_back(self) -> str:
        """Put back all tags that have moved, as far as that can be done, and say how it ended.

        Whether a tag moved is what the registry said of its write; where that is not known, what it says of the tag now.
        """
        sent = [move for move in self._moves if move.target.write is not Write.NONE]
        for move in sent:
            move.target.after = move.digest
        looked_at = self._try(self._look_after_failure, sent, "may have moved, which could not be looked up")
        moved = [
            move
            for move in looked_at
            if move.target.write is Write.STORED or move.target.after == move.digest
        ]
        if moved:
            # Registries may take an index only with all that is in it.
            self._former_images.put_back()
        back = self._try(
            self._put_back, [move for move in moved if move.target.before], "could not be put back"
        )
        made = [move for move in moved if not move.target.before]
        for repository in dict.fromkeys(move.repository for move in made):
            back += self._unmake([move for move in made if move.repository == repository])
        self._try(self._verify_back, back, "was put back, which could not be verified")
        lost = [f"{move.target.reference} {move.message}" for move in self._moves if move.message]
        if lost:
            return f"Not every tag is what it was before: {' '.join(lost)}"
        return "All tags that had moved were put back and verified." if moved else "No tag had moved."

    def _try(self, step: t.Callable[[Move], None], moves: t.Sequence[Move], otherwise: str) -> list[Move]:
        """Take a step of the roll-back for each of ``moves``, and return those for which it succeeded."""

        def attempt(move: Move) -> None:
            try:
                step(move)
            except RegistryError as error:
                move.message = f"{otherwise} ({move.target.before or ABSENT} before): {error}"

        self._map(attempt, moves)
        return [move for move in moves if not move.message]

    def _look_after_failure(self, move: Move) -> None:
        """Look what a tag is whose write was begun. Where it may have been carried out, reads that lag are waited for."""
        for _look in poll():
            move.target.after = move.target.look()
            if move.target.write is not Write.BEGUN or move.target.after != move.target.before:
                break
        if self._is_foreign(move):
            move.message = (
                f"was moved to {move.target.after or ABSENT} by something else meanwhile, and is left alone."
            )

    def _put_back(self, move: Move) -> None:
        before = t.cast(str, move.target.before)

        def guard() -> None:
            now = move.target.look()
            if now not in (before, move.digest):
                raise Refused(f"it was moved to {now or ABSENT} by something else meanwhile.")

        move.target.repository.put(move.target.reference.target, self._contents[before], guard)

    def _unmake(self, moves: t.Sequence[Move]) -> list[Move]:
        """Remove tags of one repository that did not exist before, and return those that are gone."""
        try:
            # A tag that reads do not show yet would appear later.
            self._settle(moves, lambda move: move.digest)
            self._remove(moves)
        except RegistryError as error:
            for move in self._try(self._look, moves, "may still exist, which could not be looked up"):
                if move.target.after:
                    move.message = f"did not exist before, and could not be removed: {error}"
        return [move for move in moves if not move.message]

    def _look(self, move: Move) -> None:
        move.target.after = move.target.look()

    def _verify_back(self, move: Move) -> None:
        """See that a tag is what it was."""
        for _left in poll():
            self._look(move)
            if move.target.after != move.digest:
                break
        move.rolled_back = move.target.after == move.target.before
        if not move.rolled_back:
            move.message = f"is {move.target.after or ABSENT} although it was put back to {move.target.before or ABSENT}."

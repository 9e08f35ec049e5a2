# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Tags of several images moved as one transaction: all conditions are checked and all contents stored first, then either
all tags move or none does. To undo that is the same transaction in the other direction.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from .._deletion.tags import Remover
from .._errors import InvalidInput, NotFound, ProtocolError, Refused, RegistryError, Unsupported
from .._oci.content import SCHEMA1_TYPES, Descriptor, Manifest
from .._oci.reference import Reference, check_digest
from .._parallel import map_concurrent
from .._registry.client import RegistryClient
from .._registry.connection import RegistryClients
from .._registry.images import require
from .._registry.repository import Repository
from .deliver import Delivery, Image, deliver
from .tagging import ABSENT, Target, check_targets, condition


@dataclass
class Move:
    """One tag and the digest that it is to have, None where it is to be gone; and what became of it.

    ``source`` is the image that it gets. ``trouble`` says why it could not be put back after a failure.
    """

    target: Target
    wanted: str | None = None
    source: Reference | None = None
    rolled_back: bool = False
    trouble: str | None = None

    @property
    def due(self) -> bool:
        """Whether the tag does not have yet what it is to have."""
        return self.target.before != self.wanted

    @property
    def repository(self) -> tuple[str, str]:
        return self.target.reference.registry, self.target.reference.repository

    def to_dict(self) -> dict[str, t.Any]:
        return {
            **self.target.to_dict(),
            "source": str(self.source) if self.source else None,
            "rolled_back": self.rolled_back,
            "message": self.trouble,
        }


def outcome(moves: t.Sequence[Move]) -> dict[str, t.Any]:
    """Return the part of a result that tells what became of all tags, and how to undo it."""
    changed = [move.target for move in moves if move.target.changed]
    return {
        "changed": bool(changed),
        "targets": [move.to_dict() for move in moves],
        "previous": [
            {"image": str(target.reference), "digest_before": target.before, "digest": target.after}
            for target in changed
        ],
    }


def read_promotion(
    here: RegistryClients, there: RegistryClients, images: t.Sequence[t.Mapping[str, t.Any]]
) -> list[Move]:
    """Return the moves that ``images`` ask for; sources are read through ``here``, targets through ``there``.

    A HEAD for each source and target. Raises NotFound, Refused and Unsupported, with all that stands in the way.
    """
    if not images:
        raise InvalidInput("No image is named in images.")
    moves: list[Move] = []
    conditions: list[tuple[Reference, str | None]] = []
    for entry in images:
        source, expected = here.reference(entry["image"]), entry["expected_digest"]
        if not entry["to"]:
            raise InvalidInput(f"No target is named for {source}: set to.")
        if expected:
            check_digest(expected, "expected_digest")
        for to in entry["to"]:
            target = Target(_target(there, to, source), condition(entry["if_digest"]))
            moves.append(Move(target, None, source))
            conditions.append((source, expected))
    _check_unique(moves)
    sources = list(dict.fromkeys(source for source, _expected in conditions))
    looked_up = [(here, source) for source in sources] + [(there, move.target.reference) for move in moves]
    found = map_concurrent(lambda one: _resolve(*one), looked_up, there.concurrency)
    by_source = dict(zip(sources, found))
    problems: list[RegistryError] = []
    for move, (source, expected), now in zip(moves, conditions, found[len(sources) :]):
        problems += _problems(move, by_source[source], now, expected)
    _raise_all(problems)
    return moves


def _target(clients: RegistryClients, text: str, source: Reference) -> Reference:
    reference = clients.reference(text)
    if not reference.tag and source.tag:
        reference = replace(reference, tag=source.tag)
    if reference.digest or not reference.tag:
        raise InvalidInput(f"{reference} cannot be a target: write repository:tag, without a digest.")
    return reference


def _check_unique(moves: t.Sequence[Move]) -> None:
    seen = set()
    for reference in (move.target.reference for move in moves):
        if reference in seen:
            raise InvalidInput(f"{reference} is named twice as a target.")
        seen.add(reference)


def _problems(
    move: Move, source: Descriptor | None, now: Descriptor | None, expected: str | None
) -> t.Iterator[RegistryError]:
    """Note what the target of ``move`` has and is to have, and yield what stands against the move."""
    target = move.target
    target.before = target.after = now.digest if now else None
    try:
        move.wanted = require(move.source, source, None, "nothing was changed").digest
    except NotFound as error:
        yield error
        return
    try:
        check_targets(str(move.source), move.wanted, [target], expected, True)
    except RegistryError as error:
        yield error
    for image, one in ((move.source, source), (target.reference, now)) if move.due else ():
        if one and one.media_type in SCHEMA1_TYPES:
            yield Unsupported(
                f"{image} is a schema 1 image, which registries do not take again, so it could not be put back after"
                " a failure: nothing was changed. Push it anew."
            )


def read_undo(clients: RegistryClients, entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Move]:
    """Return the moves that take a promotion back, whose ``previous`` is ``entries``.

    A HEAD for each tag, and for each manifest that comes back. Raises like read_promotion().
    """
    moves, given = [], []
    for entry in entries:
        reference, before = clients.reference(entry["image"]), entry["digest_before"] or None
        if reference.digest or not reference.tag:
            raise InvalidInput(f"{reference} cannot be undone: write repository:tag, without a digest.")
        if before is not None:
            check_digest(before, "digest_before")
        given.append(check_digest(entry["digest"]))
        moves.append(Move(Target(reference), before))
    _check_unique(moves)
    found = map_concurrent(lambda move: _resolve(clients, move.target.reference), moves, clients.concurrency)
    problems: list[RegistryError] = []
    for move, digest, now in zip(moves, given, found):
        target = move.target
        target.before = target.after = now.digest if now else None
        if target.before not in (digest, move.wanted):
            problems.append(
                Refused(
                    f"{target.reference} is {target.before or ABSENT}, not {digest} as the promotion left it: nothing was"
                    " changed."
                )
            )
    back = [replace(move.target.reference, digest=move.wanted) for move in moves if move.due and move.wanted]
    for reference, there in zip(
        back, map_concurrent(lambda one: _resolve(clients, one), back, clients.concurrency)
    ):
        if there is None:
            problems.append(
                NotFound(f"The registry does not have {reference} any more: nothing was changed.", status=404)
            )
    _raise_all(problems)
    return moves


def _resolve(clients: RegistryClients, reference: Reference) -> Descriptor | None:
    return clients.client(reference).resolve(reference.repository, reference.target)


def _raise_all(problems: t.Sequence[RegistryError]) -> None:
    """Raise the first of ``problems`` with the sentences of all."""
    if problems:
        problems[0].args = (" ".join(dict.fromkeys(str(problem) for problem in problems)),)
        raise problems[0]


def carry_out(
    here: RegistryClients, there: RegistryClients, moves: t.Sequence[Move], check_mode: bool
) -> Delivery:
    """Store what ``moves`` need, then move all tags or none; ``target.after`` of each tells what it is then.

    The error of a failure has the outcome() in ``result``, and its sentence says whether anything could not be put back.
    """
    try:
        delivery = _store(here, there, moves, check_mode)
        if not check_mode:
            _Transaction(there, moves).run()
    except RegistryError as error:
        error.result = outcome(moves)
        raise
    for move in moves:
        move.target.after = move.wanted
    return delivery


def _store(
    here: RegistryClients, there: RegistryClients, moves: t.Sequence[Move], check_mode: bool
) -> Delivery:
    """Store contents in the repositories of the targets by digest: no tag shows anything of it yet."""
    images: dict[Reference, Image] = {}
    for move in moves:
        if not move.due or not move.source or not move.wanted:
            continue
        source = Repository(here.client(move.source), move.source.repository)
        place = replace(move.target.reference, tag=None, digest=move.wanted)
        same_registry = source.client.endpoint.address == there.client(place).endpoint.address
        if same_registry and source.name == place.repository:
            continue
        fetch = _fetching(source.client, source.name, move.wanted)
        images[place] = Image(str(move.source), move.wanted, move.wanted, [Target(place)], source, fetch)
    try:
        return deliver(
            list(images.values()),
            there,
            overwrite=True,
            check_mode=check_mode,
            include_foreign=False,
        )
    except RegistryError as error:
        error.args = (f"{error} No tag had moved.",)
        raise


def _fetching(client: RegistryClient, repository: str, digest: str) -> t.Callable[[], Manifest]:
    return lambda: client.manifest(repository, digest)


class _Transaction:
    """Moves the tags of all ``moves`` that are due, or none of them."""

    def __init__(self, clients: RegistryClients, moves: t.Sequence[Move]) -> None:
        self._connection = clients
        self._moves = [move for move in moves if move.due]
        self._contents: dict[tuple[str, str, str], Manifest] = {}

    def run(self) -> None:
        """Move the tags and verify it; ``target.after`` of each move tells what it has then.

        Whatever a roll-back may need is read first. After a failure those tags that had moved are put back, and the
        error that is raised says how that ended.
        """
        self._read_contents()
        self._check_unmoved()
        try:
            # What cannot be removed shows before anything else has moved, and a removed tag is easily put back.
            self._remove([move for move in self._moves if move.wanted is None])
            self._each(
                lambda move: self._put(move, move.wanted), [move for move in self._moves if move.wanted]
            )
            self._verify()
        except RegistryError as error:
            error.args = (f"{error} {self._roll_back()}",)
            raise
        except KeyboardInterrupt as error:
            raise RegistryError(f"The task was interrupted. {self._roll_back()}") from error

    def _each(self, function: t.Callable[[Move], t.Any], moves: t.Sequence[Move]) -> list[t.Any]:
        return map_concurrent(function, moves, self._connection.concurrency)

    def _client(self, move: Move) -> RegistryClient:
        return self._connection.client(move.target.reference)

    def _now(self, move: Move) -> str | None:
        found = _resolve(self._connection, move.target.reference)
        return found.digest if found else None

    def _read_contents(self) -> None:
        keys = {
            (*move.repository, digest): self._client(move)
            for move in self._moves
            for digest in (move.target.before, move.wanted)
            if digest
        }
        manifests = map_concurrent(
            lambda item: item[1].manifest(item[0][1], item[0][2]), keys.items(), self._connection.concurrency
        )
        self._contents = dict(zip(keys, manifests))

    def _check_unmoved(self) -> None:
        """See that no tag moved while contents were copied."""
        for move, now in zip(self._moves, self._each(self._now, self._moves)):
            if now != move.target.before:
                raise Refused(
                    f"{move.target.reference} moved from {move.target.before or ABSENT} to {now or ABSENT} meanwhile: no"
                    " tag was moved."
                )

    def _put(self, move: Move, digest: str | None) -> None:
        if digest:
            reference = move.target.reference
            manifest = self._contents[(*move.repository, digest)]
            self._client(move).put_manifest(reference.repository, reference.target, manifest)

    def _remove(self, moves: t.Sequence[Move]) -> None:
        """Remove tags, unless they have other digests than those that they have before or after a move."""
        for repository in dict.fromkeys(move.repository for move in moves):
            group = {move.target.reference.target: move for move in moves if move.repository == repository}
            client, path = self._client(next(iter(group.values()))), repository[1]
            page = client.tags(path)
            names = sorted(set(page.names if page else ()) | set(group))
            remover = Remover.of(client, path, names, self._connection.concurrency)
            removals = remover.plan(group)
            for removal in removals:
                move = group[removal.tag]
                if removal.digest not in (move.target.before, move.wanted):
                    raise Refused(
                        f"{move.target.reference} moved to {removal.digest} meanwhile, and is left alone."
                    )
            remover.remove(removals)

    def _verify(self) -> None:
        for move, now in zip(self._moves, self._each(self._now, self._moves)):
            move.target.after = now
            if now != move.wanted:
                raise ProtocolError(
                    f"{move.target.reference} is {now or ABSENT} right after it became {move.wanted or ABSENT}: something"
                    " else moves it, or the registry does not keep what is written."
                )

    def _roll_back(self) -> str:
        """Put back all tags that have moved, as far as that can be done, and say how it ended.

        Whether a tag moved is what the registry says now: a write that failed may have been carried out all the same.
        """
        for move in self._moves:
            move.target.after = move.wanted
        looked_at = self._try(self._look, self._moves, "may have moved, which could not be looked up")
        moved = [move for move in looked_at if move.target.after == move.wanted]
        back = self._try(
            lambda move: self._put(move, move.target.before),
            [move for move in moved if move.target.before],
            "could not be put back",
        )
        made = [move for move in moved if not move.target.before]
        for repository in dict.fromkeys(move.repository for move in made):
            back += self._unmake([move for move in made if move.repository == repository])
        self._try(self._check_back, back, "was put back, which could not be verified")
        lost = [f"{move.target.reference} {move.trouble}" for move in self._moves if move.trouble]
        if lost:
            return f"Not every tag is what it was before: {' '.join(lost)}"
        return "All tags that had moved were put back and verified." if moved else "No tag had moved."

    def _try(self, step: t.Callable[[Move], None], moves: t.Sequence[Move], otherwise: str) -> list[Move]:
        """Take a step of the roll-back for each of ``moves``, and return those for which it succeeded."""

        def attempt(move: Move) -> None:
            try:
                step(move)
            except RegistryError as error:
                move.trouble = f"{otherwise} ({move.target.before or ABSENT} before): {error}"

        self._each(attempt, moves)
        return [move for move in moves if not move.trouble]

    def _unmake(self, moves: t.Sequence[Move]) -> list[Move]:
        """Remove tags of one repository that did not exist before, and return those that are gone."""
        try:
            self._remove(moves)
        except RegistryError as error:
            for move in self._try(self._look, moves, "may still exist, which could not be looked up"):
                if move.target.after:
                    move.trouble = f"did not exist before, and could not be removed: {error}"
        return [move for move in moves if not move.trouble]

    def _look(self, move: Move) -> None:
        move.target.after = now = self._now(move)
        if now not in (move.target.before, move.wanted):
            move.trouble = f"was moved to {now or ABSENT} by something else meanwhile, and is left alone."

    def _check_back(self, move: Move) -> None:
        move.target.after = now = self._now(move)
        move.rolled_back = now == move.target.before
        if not move.rolled_back:
            move.trouble = f"is {now or ABSENT} although it was put back to {move.target.before or ABSENT}."

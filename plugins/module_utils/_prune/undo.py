# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Undo files: what runs have deleted, written before they deleted it, and put back from there."""

from __future__ import annotations

import base64
import os
import secrets
import time
import typing as t
from dataclasses import dataclass, field, replace

from .._errors import (
    DigestMismatch,
    InvalidInput,
    ProtocolError,
    Refused,
    RegistryError,
    Unreachable,
    printable,
)
from .._oci.content import Descriptor, Manifest
from .._oci.graph import parents_first
from .._oci.reference import Reference
from .._registry.repository import Repository
from .._storage.files import replacing, storage_errors, write_all
from .documents import (
    checked,
    checked_digest,
    checked_registry,
    checked_repository,
    checked_tag,
    encode_document,
    read_document,
)

UNDO_FORMAT = "ocikit.registry/prune-undo/1"
# The run of entries that name none: those of earlier versions, and the result ``previous`` written to a file.
FIRST_RUN = "first"
LAST_RUN = "last"

# Registry and repository.
Place = t.Tuple[str, str]


@dataclass(frozen=True)
class UndoEntry:
    """One manifest that is deleted, or that loses ``tags``. ``manifest`` holds its bytes in base64."""

    registry: str
    repository: str
    digest: str
    tags: tuple[str, ...]
    media_type: str
    manifest: str

    @property
    def place(self) -> Place:
        """The registry and the name of the repository."""
        return self.registry, self.repository

    @classmethod
    def from_manifest(
        cls, repository: Repository, manifest: Manifest, digest: str, tags: t.Iterable[str]
    ) -> UndoEntry:
        """Return the entry of ``manifest``, which the registry serves as ``digest``, with the ``tags`` that go."""
        raw = base64.b64encode(manifest.raw).decode("ascii")
        return cls(repository.registry, repository.name, digest, tuple(tags), manifest.media_type, raw)

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> UndoEntry:
        """Read an entry of an undo file, all but the manifest itself. Raises ValueError, KeyError and TypeError."""
        return cls(
            checked_registry(data["registry"]),
            checked_repository(data["repository"]),
            checked_digest(data["digest"]),
            tuple(map(checked_tag, checked(data["tags"], list))),
            checked(data["media_type"], str),
            checked(data["manifest"], str),
        )

    def to_dict(self) -> dict[str, t.Any]:
        """Return the entry as undo files and the result ``previous`` show it."""
        return {
            "registry": self.registry,
            "repository": self.repository,
            "digest": self.digest,
            "tags": list(self.tags),
            "media_type": self.media_type,
            "manifest": self.manifest,
        }

    def original(self) -> Manifest:
        """Return the manifest. Raises InvalidInput where the entry holds something else than its digest says."""
        try:
            return Manifest.parse(
                base64.b64decode(self.manifest, validate=True), self.media_type, self.digest
            )
        except (ValueError, DigestMismatch, ProtocolError) as error:
            raise InvalidInput(
                f"The file holds something else than the manifest {self.digest}: {error}"
            ) from None


@dataclass
class Run:
    """What one run has deleted, or was about to. ``pending`` are the repositories that it did not finish."""

    name: str
    entries: dict[tuple[str, str, str], UndoEntry] = field(default_factory=dict)
    pending: set[Place] = field(default_factory=set)

    @property
    def finished(self) -> bool:
        """Whether the run finished all its repositories."""
        return not self.pending

    def add(self, entries: t.Iterable[UndoEntry]) -> None:
        """Add entries; the tags of those that the run has already are joined."""
        for entry in entries:
            key = (*entry.place, entry.digest)
            known = self.entries.get(key)
            tags = {*entry.tags, *(known.tags if known else ())}
            self.entries[key] = replace(entry, tags=tuple(sorted(tags)))


class UndoFile:
    """What ``restore`` needs, written before anything is deleted: each run adds what it deletes to those before.

    Tasks at the same time may share a file: each writes its own run, and leaves those of the others as they are.
    """

    def __init__(self, path: str, days: int | None = None) -> None:
        """Read the file, if it exists. Runs that finished more than ``days`` ago are dropped when it is written.

        Raises InvalidInput where ``path`` is a file of another kind.
        """
        self._path = path
        self._runs = self._read()
        now = time.time()
        self._run = Run(f"{_started(now)}-{secrets.token_hex(3)}")
        # The names of runs begin with their times, so that they can be compared.
        self._oldest = None if days is None else _started(now - days * 86400)
        self._done: set[Place] = set()

    @property
    def run_name(self) -> str:
        """The name of this run, for ``restore_run``."""
        return self._run.name

    @property
    def has_entries(self) -> bool:
        """Whether this run has written anything that can be put back."""
        return bool(self._run.entries)

    def unfinished(self, place: Place) -> list[str]:
        """Return the digests of a repository that runs which were stopped have left to be deleted."""
        left = [run for run in self._runs if place in run.pending]
        return list(
            dict.fromkeys(
                entry.digest for run in left for entry in run.entries.values() if entry.place == place
            )
        )

    def begin(self, place: Place, entries: t.Iterable[UndoEntry]) -> None:
        """Write what undoes the prune of a repository, which is about to begin. Raises LocalStorageError."""
        self._run.add(entries)
        self._run.pending.add(place)
        self._write()

    def finish(self, place: Place, before: bool) -> None:
        """Take a repository for done by this run, and by those ``before`` it. close() writes that."""
        self._run.pending.discard(place)
        if before:
            self._done.add(place)

    def close(self) -> None:
        """Write what was finished, where the file does not say so yet. Raises LocalStorageError."""
        if self._run.entries or any(run.pending & self._done for run in self._runs):
            self._write()

    def _read(self) -> list[Run]:
        with storage_errors(self._path):
            return read_runs(self._path) if os.path.exists(self._path) else []

    def _write(self) -> None:
        with storage_errors(self._path), replacing(self._path) as file:
            # Only one task at a time gets here, and may have added its run since.
            self._runs = [run for run in self._read() if run.name != self._run.name]
            for run in self._runs:
                run.pending -= self._done
            self._runs = [run for run in self._runs if not self._is_outdated(run)]
            runs = [*self._runs, self._run] if self._run.entries else self._runs
            write_all(file, encode_document(UNDO_FORMAT, _document(runs)))

    def _is_outdated(self, run: Run) -> bool:
        dated = run.name[:1].isdigit()
        return self._oldest is not None and dated and run.finished and run.name < self._oldest


def _started(time_of_run: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time_of_run))


def read_runs(path: str) -> list[Run]:
    """Return the runs in an undo file, the oldest first. Raises InvalidInput and LocalStorageError."""
    return read_document(path, {UNDO_FORMAT: _parse})


def choose_runs(runs: t.Sequence[Run], name: str | None) -> list[Run]:
    """Return the runs to restore: all, the one called ``name``, or with ``last`` the newest. Raises InvalidInput."""
    if name is None:
        return list(runs)
    chosen = runs[-1:] if name == LAST_RUN else [run for run in runs if run.name == name]
    if not chosen:
        names = ", ".join(run.name for run in runs[-10:])
        raise InvalidInput(
            f"The undo file has no run {printable(name)!r}: its newest are {names}."
            if names
            else "The undo file has no runs."
        )
    return list(chosen)


def _document(runs: t.Sequence[Run]) -> dict[str, t.Any]:
    return {
        "finished": all(run.finished for run in runs),
        "runs": [
            {"run": run.name, "pending": [list(place) for place in sorted(run.pending)]} for run in runs
        ],
        "images": [{"run": run.name, **entry.to_dict()} for run in runs for entry in run.entries.values()],
    }


def _parse(document: t.Mapping[str, t.Any]) -> list[Run]:
    runs: dict[str, Run] = {}
    for data in checked(document.get("runs", []), list):
        run = runs.setdefault(checked(data["run"], str), Run(data["run"]))
        for place in checked(data["pending"], list):
            registry, repository = checked(place, list)
            run.pending.add((checked_registry(registry), checked_repository(repository)))
    for data in checked(document["images"], list):
        name = checked(data.get("run", FIRST_RUN), str)
        runs.setdefault(name, Run(name)).add([UndoEntry.from_dict(data)])
    if "runs" not in document and not document.get("finished", True):
        for run in runs.values():
            run.pending = {entry.place for entry in run.entries.values()}
    return list(runs.values())


class Restored(t.NamedTuple):
    """What became of one tag or digest: ``restored``, ``unchanged``, ``moved``, ``lost`` or ``failed``, and why."""

    image: str
    digest: str
    outcome: str
    why: str | None

    @property
    def failed(self) -> bool:
        """Whether it could not be put back."""
        return self.outcome in ("lost", "failed")

    def to_dict(self) -> dict[str, t.Any]:
        """Return it as results show it."""
        return self._asdict()


def restore(
    repository_of: t.Callable[[Reference], Repository], runs: t.Sequence[Run], check_mode: bool
) -> t.Iterator[Restored]:
    """Put manifests and tags back that are missing, needed ones first. A tag that exists is left as it is.

    Of a tag that several of ``runs`` have deleted, the newest image is put back. Yields what became of each tag and of
    each digest without one: it is ``moved`` where the tag is something else now, and ``lost`` where the registry has
    collected a part of it. Raises Unreachable, and InvalidInput before anything is written.
    """
    entries, superseded = _merged(runs)
    originals = {digest: entry.original() for (_registry, _repository, digest), entry in entries.items()}
    needs = {digest: [child.digest for child in manifest.children] for digest, manifest in originals.items()}
    position = {digest: number for number, digest in enumerate(reversed(parents_first(needs)))}
    # In check mode what would have been restored by then counts as being there.
    restored: set[tuple[str, str, str]] = set()
    for key, entry in sorted(entries.items(), key=lambda item: position[item[1].digest]):
        repository, manifest = repository_of(Reference(*entry.place)), originals[entry.digest]
        present = repository.resolve(manifest.digest) is not None
        missing = None if present else _missing_part(repository, manifest, restored)
        for tag in entry.tags or [None]:
            outcome, why = _restore_one(repository, manifest, tag, present, missing, check_mode)
            if outcome == "restored":
                restored.add(key)
            yield Restored(repository.image(tag or manifest.digest), manifest.digest, outcome, why)
    yield from superseded


def _merged(
    runs: t.Sequence[Run],
) -> tuple[dict[tuple[str, str, str], UndoEntry], list[Restored]]:
    """Return the entries of all runs, each tag in the newest that has it, and what that leaves out."""
    entries: dict[tuple[str, str, str], UndoEntry] = {}
    newest: dict[tuple[str, str, str], str] = {}
    superseded = []
    for run in reversed(runs):
        for key, entry in run.entries.items():
            tags = []
            for tag in entry.tags:
                digest = newest.setdefault((*entry.place, tag), entry.digest)
                if digest == entry.digest:
                    tags.append(tag)
                else:
                    image = f"{entry.registry}/{entry.repository}:{tag}"
                    why = (
                        f"a later run deleted it as {digest}: to put this one back, choose the run {run.name}"
                    )
                    superseded.append(Restored(image, entry.digest, "moved", why))
            known = entries.get(key)
            entries[key] = replace(entry, tags=tuple(sorted({*tags, *(known.tags if known else ())})))
    return entries, superseded


def _restore_one(
    repository: Repository,
    manifest: Manifest,
    tag: str | None,
    present: bool,
    missing: str | None,
    check_mode: bool,
) -> tuple[str, str | None]:
    existing = repository.resolve(tag) if tag else None
    if existing and existing.digest != manifest.digest:
        return "moved", f"it is {existing.digest} now"
    if existing or (tag is None and present):
        return "unchanged", None
    if missing:
        return "lost", f"the registry has collected {missing}, which is a part of it"
    if manifest.is_schema1:
        return "failed", "it is a schema 1 image, which registries do not take back"
    if not check_mode:
        try:
            repository.put(tag or manifest.digest, manifest, _still_absent(repository, tag))
        except Unreachable:
            raise
        except Refused as error:
            return "moved", str(error)
        except RegistryError as error:
            return "failed", str(error)
    return "restored", None


def _still_absent(repository: Repository, tag: str | None) -> t.Callable[[], None] | None:
    """Return a guard that keeps a tag as it is which somebody has pushed meanwhile."""
    if tag is None:
        return None

    def check() -> None:
        existing = repository.resolve(tag)
        if existing:
            raise Refused(f"it is {existing.digest} now")

    return check


def _missing_part(
    repository: Repository, manifest: Manifest, restored: t.Container[tuple[str, str, str]]
) -> str | None:
    """Return a blob or child that the registry does not have any more, or None. Foreign layers were never there."""

    def has(part: Descriptor) -> bool:
        if part.is_manifest:
            known = (repository.registry, repository.name, part.digest) in restored
            return known or repository.resolve(part.digest) is not None
        return part.is_foreign or repository.has_blob(part.digest)

    parts = manifest.successors()
    return next((part.digest for part, exists in zip(parts, repository.map(has, parts)) if not exists), None)

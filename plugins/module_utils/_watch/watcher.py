# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Looks at watched tags again and again, and tells what changed. It blocks, and knows nothing of asyncio."""

from __future__ import annotations

import logging
import threading
import time
import typing as t

from .._errors import InvalidInput, RateLimited, RegistryError, Unreachable, printable
from .._http.library_versions import missing_library
from .._http.rate_limits import RateLimit
from .._http.transport import REQUESTS_IMPORT_ERROR
from .._oci.reference import is_tag
from .._parallel import map_concurrent
from .._registry.connection import Events, RegistryClients
from .._registry.repository import Repository
from .._registry.shared_clients import SharedClients
from .changes import Snapshot, WatchedTags, compare
from .options import read_options
from .schedule import Schedule
from .state_file import StateFile

LOGGER = logging.getLogger("ocikit.registry.registry_watch")
LIBRARY_LOGGER = logging.getLogger("urllib3")
# Each of them takes a request in each look.
_MOST_TAGS = 10000
_MOST_SHOWN = 3


class _Skipped(RegistryError):
    """A tag was not read, as the requests before it have shown that the registry does not answer now."""


class _LoggedEvents(Events):
    """Writes warnings and requests of one look to the log, without secrets; a warning that was ``shown`` before once only."""

    def __init__(self, shown: set[str]) -> None:
        super().__init__(keeps_lines=LOGGER.isEnabledFor(logging.DEBUG))
        self._shown = shown

    def warn(self, text: str) -> None:
        masked = self.secrets.mask(text)
        if masked not in self._shown:
            LOGGER.warning(masked)
        if len(self._shown) < _MOST_TAGS:
            self._shown.add(masked)

    def log(self, line: str) -> None:
        LOGGER.debug(self.secrets.mask(line))


class _Look:
    """One look at the tags of one repository, and what failed in it."""

    def __init__(
        self, repository: Repository, tags: WatchedTags, known: Snapshot, stopped: threading.Event
    ) -> None:
        self._repository = repository
        self._tags = tags
        self._known = known
        self._stopped = stopped
        self._silent = False
        self.errors: list[RegistryError] = []
        self.requests = 0

    def snapshot(self) -> Snapshot:
        """Return what is seen now; what cannot be read is left out, and among ``errors``."""
        listed = self._listed() if self._tags.patterns else frozenset()
        known = {tag for tag in (*self._known.digests, *self._known.unread) if self._tags.match(tag)}
        names = sorted(self._tags.names | known | (listed or frozenset()))
        answers = map_concurrent(self._read, names, self._repository.concurrency, returned=RegistryError)
        digests = {}
        for tag, answer in zip(names, answers):
            if not isinstance(answer, RegistryError):
                digests[tag] = answer
            elif not isinstance(answer, _Skipped):
                self.errors.append(answer)
        self.requests += len(names)
        if listed is None:
            return Snapshot(digests)
        return Snapshot(digests, frozenset(listed - set(digests)), self._tags.patterns)

    @property
    def failed(self) -> bool:
        """Whether nothing could be read, or the registry asks for a pause or does not answer."""
        paused = any(isinstance(error, (RateLimited, Unreachable)) for error in self.errors)
        return bool(self.errors) and (paused or len(self.errors) >= self.requests)

    def _listed(self) -> frozenset[str] | None:
        """Return the tags in the registry's list that are watched, None where it cannot be read."""
        self.requests += 1
        try:
            names = [name for name in self._repository.tag_names() if is_tag(name) and self._tags.match(name)]
            if len(names) > _MOST_TAGS:
                raise InvalidInput(
                    f"tags matches {len(names)} tags of {self._repository}, and at most {_MOST_TAGS} can be watched: name"
                    " fewer."
                )
        except RegistryError as error:
            self._note(error)
            self.errors.append(error)
            return None
        return frozenset(names)

    def _read(self, tag: str) -> str | None:
        """Return the digest of a tag, None where it is confirmed not to exist."""
        if self._silent or self._stopped.is_set():
            raise _Skipped("The registry does not answer.")
        try:
            descriptor = self._repository.resolve(tag)
            if descriptor:
                return descriptor.digest
            known_absent = tag in self._known.digests and self._known.digests[tag] is None
            if known_absent or not self._repository.client.serves_head:
                return None
            # A HEAD says nothing but 404. The registry's own error has to say it as well before it becomes an event.
            fetched = self._repository.find_manifest(tag)
            return fetched.manifest.digest if fetched else None
        except RegistryError as error:
            self._note(error)
            raise

    def _note(self, error: RegistryError) -> None:
        if isinstance(error, (RateLimited, Unreachable)):
            self._silent = True


class Watcher:
    """Watches tags: look(), hand the events on, commit(), wait for pause() seconds, and again. A context."""

    def __init__(
        self, arguments: t.Mapping[str, t.Any], clock: t.Callable[[], float] = time.monotonic
    ) -> None:
        """``arguments`` are those of the event source. Raises InvalidInput before anything is sent, and LocalStorageError."""
        if REQUESTS_IMPORT_ERROR:
            raise InvalidInput(missing_library())
        # With its level DEBUG, it shows the queries of redirects, which may be signed.
        if LIBRARY_LOGGER.level == logging.NOTSET:
            LIBRARY_LOGGER.setLevel(logging.INFO)
        self._options = read_options(arguments)
        self._clock = clock
        self._warnings: set[str] = set()
        self._shared = SharedClients()
        self._stopped = threading.Event()
        self._begun = False
        self._told: dict[str, frozenset[str]] = {}
        events = _LoggedEvents(self._warnings)
        self._state: StateFile | None = None
        try:
            clients = RegistryClients(self._options.connection, events, shared=self._shared)
            self._references = {
                reference.name: reference for reference in map(clients.repository, self._options.repositories)
            }
            # Credentials for two registries are refused here, and options that no connection can be made with.
            for reference in self._references.values():
                clients.repository_of(reference)
            self._state = StateFile(self._options.state_file) if self._options.state_file else None
            stored = self._state.read() if self._state else {}
        except RegistryError as error:
            self.close()
            raise error.replace_message(events.secrets.mask(str(error))) from None
        self._snapshots = {name: stored.get(name, Snapshot()) for name in self._references}
        self._schedule = Schedule(self._options.interval, self._references)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let a look that is under way end early, and others use the state file."""
        self._stopped.set()
        state, self._state = self._state, None
        if state:
            state.close()

    def look(self) -> list[dict[str, str | None]]:
        """Look at the repositories that are due, and return the events.

        A failure is logged, and leads to no event. Raises InvalidInput in the first look: what the user gave cannot be used.
        """
        due = self._schedule.due(self._clock())
        events = _LoggedEvents(self._warnings)
        emitted: list[dict[str, str | None]] = []
        failures: dict[str, list[RegistryError]] = {}
        try:
            # New clients, so that credentials and certificates are read again, which may have been replaced.
            with RegistryClients(self._options.connection, events, shared=self._shared) as clients:
                repositories = {name: clients.repository_of(self._references[name]) for name in due}
                for name, repository in repositories.items():
                    known = self._snapshots[name]
                    look = _Look(repository, self._options.tags, known, self._stopped)
                    seen = look.snapshot()
                    failures[name] = look.errors
                    self._plan(name, look, repository.client.rate_limit)
                    changes, self._snapshots[name] = compare(known, seen, self._options.tags)
                    emitted += [change.event(self._references[name]) for change in changes]
        except RegistryError as error:
            for name in due:
                if name not in failures:
                    failures[name] = [error]
                    self._schedule.failed(name, self._clock())
        self._check_begin([error for errors in failures.values() for error in errors], events)
        for name, errors in failures.items():
            self._tell(name, [events.secrets.mask(f"{name}: {error}") for error in errors])
        return emitted

    def commit(self) -> None:
        """Keep what is known now: to be called once the events of look() were handed on.

        A file that cannot be written is logged, and tried again after the next look. A restart before that repeats events.
        """
        try:
            if self._state:
                self._state.write(self._snapshots)
        except RegistryError as error:
            self._tell("state_file", [f"{error} After a restart, events are emitted again."])
        else:
            self._tell("state_file", [])

    def pause(self) -> float:
        """Return the seconds until the next look."""
        return self._schedule.wait(self._clock())

    def _plan(self, name: str, look: _Look, limit: RateLimit | None) -> None:
        """Decide when a repository is looked at again, after a look at it."""
        if look.failed:
            pauses = [error.retry_after for error in look.errors if error.retry_after is not None]
            self._schedule.failed(name, self._clock(), max(pauses, default=None))
        else:
            self._schedule.succeeded(name, self._clock(), look.requests, limit)

    def _check_begin(self, errors: t.Sequence[RegistryError], events: _LoggedEvents) -> None:
        """Raise what the first look met that comes from the arguments. Later, a file may be missing for a moment only."""
        begun, self._begun = self._begun, True
        for error in errors:
            if isinstance(error, InvalidInput) and not begun:
                raise error.replace_message(events.secrets.mask(str(error))) from None

    def _tell(self, name: str, messages: t.Sequence[str]) -> None:
        """Log messages about ``name`` that differ from those of last time, and that there are none any more."""
        distinct = frozenset(messages)
        if distinct == self._told.get(name, frozenset()):
            return
        self._told[name] = distinct
        for message in sorted(distinct)[:_MOST_SHOWN]:
            LOGGER.error(printable(message, 1000))
        if len(distinct) > _MOST_SHOWN:
            LOGGER.error("%s: %d more tags cannot be read.", name, len(distinct) - _MOST_SHOWN)
        if not distinct:
            LOGGER.info("%s can be used again.", name)

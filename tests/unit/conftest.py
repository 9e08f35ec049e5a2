# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that several test files share."""

from __future__ import annotations

import contextlib
import inspect
import re
import signal
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._http import transport as _transport
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from tests.registries import TRAITS, OptionMissing, Registry, chosen_kind, images, traits
from tests.unit.copying import Mover

STARTS_A_REGISTRY = re.compile(r"\bRegistry\(")
# What a registry must do to store every sample.
STORING = {"change_type", "docker", "foreign_layers"}


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers of tests about what not every registry server does, and let signals interrupt."""
    # Who runs the tests in the background, or with nohup, hands them an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "registry_does(*names): the registry must have these traits")
    config.addinivalue_line(
        "markers", "registry_does_not(*names): the registry must have none of these traits"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With another kind of registry, keep the tests that meet a real one."""
    if chosen_kind() != "distribution2":
        dropped = [item for item in items if not _meets_registry(item)]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if _meets_registry(item)]


def _unfit(item: pytest.Item) -> t.Iterator[str]:
    for marker in item.iter_markers("registry_does"):
        for name in marker.args:
            if name not in traits():
                yield f"{chosen_kind()} does not {TRAITS[name]}"
    for marker in item.iter_markers("registry_does_not"):
        for name in marker.args:
            if name in traits():
                yield f"{chosen_kind()} does {TRAITS[name]}"


def _meets_registry(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    return "registry" in item.fixturenames or bool(STARTS_A_REGISTRY.search(inspect.getsource(item.module)))


@contextlib.contextmanager
def _skipping() -> t.Iterator[None]:
    """Skip where this kind of registry lacks a setting, or does not store a sample, that the test builds on."""
    try:
        yield
    except OptionMissing as error:
        pytest.skip(str(error))
    except images.NotStored as error:
        if traits() >= STORING:
            raise
        pytest.skip(f"{chosen_kind()}: {error}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> t.Iterator[None]:
    """Skip a test that is about what this kind of registry does not do, or whose fixtures need it."""
    for reason in _unfit(item):
        pytest.skip(reason)
    with _skipping():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> t.Iterator[None]:
    """Skip a test that needs what this kind of registry cannot do."""
    with _skipping():
        return (yield)


class RecordedEvents(Events):
    """Keeps what a connection tells: warnings, request log lines, and the secrets to be hidden."""

    def __init__(self) -> None:
        super().__init__(keeps_lines=True)
        self.warnings: list[str] = []
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def log(self, line: str) -> None:
        self.lines.append(line)

    @property
    def hidden(self) -> set[str]:
        return set(self.secrets)


@pytest.fixture(scope="module")
def registry() -> t.Iterator[Registry]:
    """A real registry without authentication; all tests of a file share it, so use a repository of your own."""
    with Registry() as server:
        yield server


@pytest.fixture
def events() -> RecordedEvents:
    """What the connections made by ``connect`` in this test told."""
    return RecordedEvents()


@pytest.fixture
def connect(
    events: RecordedEvents, monkeypatch: pytest.MonkeyPatch
) -> t.Iterator[t.Callable[..., tuple[RegistryClients, RegistryClient]]]:
    """``connect(url, **options)``: a connection with these options, ``url`` as its registry, and the client of that.

    Retries, and looks at what may lag behind, pause for milliseconds only.
    """
    monkeypatch.setattr(_transport, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(_parallel, "_PAUSES", (0, 0.001, 0.001, 0.01))
    clients: list[RegistryClient] = []

    def make(url: str, **options: t.Any) -> tuple[RegistryClients, RegistryClient]:
        defaults = {name: spec.get("default") for name, spec in OPTIONS.items()}
        connection = RegistryClients({**defaults, "registry": url, **options}, events)
        client = connection.default()
        clients.append(client)
        return connection, client

    yield make
    for client in clients:
        client._transport.close()


@pytest.fixture
def mover(connect: t.Callable[..., tuple[RegistryClients, RegistryClient]]) -> Mover:
    """Pulls, pushes and copies as the modules do."""
    return Mover(connect)

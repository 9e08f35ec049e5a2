# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of registry_append are read as they are meant, or refused with what to write instead."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.append import (
    read_created,
    read_path,
    read_port,
    read_strings,
)


@pytest.mark.parametrize(
    ("value", "port"),
    [("8080", "8080/tcp"), ("53/udp", "53/udp"), ("0443/tcp", "443/tcp"), ("1/sctp", "1/sctp")],
)
def test_ports(value: str, port: str) -> None:
    assert read_port(value) == port


@pytest.mark.parametrize("value", ["", "0", "65536", "80/http", "80-90", "-1", "８０", "80\n"])
def test_ports_that_are_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="write one such as 8080 or 53/udp"):
        read_port(value)


@pytest.mark.parametrize("value", ["/srv", "C:\\app", "c:/app", "/"])
def test_paths(value: str) -> None:
    assert read_path(value, "workdir") == value


@pytest.mark.parametrize("value", ["", "srv", "../srv", "C:app", "/a\0b"])
def test_paths_that_are_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="is not valid for workdir: write an absolute path"):
        read_path(value, "workdir")


@pytest.mark.parametrize("value", [None, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789+01:00"])
def test_times(value: str | None) -> None:
    assert read_created(value) == value


@pytest.mark.parametrize("value", ["", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T12:00:00", "now"])
def test_times_that_are_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="write it in quotes"):
        read_created(value)


def test_strings() -> None:
    assert read_strings(None, "labels") == {}
    assert read_strings({"a": 1, "b": "1.10", "c=d": ""}, "labels") == {"a": "1", "b": "1.10", "c=d": ""}


@pytest.mark.parametrize(
    "values", [{"a": True}, {"a": 1.1}, {"a": None}, {"a": ["x"]}, {"": "x"}, {1: "x"}, {"a": "x\0"}]
)
def test_strings_that_are_refused(values: dict[t.Any, t.Any]) -> None:
    with pytest.raises(InvalidInput, match="labels"):
        read_strings(values, "labels")


@pytest.mark.parametrize("value", [True, 1.1, float("inf")])
def test_a_number_of_yaml_is_to_be_quoted(value: object) -> None:
    with pytest.raises(InvalidInput, match=f"env has {value} as the value of 'VERSION'.*write it in quotes"):
        read_strings({"VERSION": value}, "env")

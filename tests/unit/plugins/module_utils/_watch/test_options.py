# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the event source: each wrong one is refused with one sentence."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._watch.options import read_options

GOOD: dict[str, t.Any] = {"repositories": ["team/app"], "tags": ["stable", "1.*"]}


def test_defaults_and_aliases_are_those_of_modules() -> None:
    options = read_options({**GOOD, "registry_url": "registry.example.com", "validate_certs": "no"})
    assert options.repositories == ("team/app",)
    assert options.tags.names == {"stable"} and options.tags.patterns == {"1.*"}
    assert (options.interval, options.state_file) == (300, None)
    assert options.connection["registry"] == "registry.example.com"
    assert options.connection["validate_certs"] is False
    assert options.connection["retries"] == 4


def test_the_environment_counts_for_connection_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIKIT_REGISTRY_URL", "registry.example.com")
    monkeypatch.setenv("OCIKIT_REGISTRY_TOKEN", "t0ken-of-mine")
    connection = read_options({**GOOD, "registry": "other.example.com"}).connection
    assert (connection["registry"], connection["token"]) == ("other.example.com", "t0ken-of-mine")


@pytest.mark.parametrize(
    ("interval", "seconds"), [(30, 30), (1.5, 1.5), ("30", 30), ("1min", 60), ("1h30min", 5400)]
)
def test_intervals(interval: t.Any, seconds: float) -> None:
    assert read_options({**GOOD, "interval": interval}).interval == seconds


def test_the_argument_of_ansible_rulebook_is_none_of_the_users() -> None:
    assert read_options({**GOOD, "eda_feedback_queue": object()}).repositories == ("team/app",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repositories": None}, "repositories"),
        ({"repositories": []}, "repositories is empty: name at least one."),
        ({"tags": []}, "tags is empty: name at least one."),
        ({"tags": [1.10]}, "is not text but a value of YAML"),
        ({"tags": ["a/*"]}, "can match no tag"),
        ({"tags": ["regex:("]}, "is not a regular expression"),
        ({"tags": ["-x"]}, "tag"),
        ({"interval": 0}, "interval must be at least 1."),
        ({"interval": "0s"}, "interval must be at least 1."),
        ({"interval": "5m"}, "interval: '5m' may be minutes or months"),
        ({"interval": True}, "interval: 'True' is not a duration"),
        ({"interval": "soon"}, "interval: 'soon' is not a duration"),
        ({"interval": float("nan")}, "interval must be at least 1."),
        ({"interval": "10y"}, "interval must be at most"),
        ({"repository": "team/app"}, "repository. Supported parameters include"),
        ({"validate_certs": "maybe"}, "validate_certs"),
        ({"state_file": "a\0b"}, "state_file is not a valid path"),
        ({"ca_path": "a\0b"}, "ca_path is not a valid path"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read_options({**GOOD, **arguments})
    assert message in str(error.value)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(InvalidInput, match="missing required arguments: tags"):
        read_options({"repositories": ["team/app"]})


def test_no_secret_is_in_a_message() -> None:
    arguments = {**GOOD, "password": "s3cret-word", "validate_certs": "s3cret-word"}
    with pytest.raises(InvalidInput) as error:
        read_options(arguments)
    assert "validate_certs" in str(error.value) and "s3cret-word" not in str(error.value)

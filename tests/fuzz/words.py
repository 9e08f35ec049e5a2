# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people write, fuzzed: references, registries, platforms, versions, patterns, quantities, policies."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import math
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import Origin, check_hop
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Platform
from ansible_collections.ocikit.registry.plugins.module_utils._oci.quantities import (
    parse_duration,
    parse_size,
    parse_time,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import (
    endpoint,
    is_digest,
    is_repository,
    is_tag,
    parse,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_patterns import (
    TAGS,
    Patterns,
    is_pattern,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_versions import version_key
from ansible_collections.ocikit.registry.plugins.module_utils._prune.policy import (
    ManifestRecord,
    Snapshot,
    make_plan,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.protection import (
    Protection,
    read_protect,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.rules import parse_rules
from ansible_collections.ocikit.registry.plugins.module_utils._prune.version_ranges import VersionRange
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.append import read_created, read_port
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.layer import read_mode
from ansible_collections.ocikit.registry.plugins.module_utils._verify.checks import read_checks

NOW = 1_800_000_000.0
# A regular expression of the user's may take as long as it likes: names this short keep that bounded.
SHORT = 8


def text_of(data: bytes) -> str:
    """Return ``data`` as text arrives from playbooks and the environment."""
    return data.decode("utf-8", "surrogateescape")


def read_reference(data: bytes) -> None:
    """Read a reference: it prints as what it is read from again, and its host is one."""
    for registry in ("registry.example.com:5000", None):
        found = parse(text_of(data), registry)
        assert parse(str(found)) == found
        assert is_repository(found.repository)
        assert found.tag is None or is_tag(found.tag)
        assert found.digest is None or is_digest(found.digest)
        assert endpoint(found.registry).name == found.registry


def read_endpoint(data: bytes) -> None:
    """Read a registry: every request to it is one to the origin that credentials are bound to."""
    found = endpoint(text_of(data))
    origin = Origin(found.scheme, found.host.strip("[]"), found.port)
    assert check_hop(origin, f"{found.base}team/app/tags/list", "address") == origin
    assert endpoint(found.name).name == found.name


def read_platform(data: bytes) -> None:
    """Read a platform: it prints as what it is read from again."""
    found = Platform.parse(text_of(data))
    assert Platform.parse(str(found)) == found and found.distance(found) == 0


def order_versions(data: bytes) -> None:
    """Order tags: the order is total."""
    tags = [tag for tag in dict.fromkeys(text_of(data).split()) if is_tag(tag)]
    assert sorted(tags, key=version_key) == sorted(reversed(tags), key=version_key)
    assert len({str(version_key(tag)) for tag in tags}) == len(tags)


def read_version_range(data: bytes) -> None:
    """Read a range of versions, on the first line, and look for tags in it."""
    first, *tags = text_of(data).split("\n")
    found = VersionRange(first)
    for tag in filter(is_tag, tags):
        found.holds(tag)


def read_pattern(data: bytes) -> None:
    """Read a pattern, on the first line, and match names with it. A plain name matches itself alone."""
    first, *names = text_of(data).split("\n")
    with contextlib.suppress(InvalidInput):
        Patterns([first], "tags", TAGS)
    patterns = Patterns([first], "tags", None)
    for name in names:
        found = patterns.match(name[:SHORT])
        assert is_pattern(first) or found == (first == name[:SHORT])


def read_quantities(data: bytes) -> None:
    """Read durations, sizes, times, ports and modes: what is taken is a number that can be worked with."""
    text = text_of(data)
    with contextlib.suppress(InvalidInput):
        assert 0 <= parse_duration(text) < math.inf
    with contextlib.suppress(InvalidInput):
        assert parse_size(text) >= 0
    with contextlib.suppress(InvalidInput):
        assert read_created(text) == text
    with contextlib.suppress(InvalidInput):
        assert 0 < int(read_port(text).partition("/")[0]) < 65536
    with contextlib.suppress(InvalidInput):
        assert 0 <= t.cast(int, read_mode(text)) <= 0o7777
    time = parse_time(text)
    assert time is None or math.isfinite(time)


@functools.lru_cache(maxsize=None)
def _spec(module: str) -> ArgumentSpecValidator:
    """The argument spec of a module, without the options of the connection."""
    found: t.Any = importlib.import_module(f"ansible_collections.ocikit.registry.plugins.modules.{module}")
    specs: list[dict[str, t.Any]] = []
    original = found.run
    found.run = lambda _function, spec, **_more: specs.append(spec)
    try:
        found.main()
    finally:
        found.run = original
    return ArgumentSpecValidator(specs[0])


def _options(module: str, data: bytes) -> dict[str, t.Any] | None:
    """Return the options that a JSON object gives a module, as Ansible hands them over; None where it refuses them."""
    try:
        options = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(options, dict):
        return None
    try:
        result = _spec(module).validate(options)
    except (TypeError, OverflowError, RecursionError):
        # ansible-core itself stumbles over numbers in the place of dictionaries, infinite ones, and deep nesting.
        return None
    return None if result.error_messages else t.cast("dict[str, t.Any]", result.validated_parameters)


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


def _image(age: float | None, size: int = 1) -> ManifestRecord:
    created = None if age is None else NOW - age * 86400
    return ManifestRecord("application/vnd.oci.image.manifest.v1+json", size, created)


_TAGS = ("1.0.0", "1.2.0", "1.2.1", "1.3.0-rc.1", "2.0", "2.0-arm", "latest", "b-7")
FACTS = Snapshot(
    {
        **{tag: _digest(number) for number, tag in enumerate(_TAGS)},
        f"sha256-{0:064x}.sig": _digest(20),
        f"sha256-{99:064x}": _digest(21),
        "broken": None,
    },
    {
        **{_digest(number): _image(number * 20) for number in range(7)},
        _digest(7): _image(None),
        _digest(20): _image(1),
        _digest(21): _image(1)._replace(subject=_digest(99)),
    },
)


def read_policy(data: bytes) -> None:
    """Read a prune policy and let it decide over a repository: twice the same, and never over what has to stay."""
    options = _options("registry_prune", data)
    if options is None:
        return
    rules = parse_rules(options["rules"])
    protection = Protection(read_protect(options["protect"]), "registry.example.com", "team/app")
    plan = make_plan(FACTS, rules, protection, NOW, options["unknown_age"] == "delete")
    assert plan == make_plan(FACTS, rules, protection, NOW, options["unknown_age"] == "delete")
    assert {one.tag for one in plan.verdicts} == set(FACTS.tags)
    assert not {one.digest for one in plan.kept} & set(plan.digests)
    assert not any(protection.why_digest(digest) for digest in plan.digests)


def read_requirements(data: bytes) -> None:
    """Read the images, requirements and lock file that registry_verify is given. No lock is read from a path."""
    options = _options("registry_verify", data)
    if options is None:
        return
    lock = options["lock"]
    if isinstance(lock, str) and "\n" not in lock and not lock.startswith("["):
        return
    connection = RegistryClients({name: spec.get("default") for name, spec in OPTIONS.items()}, Events())
    for check in read_checks(connection, options):
        assert check.locked is None or check.locked == "" or is_digest(check.locked)

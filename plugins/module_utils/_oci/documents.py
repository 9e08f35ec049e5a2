# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""JSON documents of registries, each with one reading.

Container engines are written in Go, whose decoder takes ``Config`` for ``config``; Python's does not. One content would
then be one image here and another one there. So what is not read by all in the same way is refused.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import json
import threading
import typing as t

from .._errors import ProtocolError, printable

# Manifests nest less than ten deep. What shows and writes them follows each level with frames of its own.
_MAX_NESTING = 100
# Parsed JSON takes up to thirty times the memory of its bytes, so of large documents one is parsed at a time.
_LARGE = 256 << 10
_PARSING_LARGE = threading.RLock()


class Keys:
    """The keys that readers know of an object, each with those of the objects in its value.

    Objects that stand in lists count as well. What stands in the values of other keys, such as labels, is free.
    """

    def __init__(self, *names: str, **objects: Keys) -> None:
        self._objects: dict[str, Keys | None] = {**dict.fromkeys(names), **objects}
        self._known = {_fold(name): name for name in self._objects}

    def check(self, data: t.Any, document: str) -> None:
        """Raise ProtocolError where a key of ``data`` is a known one in another case."""
        for entry in data if isinstance(data, list) else [data]:
            for key, value in entry.items() if isinstance(entry, dict) else ():
                known = self._known.get(_fold(key))
                if known not in (None, key):
                    raise ProtocolError(
                        f"The {document} has the key {printable(key, 40)!r}, which container engines take for {known!r}: what"
                        " can be read in two ways is refused. Build and push it anew."
                    )
                inner = self._objects.get(key)
                if inner:
                    inner.check(value, document)

    def select(self, data: t.Any) -> t.Any:
        """Return ``data`` with the keys alone that readers know."""
        if isinstance(data, list):
            return [self.select(entry) for entry in data]
        if not isinstance(data, dict):
            return data
        known = ((key, self._objects[key], value) for key, value in data.items() if key in self._objects)
        return {key: inner.select(value) if inner else value for key, inner, value in known}

    def refuse_others(self, data: t.Any, document: str) -> None:
        """Raise ProtocolError where ``data`` has a key that is not known, as readers do that take known ones only."""
        for entry in data if isinstance(data, list) else [data]:
            for key, value in entry.items() if isinstance(entry, dict) else ():
                if key not in self._objects:
                    raise ProtocolError(f"The {document} has the unknown key {printable(key, 40)!r}.")
                inner = self._objects[key]
                if inner:
                    inner.refuse_others(value, document)


def _fold(key: str) -> str:
    """Fold ``key`` as Go compares keys: letter by letter, the Kelvin sign and the long s included."""
    pairs = ((letter, letter.casefold()) for letter in key)
    return "".join(folded if len(folded) == 1 else letter for letter, folded in pairs)


_PLATFORM = Keys("architecture", "os", "os.version", "os.features", "variant", "features")
_DESCRIPTOR = Keys(
    "mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", platform=_PLATFORM
)
_SETTINGS = Keys(
    *("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts", "Tty"),
    *("OpenStdin", "StdinOnce", "Env", "Cmd", "ArgsEscaped", "Image", "Volumes", "WorkingDir", "Entrypoint"),
    *("NetworkDisabled", "MacAddress", "OnBuild", "Labels", "StopSignal", "StopTimeout", "Shell"),
    *("Memory", "MemorySwap", "CpuShares"),
    Healthcheck=Keys("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"),
)

# Manifests and indexes of all kinds: which one it is depends on the keys, too.
MANIFEST = Keys(
    *("schemaVersion", "mediaType", "artifactType", "annotations", "name", "tag", "architecture"),
    config=_DESCRIPTOR,
    layers=_DESCRIPTOR,
    manifests=_DESCRIPTOR,
    blobs=_DESCRIPTOR,
    subject=_DESCRIPTOR,
    fsLayers=Keys("blobSum"),
    history=Keys("v1Compatibility"),
    signatures=Keys("header", "signature", "protected"),
)
IMAGE_CONFIG = Keys(
    *("architecture", "os", "os.version", "os.features", "variant", "created", "author", "comment"),
    *("id", "parent", "container", "docker_version", "throwaway"),
    config=_SETTINGS,
    container_config=_SETTINGS,
    rootfs=Keys("type", "diff_ids"),
    history=Keys("created", "created_by", "author", "comment", "empty_layer"),
)
# The manifest.json of an archive that docker save wrote.
ARCHIVE = Keys("Config", "RepoTags", "Layers", "Parent", "LayerSources")
# The lists of tags and of repositories.
LISTING = Keys("name", "tags", "repositories")


@contextlib.contextmanager
def one_large_document(raw: bytes) -> t.Iterator[None]:
    """Be the context of whatever parses ``raw``: where that is large, one thread at a time.

    Millions of objects may be made, none of them in a circle: they are not searched for garbage meanwhile.
    """
    if len(raw) <= _LARGE:
        yield
        return
    with _PARSING_LARGE:
        collecting = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collecting:
                gc.enable()


def parse_json(raw: bytes, document: str, keys: Keys) -> t.Any:
    """Return the JSON in ``raw``, which knows ``keys``. Raises ProtocolError, which calls it ``document``."""
    with one_large_document(raw):
        try:
            data = json.loads(
                raw.decode("utf-8"),
                object_pairs_hook=lambda pairs: _object(pairs, document),
                parse_constant=_refuse_constant,
            )
        except (ValueError, RecursionError):
            raise ProtocolError(f"The {document} is not valid JSON.") from None
        if _is_deep(data):
            raise ProtocolError(f"The {document} is nested more than {_MAX_NESTING} levels deep.")
        keys.check(data, document)
        return data


def parse_json_object(raw: bytes, document: str, keys: Keys) -> dict[str, t.Any]:
    """Return the JSON object in ``raw``: see parse_json(). Raises ProtocolError."""
    data = parse_json(raw, document, keys)
    if not isinstance(data, dict):
        raise ProtocolError(f"The {document} is not a JSON object.")
    return data


def _object(pairs: list[tuple[str, t.Any]], document: str) -> dict[str, t.Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        ((twice, _count),) = collections.Counter(key for key, _value in pairs).most_common(1)
        raise ProtocolError(
            f"The {document} has the key {printable(twice, 40)!r} twice in one object: what can be read in two ways is"
            " refused. Build and push it anew."
        )
    return data


def _refuse_constant(text: str) -> t.Any:
    """NaN and Infinity are no JSON, whatever Python thinks."""
    raise ValueError(text)


def count_entries(data: t.Any, most: int) -> int:
    """Return how many entries the objects and lists in ``data`` have together, or a number above ``most``.

    Long texts count as several.
    """
    waiting, count = [data], 0
    while waiting and count <= most:
        holder = waiting.pop()
        count += len(holder) // 64 if isinstance(holder, str) else len(holder)
        if count <= most and not isinstance(holder, str):
            members = holder.values() if isinstance(holder, dict) else holder
            waiting += [member for member in members if isinstance(member, (dict, list, str))]
    return count


def _is_deep(data: t.Any) -> bool:
    level = [data] if isinstance(data, (dict, list)) else []
    for _depth in range(_MAX_NESTING):
        members = (holder.values() if isinstance(holder, dict) else holder for holder in level)
        level = [inner for each in members for inner in each if inner and isinstance(inner, (dict, list))]
    return bool(level)

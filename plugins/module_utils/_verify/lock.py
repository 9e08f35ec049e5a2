# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Lock files: the digests that images must have, by their tags. One that can be read in two ways is refused."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from .._errors import InvalidInput, printable
from .._oci.reference import Reference, check_digest
from .._registry.connection import RegistryClients
from .._storage.files import read_file, storage_errors

try:
    import yaml
except ImportError:
    HAS_YAML = False
else:
    HAS_YAML = True

_LIMIT = 16 << 20
_MERGE = "tag:yaml.org,2002:merge"
_KEYS = ("image", "digest")


class Lock:
    """The digests of a lock file by their images, which are references by tag."""

    def __init__(self, digests: t.Mapping[Reference, str]) -> None:
        self._digests = digests

    @classmethod
    def read(cls, clients: RegistryClients, lock: t.Any) -> Lock:
        """Read ``lock``: the path of a lock file, its text, or the list that it holds.

        Raises InvalidInput, and LocalStorageError for a file that cannot be read.
        """
        name = "lock"
        if isinstance(lock, str):
            if "\n" not in lock and not lock.startswith("["):
                name = lock
                with storage_errors(lock):
                    lock = read_file(lock, _LIMIT).decode("utf-8", "replace")
            lock = _load(lock, name)
        if not isinstance(lock, list) or not all(isinstance(entry, dict) for entry in lock):
            raise InvalidInput(f"{name} is no lock file: that is a list of dictionaries of image and digest.")
        digests: dict[Reference, str] = {}
        for entry in lock:
            reference, digest = _read_entry(clients, entry, name)
            if digests.setdefault(reference, digest) != digest:
                raise InvalidInput(f"{name} gives two digests for {reference}.")
        return cls(digests)

    @property
    def references(self) -> list[Reference]:
        """All images, in the order of the file."""
        return list(self._digests)

    def digest(self, reference: Reference) -> str:
        """Return the digest that ``reference`` must have, "" if it is not in the lock file.

        An image by its digest alone is in there if an image of the same repository has that digest.
        """
        if reference.tag or not reference.digest:
            return self._digests.get(_by_tag(reference), "")
        known = {digest for locked, digest in self._digests.items() if locked.name == reference.name}
        return reference.digest if reference.digest in known else ""


def _read_entry(clients: RegistryClients, entry: t.Mapping[t.Any, t.Any], name: str) -> tuple[Reference, str]:
    """Return the image of an entry, by its tag, and its digest. Raises InvalidInput, which calls the lock file ``name``."""
    image, digest = entry.get("image"), entry.get("digest")
    if not isinstance(image, str) or not isinstance(digest, str):
        raise InvalidInput(
            f"{name} is no lock file: each of its entries needs image and digest. Write both in quotes, as text."
        )
    for key in entry:
        if key not in _KEYS and str(key).strip().lower() in _KEYS:
            raise InvalidInput(
                f"{name} is no lock file: an entry has the key {printable(key, 50)!r}. Write image and digest."
            )
    reference = clients.reference(image)
    check_digest(digest, f"digest in {name}")
    if reference.digest not in (None, digest):
        raise InvalidInput(f"{name} gives two digests for {_by_tag(reference)}.")
    if reference.digest and not reference.tag:
        raise InvalidInput(f"{name} has {reference}, an image without a tag: write the tag that was locked.")
    return _by_tag(reference), digest


def _by_tag(reference: Reference) -> Reference:
    return replace(reference, tag=reference.tag or "latest", digest=None)


def _load(text: str, name: str) -> t.Any:
    """Return what ``text`` holds, JSON or else YAML. Raises InvalidInput, which calls it ``name``."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except _Duplicate as error:
        raise InvalidInput(f"{name} gives {error} twice in one entry.") from None
    except (ValueError, RecursionError):
        pass
    if not HAS_YAML:
        raise InvalidInput(
            f"{name} is not JSON, and this host has no PyYAML: install it, or give what the file holds as a list."
        )
    try:
        return yaml.load(text, Loader=_loader())
    except _Duplicate as error:
        raise InvalidInput(f"{name} gives {error} twice in one entry.") from None
    # PyYAML lets out whatever its constructors stumble over.
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        ArithmeticError,
        RecursionError,
    ):
        raise InvalidInput(f"{name} is neither YAML nor JSON.") from None


class _Duplicate(Exception):
    """A key stands twice in one mapping, of which parsers silently take one."""


def _unique(pairs: t.Iterable[tuple[t.Any, t.Any]]) -> dict[t.Any, t.Any]:
    result: dict[t.Any, t.Any] = {}
    for key, value in pairs:
        if key in result:
            raise _Duplicate(printable(key, 50))
        result[key] = value
    return result


def _loader() -> type[yaml.SafeLoader]:
    """Return a loader like yaml.SafeLoader that raises _Duplicate."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: t.Any, deep: bool = False) -> dict[t.Any, t.Any]:
            keys = [key for key, _value in node.value if key.tag != _MERGE]
            _unique((self.construct_object(key, deep=True), None) for key in keys)
            return super().construct_mapping(node, deep)

    return Loader

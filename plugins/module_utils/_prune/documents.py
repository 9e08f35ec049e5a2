# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Plan and undo files: JSON documents that name their format, read and written in one place."""

from __future__ import annotations

import json
import os
import re
import typing as t

from .._errors import InvalidInput
from .._oci.reference import is_digest, is_repository, is_tag
from .._storage.files import check_replaceable, open_file, read_file, replacing, storage_errors, write_all

_FILE_LIMIT = 1 << 30
# How documents begin.
_FORMAT = re.compile(rb'\s*\{\s*"format"\s*:\s*"([ -!#-~]*)"')
_HEAD = 1 << 10
Content = t.TypeVar("Content")


def read_document(
    path: str,
    parsers: t.Mapping[str, t.Callable[[dict[str, t.Any]], Content]],
    writer: str = "registry_prune",
) -> Content:
    """Return what the parser of its format makes of the document in a file.

    ``parsers`` has a function for each format; it checks all that it returns, so that nothing of a file reaches a URL
    unseen, and raises ValueError, KeyError, TypeError or AttributeError for anything else. ``writer`` is what
    writes such files. Raises InvalidInput where the file has another format or content, and LocalStorageError.
    """
    with storage_errors(path):
        raw = read_file(path, _FILE_LIMIT)
    try:
        document = json.loads(raw)
        return parsers[document["format"]](document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidInput(
            f"{path} is not a file that {writer} wrote for this ({list(parsers)[-1]})."
        ) from None


def check_content(path: str, kind: str) -> None:
    """Raise InvalidInput where a document of the format ``kind`` would replace a file with other content.

    Raises LocalStorageError for a file that cannot be read.
    """
    if not os.path.isfile(path):
        return
    with storage_errors(path), open_file(path) as file:
        head = file.read(_HEAD)
    match = _FORMAT.match(head)
    if head and not (match and match.group(1).decode() == kind):
        raise InvalidInput(
            f"{path} holds something else than a file of the format {kind}, which would replace it: name another file, or"
            " remove this one."
        )


def encode_document(kind: str, content: t.Mapping[str, t.Any]) -> bytes:
    """Return the document of the format ``kind`` as it is written: the same bytes for the same content."""
    return json.dumps({"format": kind, **content}, indent=1, sort_keys=False).encode() + b"\n"


def write_document(path: str, raw: bytes, check_mode: bool) -> bool:
    """Write an encoded document unless the file holds it already. Return whether that changes the file.

    Raises LocalStorageError, and InvalidInput where it is no regular file.
    """
    check_replaceable(path)
    with storage_errors(path):
        if os.path.exists(path):
            with open_file(path) as file:
                if file.read(len(raw) + 1) == raw:
                    return False
        if not check_mode:
            with replacing(path) as file:
                write_all(file, raw)
    return True


def checked(value: t.Any, kind: t.Any, valid: t.Callable[[t.Any], bool] | None = None) -> t.Any:
    """Return ``value`` of a document if it is of the type ``kind`` and ``valid``. Raises ValueError."""
    # JSON's true is no number, though Python's is.
    if (
        not isinstance(value, kind)
        or isinstance(value, bool) != (kind is bool)
        or (valid and not valid(value))
    ):
        raise ValueError(f"{kind} is needed")
    return value


def checked_registry(value: t.Any) -> str:
    """Return the name of a registry. It is parsed like any other, when it is used."""
    return t.cast(str, checked(value, str))


def checked_repository(value: t.Any) -> str:
    """Return the name of a repository. Raises ValueError."""
    return t.cast(str, checked(value, str, is_repository))


def checked_tag(value: t.Any) -> str:
    """Return a tag. Raises ValueError."""
    return t.cast(str, checked(value, str, is_tag))


def checked_digest(value: t.Any) -> str:
    """Return a digest. Raises ValueError."""
    return t.cast(str, checked(value, str, is_digest))


def optional(read: t.Callable[[t.Any], Content], value: t.Any) -> Content | None:
    """Return what ``read`` makes of ``value``, or None for a null."""
    return None if value is None else read(value)

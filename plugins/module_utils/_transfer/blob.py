# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""One blob of a registry, as a file or as text."""

from __future__ import annotations

import json
import os
import typing as t

from .._errors import InvalidInput, NotFound, Refused
from .._oci.content import Descriptor, digest_diff
from .._oci.reference import check_digest
from .._registry.context import ModuleContext
from .._registry.option_types import check_number
from .._registry.repository import Repository
from .._storage.attributes import ATTRIBUTES, check_attributes, set_attributes
from .._storage.files import check_place, file_digest, receive, replacing, storage_errors, write_all

_MEDIA_TYPE = "application/octet-stream"


def get_blob(context: ModuleContext) -> dict[str, t.Any]:
    """Write the blob that a task of registry_blob names to a file, or read it, and return the task's result.

    Raises NotFound, InvalidInput, LocalStorageError, and Refused for what is too large or no text to be returned.
    """
    params = context.params
    reference, digest = context.clients.reference(params["image"]), check_digest(params["digest"])
    check_number(params["max_size"], "max_size", 0)
    repository = context.clients.repository_of(reference)
    if params["dest"]:
        check_attributes(params)
        content = _write(context, repository, digest)
    else:
        for option in ATTRIBUTES:
            if params[option] is not None:
                raise InvalidInput(f"{option} is that of dest: set dest as well.")
        content = _read(repository, digest, params["max_size"])
    return {"repository": reference.name, "digest": digest, **content}


def _write(context: ModuleContext, repository: Repository, digest: str) -> dict[str, t.Any]:
    path = _file(context.params["dest"], digest)
    with storage_errors(path):
        before = file_digest(path, digest) if os.path.exists(path) else None
        size = os.path.getsize(path) if before == digest else 0
    if before != digest:
        descriptor = _describe(repository, digest)
        size = descriptor.size
        if not context.check_mode:
            with storage_errors(path), replacing(path) as file:
                receive(repository.open_blob(descriptor), descriptor, lambda block: write_all(file, block))
    changed = set_attributes(context, [path] if os.path.exists(path) else [])
    return {
        "changed": changed or before != digest,
        "size": size,
        "dest": path,
        "diff": digest_diff({path: before}, {path: digest}),
    }


def _file(dest: str, digest: str) -> str:
    """Return the file that ``dest`` stands for. Raises InvalidInput where none can be written."""
    path = os.path.join(dest, digest) if os.path.isdir(dest) else dest
    check_place(path)
    return path


def _read(repository: Repository, digest: str, limit: int) -> dict[str, t.Any]:
    """Return a blob of up to ``limit`` bytes as text, and parsed where it is JSON."""
    descriptor = _describe(repository, digest)
    if descriptor.size > limit:
        raise Refused(
            f"{digest} has {descriptor.size} bytes, more than the {limit} of max_size: set dest to write it to a file."
        )
    raw = repository.read_blob(descriptor, limit)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Refused(f"{digest} is binary, neither JSON nor text: set dest to write it to a file.")
    return {"changed": False, "size": descriptor.size, "content": text, "json": _parsed(text)}


def _parsed(text: str) -> t.Any:
    try:
        data = json.loads(text)
        # NaN and lone surrogates are no JSON, whatever Python thinks, and Ansible does not take them.
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return data


def _describe(repository: Repository, digest: str) -> Descriptor:
    size = repository.client.blob_size(repository.name, digest)
    if size is None:
        raise NotFound(f"The blob {digest} does not exist in {repository}.", status=404)
    return Descriptor(_MEDIA_TYPE, digest, size)

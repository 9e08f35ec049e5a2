# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The images to be verified, with the requirements on each, read from a module's parameters."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._errors import InvalidInput, printable
from .._oci.reference import Reference
from .._registry.connection import RegistryClients
from .._registry.option_types import check_text
from .lock import Lock
from .requirements import REQUIREMENTS, Requirements


@dataclass(frozen=True)
class Check:
    """One image to be verified. ``locked`` is its digest in the lock file, "" if it is not in there, None without one.

    ``signature_repository`` is where its signatures are, if that is another repository.
    """

    reference: Reference
    requirements: Requirements
    locked: str | None = None
    signature_repository: Reference | None = None

    @property
    def tag(self) -> str | None:
        """The tag that is meant, also where it is not written."""
        return self.reference.tag or (None if self.reference.digest else "latest")


def read_checks(clients: RegistryClients, params: t.Mapping[str, t.Any]) -> list[Check]:
    """Return the images that the options ``images`` and ``lock`` name, with their requirements. Raises InvalidInput."""
    lock = None if params["lock"] is None else Lock.read(clients, params["lock"])
    entries = params["images"] or [str(reference) for reference in (lock.references if lock else ())]
    if not entries:
        raise InvalidInput("There is nothing to verify: name images, or a lock file with images.")
    shared: dict[str, Requirements] = {}
    checks = []
    for entry in entries:
        own = {"image": entry} if isinstance(entry, str) else _read_entry(entry)
        reference = clients.reference(check_text(own.pop("image"), "images"))
        options = {**params, **own}
        # Keys and roots are files, which are read once for all images that have the same requirements.
        key = json.dumps(own, sort_keys=True, default=str)
        requirements = shared.get(key) or Requirements.read(options)
        shared[key] = requirements
        elsewhere = options["signature_repository"]
        checks.append(
            Check(
                reference,
                requirements,
                lock.digest(reference) if lock is not None else None,
                clients.repository(elsewhere) if elsewhere else None,
            )
        )
    return checks


def _read_entry(entry: t.Any) -> dict[str, t.Any]:
    """Return the keys that an entry of images has, with the types of REQUIREMENTS."""
    if not isinstance(entry, dict):
        raise InvalidInput(
            f"{printable(entry, 100)} in images must be a reference, or a dictionary of image and requirements. Write numbers"
            " in quotes, as they are meant."
        )
    spec = {"image": {"type": "raw", "required": True}, **REQUIREMENTS}
    result = ArgumentSpecValidator(spec).validate(entry)
    if result.error_messages:
        raise InvalidInput(
            f"An entry of images cannot be used: {printable('; '.join(result.error_messages))}"
        )
    return {name: result.validated_parameters[name] for name in entry}

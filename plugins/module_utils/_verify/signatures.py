# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Signatures and attestations that an image must have, and whether it has them.

One that is unreadable, too large, about another image, or not by the right signer is none: it hides no good one, and the
violation says why it does not count.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .._errors import ProtocolError, printable
from .._oci.signature_types import SIGN_PREDICATE
from .._oci.tag_patterns import Patterns
from .._registry.option_types import TEXT, check_text
from .._registry.repository import Repository
from .bundles import Evidence
from .identities import Name
from .signature_store import Stored, StoredSignatures
from .signers import Signer, read_signer

_TEXT = {"type": TEXT}
_SIGNER: dict[str, dict[str, t.Any]] = {
    "key": {"type": "raw", "no_log": False},
    "identity": _TEXT,
    "issuer": _TEXT,
    "trusted_root": {"type": "raw"},
    "certificate_authority": _TEXT,
    "transparency_log": {"type": "str", "choices": ["required", "optional", "ignore"]},
    "match": {"type": "dict"},
    "recursive": {"type": "bool"},
}
# Options of the module, and keys of an entry of its images.
SIGNATURE_OPTIONS: dict[str, dict[str, t.Any]] = {
    "signatures": {"type": "list", "elements": "dict", "options": _SIGNER},
    "attestations": {
        "type": "list",
        "elements": "dict",
        "options": {"predicate_type": {**_TEXT, "required": True}, **_SIGNER},
    },
    "recursive": {"type": "bool"},
    "signature_repository": _TEXT,
}
_SHOWN = 20


@dataclass(frozen=True)
class SignatureRequirement:
    """One entry of the option ``kind``. It is met by one signature of ``signer``."""

    kind: str
    option: str
    signer: Signer
    predicate_type: Name
    match: t.Mapping[str, Patterns | None]
    recursive: bool

    @property
    def noun(self) -> str:
        """What has to be there, for messages."""
        return (
            "signature"
            if self.kind == "signatures"
            else f"attestation of the type {self.predicate_type.text}"
        )

    def check(self, evidence: Evidence, digest: str) -> None:
        """Raise ProtocolError unless the signature is of the image ``digest``, by the signer, and says what is required."""
        claim = evidence.claim
        if digest not in claim.digests:
            named = printable(", ".join(sorted(claim.digests)), 200) or "no image"
            raise ProtocolError(f"it is about {named}")
        self.signer.verify(evidence)
        said: t.Any = claim.predicate
        if self.kind == "signatures":
            said = {name: text for name, text in claim.annotations.items() if isinstance(text, str)}
        for path, pattern in self.match.items():
            values = list(_values(said, path.split(".")))
            if not values:
                raise ProtocolError(f"it says nothing of {printable(path, 100)}")
            for value in values:
                text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                if pattern and not pattern.match(text):
                    raise ProtocolError(f"it has {printable(text, 100)!r} as {printable(path, 100)}")


def read_signature_requirements(options: t.Mapping[str, t.Any]) -> list[SignatureRequirement]:
    """Return the entries of SIGNATURE_OPTIONS in ``options``. Raises InvalidInput, LocalStorageError and LibraryMissing."""
    requirements = []
    for kind in ("signatures", "attestations"):
        for number, entry in enumerate(options[kind] or []):
            option = f"{kind}[{number}]"
            predicate = SIGN_PREDICATE if kind == "signatures" else entry["predicate_type"]
            recursive = entry.get("recursive")
            requirements.append(
                SignatureRequirement(
                    kind=kind,
                    option=option,
                    signer=read_signer(entry, option),
                    predicate_type=Name(predicate, f"{option}.predicate_type"),
                    match={
                        check_text(path, f"{option}.match"): _pattern(value, option)
                        for path, value in (entry.get("match") or {}).items()
                    },
                    recursive=bool(options["recursive"] if recursive is None else recursive),
                )
            )
    return requirements


def missing_signatures(
    repository: Repository, digest: str, name: str, requirements: t.Sequence[SignatureRequirement]
) -> t.Iterator[tuple[str, str]]:
    """Yield the option and the message of each requirement that no signature of the image ``digest`` meets.

    ``repository`` is the one that holds the signatures, and ``name`` begins the message, which has a line for each signature
    that does not count.
    """
    for kind in ("signatures", "attestations"):
        of_kind = [requirement for requirement in requirements if requirement.kind == kind]
        if of_kind:
            for message in _missing(StoredSignatures(repository, digest, kind), digest, of_kind):
                yield kind, f"{name} {message}"


def _missing(
    store: StoredSignatures, digest: str, requirements: t.Sequence[SignatureRequirement]
) -> t.Iterator[str]:
    unmet = {requirement.option: requirement for requirement in requirements}
    reasons: dict[str, list[str]] = {option: [] for option in unmet}
    types: set[str] = set()
    for stored in store.read(lambda: bool(unmet)):
        types.update([stored.evidence.claim.predicate_type] if stored.evidence else [])
        for option, requirement in list(unmet.items()):
            reason = _reason(stored, requirement, digest)
            if reason is None:
                del unmet[option]
            elif reason:
                reasons[option].append(f"{stored.name}: {reason}")
    for option, requirement in unmet.items():
        others = [kind for kind in sorted(types) if not requirement.predicate_type.match(kind)]
        yield _message(requirement, reasons[option], others, store.remarks)


def _reason(stored: Stored, requirement: SignatureRequirement, digest: str) -> str | None:
    """Return why a signature does not meet a requirement, None where it does, "" where it is of another type."""
    if stored.evidence is None:
        return stored.reason
    if not requirement.predicate_type.match(stored.evidence.claim.predicate_type):
        return ""
    try:
        requirement.check(stored.evidence, digest)
    except ProtocolError as error:
        return str(error).rstrip(".")
    return None


def _message(
    requirement: SignatureRequirement,
    reasons: t.Sequence[str],
    others: t.Sequence[str],
    remarks: t.Sequence[str],
) -> str:
    """Return what is missing, and what there is: ``others`` are the types of what was read and is of another type."""
    lines = [printable(reason, 600) for reason in reasons[:_SHOWN]]
    if len(reasons) > _SHOWN:
        lines.append(f"and {len(reasons) - _SHOWN} more that do not count")
    if others:
        lines.append(printable(f"of other types, and not verified: {', '.join(others)}", 600))
    lines += remarks
    sentence = f"{len(reasons)} do not count:" if reasons else "there is none."
    summary = f"has no {requirement.noun} by {printable(requirement.signer, 300)} ({requirement.option}): {sentence}"
    return "\n".join([summary, *lines])


def _pattern(value: t.Any, option: str) -> Patterns | None:
    if value in (None, ""):
        return None
    return Patterns([check_text(value, f"{option}.match")], f"{option}.match", None)


def _values(data: t.Any, path: t.Sequence[str]) -> t.Iterator[t.Any]:
    """Yield what ``path`` leads to in ``data``. Keys may have dots themselves: every way of reading the path counts."""
    if not path:
        yield data
    elif isinstance(data, dict):
        for length in range(1, len(path) + 1):
            key = ".".join(path[:length])
            if key in data:
                yield from _values(data[key], path[length:])
    elif isinstance(data, list) and path[0].isdecimal() and int(path[0]) < len(data):
        yield from _values(data[int(path[0])], path[1:])

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What the library sigstore verifies: identities of Fulcio, entries of Rekor, and RFC 3161 timestamps.

This is the only file that imports it, when it is first needed. Nothing here uses the network: all trust comes from the trusted
root that the user gives. Whatever the library raises means that a signature does not count.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import typing as t

from .._errors import InvalidInput, LibraryMissing, ProtocolError, RegistryError, printable
from .._oci.documents import Keys, parse_json_object
from .bundles import Evidence
from .certificates import check_chain, load_certificate
from .identities import Identity
from .keys import PublicKey, read_text, require_cryptography

if t.TYPE_CHECKING:
    from cryptography.x509 import Certificate

REQUIRED = "required"
OPTIONAL = "optional"
IGNORE = "ignore"
_NEEDED_RELEASE = "sigstore 4"
_ROOT = Keys("mediaType", "tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities")
_NO_PROOF = {"logIndex": "0", "rootHash": "", "treeSize": "1", "hashes": [], "checkpoint": {"envelope": ""}}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def require_sigstore() -> None:
    """Raise LibraryMissing unless a release of the library sigstore can be imported whose parts are known here."""
    require_cryptography()
    try:
        import sigstore
        import sigstore.verify  # noqa: F401
    except ImportError:
        raise LibraryMissing(_NEEDED_RELEASE, "to verify identities and transparency logs") from None
    if sigstore.__version__.partition(".")[0] != "4":
        raise LibraryMissing(_NEEDED_RELEASE, "to verify identities and transparency logs")


class Trust:
    """A trusted root: the certificate authorities, logs and timestamp authorities that count, each for its time."""

    def __init__(self, value: t.Any, option: str) -> None:
        """``value`` is the path of a trusted root in JSON, or its text.

        Raises InvalidInput that names ``option``, LocalStorageError, and LibraryMissing.
        """
        require_sigstore()
        try:
            text = json.dumps(value) if isinstance(value, dict) else read_text(value, option, "{")
            self._data = parse_json_object(text.encode("utf-8", "replace"), "trusted root", _ROOT)
            self._load(self._data)
        except ProtocolError as error:
            raise InvalidInput(f"{option} is no trusted root: {error}") from None
        except RegistryError:
            raise
        except Exception as error:
            raise InvalidInput(f"{option} is no trusted root: {printable(error, 200)}") from None

    def at(self, moments: t.Sequence[datetime.datetime]) -> t.Any:
        """Return the root as the library has it, without the authorities and logs that are not valid at all ``moments``."""
        kept = {
            name: [entry for entry in self._data.get(name) or [] if _valid_at(_validity(entry), moments)]
            for name in ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")
        }
        return self._load({**self._data, **kept})

    def _load(self, data: t.Mapping[str, t.Any]) -> t.Any:
        from sigstore import models

        inner = models.trustroot_v1.TrustedRoot.from_json(json.dumps(data))
        return models.TrustedRoot(inner)


def verify_identity(evidence: Evidence, trust: Trust, identity: Identity, log: str) -> None:
    """Verify a signature by a certificate of Fulcio: chain at signing time, SCT, identity, log entry or timestamp, signature.

    ``log`` is REQUIRED, or OPTIONAL or IGNORE: then timestamps alone may prove the time. Raises ProtocolError.
    """
    if not evidence.material.certificates:
        raise ProtocolError("it has no certificate")
    with_entry = bool(evidence.material.entries) and log != IGNORE
    if not with_entry and log == REQUIRED:
        raise ProtocolError("it has no entry of a transparency log")
    with _refusing():
        moments = _log_moments(evidence) if with_entry else []
        root = trust.at(moments + _timestamp_moments(evidence))
        certificate, *_others = map(load_certificate, evidence.material.certificates)
        # The library asks whether the authority was valid at the time of signing, but not when it issued the certificate.
        authorities = root.get_fulcio_certs()
        check_chain(certificate, authorities, authorities, certificate.not_valid_before_utc)
        _verify_with(root, evidence, _Policy(identity), with_entry)


def verify_log_entries(
    evidence: Evidence, trust: Trust, signer: PublicKey | Certificate
) -> list[datetime.datetime]:
    """Verify all log entries of a signature, which must be about it and ``signer``. Return the times that logs promised.

    Raises ProtocolError.
    """
    with _refusing():
        root = trust.at(_log_moments(evidence))
        moments = []
        for data in evidence.material.entries:
            entry = _entry(data, evidence.needs_proof)
            entry._verify(root.rekor_keyring(_verifying()))
            _check_body(entry._inner.canonicalized_body, evidence, signer)
            if entry._inner.inclusion_promise and entry._inner.integrated_time:
                moments.append(_moment(entry._inner.integrated_time))
        return moments


def verify_timestamps(evidence: Evidence, trust: Trust) -> list[datetime.datetime]:
    """Return the times of the timestamps of a signature that an authority of the root made. Raises ProtocolError."""
    from sigstore.verify import Verifier

    with _refusing():
        root = trust.at(_timestamp_moments(evidence))
        bundle = _bundle(evidence, with_entry=False)
        return [result.time for result in Verifier(trusted_root=root)._verify_timestamp_authority(bundle)]


def _verify_with(root: t.Any, evidence: Evidence, policy: t.Any, with_entry: bool) -> None:
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

    verifier = Verifier(trusted_root=root)
    if not with_entry:
        bundle = _bundle(evidence, with_entry=False)
        verifier._verify_common_signing_cert(bundle, policy)
        key = PublicKey(bundle.signing_certificate.public_key())
        if not any(key.verifies(evidence.message, signature) for signature in evidence.signatures):
            raise ProtocolError("it was not made with the key of its certificate")
        return
    is_proven = evidence.needs_proof or "inclusionProof" in evidence.material.entries[0]
    bundle = (
        Bundle.from_json(json.dumps(evidence.bundle)) if is_proven else _bundle(evidence, with_entry=True)
    )
    if evidence.envelope is None:
        verifier.verify_artifact(evidence.signed, bundle, policy)
    else:
        payload_type, payload = verifier.verify_dsse(bundle, policy)
        if (payload_type, payload) != (evidence.envelope.payload_type, evidence.envelope.payload):
            raise ProtocolError("another payload was verified than was read")


def _bundle(evidence: Evidence, with_entry: bool) -> t.Any:
    """Return a bundle of the library that its own constructor refuses: it has a promise of the log but no proof, or no entry.

    Cosign 2 stores nothing but the promise, which the log has signed as well.
    """
    from sigstore import models

    entries = [_with_proof(entry) for entry in evidence.material.entries] if with_entry else []
    material = {**evidence.bundle["verificationMaterial"], "tlogEntries": entries}
    bundle = models.Bundle.__new__(models.Bundle)
    bundle._inner = models._Bundle.from_json(
        json.dumps({**evidence.bundle, "verificationMaterial": material})
    )
    bundle._signing_certificate = models.load_der_x509_certificate(evidence.material.certificates[0])
    if with_entry:
        (data,) = evidence.material.entries
        bundle._log_entry = _entry(data, needs_proof=False)
    else:
        bundle._log_entry = t.cast("t.Any", _NoEntry)
    return bundle


class _NoEntry:
    """Stands for the log entry of a signature whose time only timestamps prove."""

    class _inner:
        integrated_time = None
        inclusion_promise = None

    @staticmethod
    def _verify(keyring: t.Any) -> None:
        """There is nothing to verify."""


def _entry(data: t.Mapping[str, t.Any], needs_proof: bool) -> t.Any:
    """Return a log entry of the library. One without a proof of inclusion is verified by the log's promise.

    Raises ProtocolError for an entry without a proof that ``needs_proof``.
    """
    if needs_proof and "inclusionProof" not in data:
        raise ProtocolError("its log entry has no proof")
    from sigstore import models

    class PromisedEntry(models.TransparencyLogEntry):
        def _validate(self) -> None:
            if not self._inner.inclusion_promise or not self._inner.integrated_time:
                raise ProtocolError("its log entry has neither a proof nor a promise")

        def _verify(self, keyring: t.Any) -> None:
            self._verify_set(keyring)

    kind = models.TransparencyLogEntry if "inclusionProof" in data else PromisedEntry
    return kind(models._TransparencyLogEntry.from_json(json.dumps(_with_proof(data))))


def _with_proof(data: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a log entry with the proof that the library's data model demands: an empty one, which proves nothing."""
    return {"inclusionProof": _NO_PROOF, **data}


def _check_body(body: bytes, evidence: Evidence, signer: PublicKey | Certificate) -> None:
    """Raise ProtocolError unless a log entry is about this signature, payload and signer."""
    data = parse_json_object(body, "body of the log entry", Keys("kind", "apiVersion", "spec"))
    kind, spec = f"{data.get('kind')}/{data.get('apiVersion')}", data.get("spec") or {}
    signature = base64.b64encode(evidence.signatures[0]).decode()
    try:
        if kind == "hashedrekord/0.0.1":
            logged = (
                spec["data"]["hash"]["algorithm"],
                spec["data"]["hash"]["value"],
                spec["signature"]["content"],
            )
            verifiers = [spec["signature"]["publicKey"]["content"]]
        elif kind == "dsse/0.0.1":
            ((entry),) = spec["signatures"]
            logged = (spec["payloadHash"]["algorithm"], spec["payloadHash"]["value"], entry["signature"])
            verifiers = [entry["verifier"]]
        else:
            raise ProtocolError(f"its log entry has the unknown kind {printable(kind, 60)}")
        names_signer = [_is_signer(base64.b64decode(verifier), signer) for verifier in verifiers]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ProtocolError("its log entry is not complete") from None
    if logged != ("sha256", hashlib.sha256(evidence.signed).hexdigest(), signature) or not all(names_signer):
        raise ProtocolError("its log entry is about another signature")


def _is_signer(pem: bytes, signer: PublicKey | Certificate) -> bool:
    """Tell whether ``pem``, a public key or a certificate, is that of ``signer``."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    if isinstance(signer, PublicKey):
        return PublicKey(load_pem_public_key(pem)).fingerprint == signer.fingerprint
    return load_pem_x509_certificate(pem) == signer


def _log_moments(evidence: Evidence) -> list[datetime.datetime]:
    """Return the times that log entries give, which are not yet proven."""
    seconds = [entry.get("integratedTime") for entry in evidence.material.entries]
    return [_moment(int(number)) for number in seconds if number not in (None, 0, "0")]


def _timestamp_moments(evidence: Evidence) -> list[datetime.datetime]:
    """Return the times that timestamps give, which are not yet proven."""
    from rfc3161_client import decode_timestamp_response

    return [decode_timestamp_response(raw).tst_info.gen_time for raw in evidence.material.timestamps]


def _moment(seconds: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(seconds=seconds)


def _validity(entry: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    return entry.get("validFor") or (entry.get("publicKey") or {}).get("validFor") or {}


def _valid_at(validity: t.Mapping[str, t.Any], moments: t.Iterable[datetime.datetime]) -> bool:
    """Tell whether ``moments`` all lie in a range of times as trusted roots write it."""
    start, end = (_read_time(validity.get(name)) for name in ("start", "end"))
    return all((start is None or start <= moment) and (end is None or moment <= end) for moment in moments)


def _read_time(text: t.Any) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))


def _verifying() -> t.Any:
    from sigstore.models import KeyringPurpose

    return KeyringPurpose.VERIFY


class _Policy:
    """The identity that must have signed, as the library asks for it."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def verify(self, certificate: Certificate) -> None:
        self._identity.check(certificate)


@contextlib.contextmanager
def _refusing() -> t.Iterator[None]:
    """Turn whatever the library raises into a ProtocolError: it reads what anyone may have pushed."""
    try:
        yield
    except ProtocolError:
        raise
    except Exception as error:
        raise ProtocolError(f"it does not verify: {printable(error, 300)}") from None

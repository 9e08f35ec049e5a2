# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What can go wrong, as exceptions that say what was tried, what was answered and what to do."""

from __future__ import annotations

import re
import typing as t

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def printable(text: object, limit: int = 500) -> str:
    """Return ``text`` from a server as one harmless line: control characters gone, length bounded."""
    line = _CONTROL.sub(" ", str(text)).strip()
    return line if len(line) <= limit else line[:limit] + "…"


class RegistryError(Exception):
    """Base of everything this collection raises on purpose.

    ``kind`` is the stable name that playbooks may test; ``status``, ``code``, ``registry_message`` and ``detail``
    are the registry's answer (distribution-spec, "Error Codes"); ``method`` and ``url`` name the request. ``url`` never
    holds a query or user information. ``retry_after`` is the pause in seconds that it asked for. ``result`` tells what had
    been done by then, for operations of several steps.
    """

    kind = "error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        registry_message: str | None = None,
        detail: t.Any = None,
        method: str | None = None,
        url: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.registry_message = registry_message
        self.detail = detail
        self.method = method
        self.url = url
        self.retry_after = retry_after
        self.result: dict[str, t.Any] = {}

    def add_sentence(self, sentence: str) -> RegistryError:
        """Let the message go on with ``sentence``, and return the error itself."""
        return self.replace_message(f"{self} {sentence}".strip())

    def replace_message(self, message: str) -> RegistryError:
        """Let ``message`` stand for the whole error, whose kind and answer stay, and return the error itself."""
        self.args = (message,)
        return self

    def add_result(self, result: t.Mapping[str, t.Any]) -> RegistryError:
        """Let the failed task return ``result`` as well: what had been done by then. Returns the error itself."""
        self.result = {**self.result, **result}
        return self

    def add_request(self, status: int, method: str, url: str) -> RegistryError:
        """Let the error name the request and its answer, where it names none yet. Returns the error itself."""
        self.status = self.status if self.status is not None else status
        self.method, self.url = self.method or method, self.url or url
        return self

    def to_dict(self) -> dict[str, t.Any]:
        """Return the ``error`` value of a failed module."""
        return {
            "kind": self.kind,
            "status": self.status,
            "code": self.code,
            "message": self.registry_message,
            "detail": self.detail,
            "method": self.method,
            "url": self.url,
        }


class InvalidInput(RegistryError):
    """An option, a reference or a file given by the user cannot be used. Nothing was sent."""

    kind = "invalid_input"


class Unauthorized(RegistryError):
    """No credentials, wrong ones, or a challenge that cannot be answered."""

    kind = "unauthorized"


class Denied(RegistryError):
    """The registry knows who asks, and says no."""

    kind = "denied"


class NotFound(RegistryError):
    """The registry's own answer that the repository, manifest or blob does not exist."""

    kind = "not_found"


class Unsupported(RegistryError):
    """The registry does not offer the operation, or it is switched off."""

    kind = "unsupported"


class RateLimited(RegistryError):
    """The registry asks to come back later than the retries allow."""

    kind = "rate_limited"


class Unreachable(RegistryError):
    """No answer: name resolution, connection, time-out, or a connection that broke."""

    kind = "unreachable"


class TlsFailure(RegistryError):
    """The TLS handshake failed, or TLS and plain HTTP met each other."""

    kind = "tls"


class UnsafeTarget(RegistryError):
    """A server pointed to a place where this request, or its credentials, must not go."""

    kind = "unsafe_target"


class DigestMismatch(RegistryError):
    """Bytes are not those that their digest or size promises."""

    kind = "digest_mismatch"


class ProtocolError(RegistryError):
    """The answer does not follow the protocol: malformed, too large, contradictory."""

    kind = "protocol"


class Refused(RegistryError):
    """A condition set by the user does not hold, so nothing was changed."""

    kind = "refused"


class LocalStorageError(RegistryError):
    """A local file or directory cannot be read or written."""

    kind = "storage"


class ServerFault(RegistryError):
    """The registry failed (5xx), also after the retries."""

    kind = "server"


class LibraryMissing(RegistryError):
    """A Python library that a requested feature needs is not installed, or is too old. Nothing was sent.

    ``library`` is the name of its package, and ``reason`` the end of a sentence: what it is needed for.
    """

    kind = "library_missing"

    def __init__(self, library: str, reason: str) -> None:
        super().__init__(f"The Python library {library} is not installed. It is required {reason}.")
        self.library = library
        self.reason = reason

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what is fuzzed: a name, a function that reads any bytes, and the exceptions that its documentation names.

The functions also check what has to hold of all that can be read. Anything else that they raise is a finding.
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    InvalidInput,
    NotFound,
    ProtocolError,
    RegistryError,
    Unauthorized,
    UnsafeTarget,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import CredentialHelperFailed
from tests.fuzz import answers, files, signing, words

CORPUS = pathlib.Path(__file__).parent / "corpus"
# Deep nesting is found out with few bytes when there are few frames left.
_FRAMES = 250


class Target(t.NamedTuple):
    """What is fuzzed. ``documented`` are the exceptions that callers are told of."""

    name: str
    run: t.Callable[[bytes], None]
    documented: tuple[type[RegistryError], ...] = ()

    def check(self, data: bytes) -> None:
        """Let the target read ``data``. Raises whatever is a finding."""
        try:
            with _few_frames():
                self.run(data)
        except self.documented as error:
            answers.sentence(error)

    @property
    def seeds(self) -> list[pathlib.Path]:
        """The kept inputs."""
        return sorted((CORPUS / self.name).glob("*.bin"))


_STORED = (InvalidInput, NotFound, ProtocolError, DigestMismatch)

TARGETS = {
    target.name: target
    for target in (
        Target("reference", words.read_reference, (InvalidInput,)),
        Target("registry", words.read_endpoint, (InvalidInput,)),
        Target("platform", words.read_platform, (InvalidInput,)),
        Target("versions", words.order_versions),
        Target("version-range", words.read_version_range, (InvalidInput,)),
        Target("pattern", words.read_pattern, (InvalidInput,)),
        Target("quantities", words.read_quantities),
        Target("policy", words.read_policy, (InvalidInput,)),
        Target("requirements", words.read_requirements, (InvalidInput,)),
        Target("challenge", answers.read_challenges),
        Target("token", answers.read_token, (Unauthorized, ProtocolError, UnsafeTarget)),
        Target("link", answers.read_link),
        Target("manifest", answers.read_manifest, (ProtocolError, NotFound)),
        Target("config", answers.read_config, (ProtocolError,)),
        Target("error", answers.read_error),
        Target("retry-after", answers.read_retry_after),
        Target("header-values", answers.read_header_values),
        Target("location", answers.read_location),
        Target("client", answers.talk, (RegistryError,)),
        Target("auth-file", files.read_auth_file, (InvalidInput, CredentialHelperFailed, Unauthorized)),
        Target("archive", files.read_archive, _STORED),
        Target("layer", files.read_layer, (InvalidInput, Unsupported)),
        Target("packing", files.pack_layer, (InvalidInput,)),
        Target("layout", files.read_layout, _STORED),
        Target("directory", files.read_directory, _STORED),
        Target("prune-files", files.read_documents, (InvalidInput,)),
        Target("bundle", signing.read_any_bundle, (ProtocolError,)),
        Target("signature", signing.read_layer, (ProtocolError,)),
        Target("changed-bundle", signing.verify_changed, (ProtocolError,)),
    )
}


@contextlib.contextmanager
def _few_frames() -> t.Iterator[None]:
    frame, depth = sys._getframe(), 0
    while frame.f_back:
        frame, depth = frame.f_back, depth + 1
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + _FRAMES)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cosign 2 and 3, which judge the same signatures as the collection does."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

from tests.registries import ToolMissing
from tests.registries.binary import DEFAULT_CACHE
from tests.registries.built import COSIGN2, COSIGN3, Source, built_program, find_built

# With this variable set, programs that are missing are built, and a test that needs one is not skipped.
DEMAND = "OCIKIT_TEST_COSIGN"
SOURCES = {2: COSIGN2, 3: COSIGN3}
_SECONDS = 60


class Cosign:
    """One release of cosign, offline, with a home of its own."""

    def __init__(self, release: int, home: pathlib.Path) -> None:
        """Raise ToolMissing where the program was not built, unless it is demanded."""
        self.release = release
        self.program = _find(SOURCES[release])
        self._home = home

    def run(self, *arguments: object, seconds: float = _SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command, and return its result whatever it is."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COSIGN", "SIGSTORE"))
        }
        return subprocess.run(
            [self.program, *map(str, arguments)],
            env={
                **kept,
                "HOME": str(self._home),
                "TUF_ROOT": str(self._home / "tuf"),
                "COSIGN_PASSWORD": "",
                # Nothing here may ask the network, which would only cost time.
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1",
                "DOCKER_CONFIG": str(self._home),
            },
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def must(self, *arguments: object) -> None:
        """Run a command that must succeed."""
        done = self.run(*arguments)
        if done.returncode:
            raise RuntimeError(f"cosign {' '.join(map(str, arguments))}: {done.stderr}")

    def offline_flags(self, folder: pathlib.Path) -> list[object]:
        """Return the flags by which signatures are made without any service."""
        if self.release == 2:
            return ["--tlog-upload=false", "--yes"]
        config = folder / "signing.json"
        config.write_text('{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}')
        return ["--signing-config", config, "--yes"]

    def accepts(self, command: t.Sequence[str], image: str) -> tuple[bool, str]:
        """Return whether ``verify`` or ``verify-attestation`` accepts an image, and what cosign says."""
        done = self.run(*command, image)
        return done.returncode == 0, done.stderr


def _find(source: Source) -> str:
    if os.environ.get(DEMAND):
        return find_built(source)
    program = built_program(source, DEFAULT_CACHE)
    if not program.exists():
        raise ToolMissing(f"{source.name} {source.version} was not built: set {DEMAND}=1 to build it.")
    return str(program)


if __name__ == "__main__":
    for each in SOURCES.values():
        print(find_built(each))

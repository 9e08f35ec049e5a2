# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds registry servers and clients that Debian does not have, with Go and its module proxy, at pinned versions.

What is compiled or downloaded for one is there for the next: much of it is the same in all of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing as t

from .binary import DEFAULT_CACHE, ToolMissing

BUILD_SECONDS = 1800
# Nobody debugs them. Without debugging information they take a seventh less time.
FLAGS = ("-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")
# Where Go's own archives go, which is seldom in PATH.
GO_FOLDER = "/usr/local/go/bin"


class Source(t.NamedTuple):
    """A program in a Go module. ``tags`` are build tags."""

    name: str
    module: str
    version: str
    package: str
    tags: str = ""


DISTRIBUTION3 = Source("distribution", "github.com/distribution/distribution/v3", "v3.1.1", "cmd/registry")
# The module proxy refuses the names that later versions have. Without tags it is zot's "minimal" build.
ZOT = Source("zot", "github.com/project-zot/zot", "v1.4.3", "cmd/zot", "containers_image_openpgp")
GO_CONTAINERREGISTRY = Source(
    "go-containerregistry", "github.com/google/go-containerregistry", "v0.20.6", "cmd/registry"
)
OLAREG = Source("olareg", "github.com/olareg/olareg", "v0.1.2", "cmd/olareg")
# Clients that sign: the one writes tags by default, the other referrers.
COSIGN2 = Source("cosign", "github.com/sigstore/cosign/v2", "v2.6.5", "cmd/cosign")
COSIGN3 = Source("cosign", "github.com/sigstore/cosign/v3", "v3.1.3", "cmd/cosign")

# Clients that do what the modules do, to be measured beside them.
CRANE = Source("crane", "github.com/google/go-containerregistry", "v0.21.9", "cmd/crane")
REGCTL = Source("regctl", "github.com/regclient/regclient", "v0.11.5", "cmd/regctl")
REGBOT = Source("regbot", "github.com/regclient/regclient", "v0.11.5", "cmd/regbot")
ORAS = Source("oras", "oras.land/oras", "v1.3.4", "cmd/oras")


def built_program(source: Source, cache_dir: os.PathLike[str] | str = DEFAULT_CACHE) -> pathlib.Path:
    """Return where the program is kept once it was built."""
    return pathlib.Path(cache_dir).resolve() / "registries" / f"{source.name}-{source.version[1:]}"


def find_built(source: Source, cache_dir: os.PathLike[str] | str = DEFAULT_CACHE) -> str:
    """Return the path of the program, built now unless it was built before.

    :raises ToolMissing: when there is no Go, or the build fails.
    """
    program = built_program(source, cache_dir)
    folder = program.parent
    if program.exists():
        return str(program)
    go = shutil.which("go") or shutil.which("go", path=GO_FOLDER)
    if not go:
        raise ToolMissing(f"{source.name} {source.version} is built with Go: put the go command into PATH.")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{program.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(source, program, go, folder.parent / "go")
    return str(program)


def _build(source: Source, program: pathlib.Path, go: str, shared: pathlib.Path) -> None:
    """Build a program. ``shared`` is a folder for what builds have in common; several may use it at a time."""
    with tempfile.TemporaryDirectory(dir=program.parent, prefix=f".{program.name}-") as work:
        environment = dict(
            os.environ,
            CGO_ENABLED="0",
            GOCACHE=f"{shared}/build",
            # Modules are kept read-only otherwise, which nothing can tidy up.
            GOFLAGS=f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
            GOPATH=f"{shared}/path",
            GOMODCACHE=f"{shared}/modules",
            GOTMPDIR=work,
            # Some installations keep to their own release, which may be too old for the module.
            GOTOOLCHAIN=os.environ.get("GOTOOLCHAIN", "auto"),
            # The module's own go.mod and go.sum decide, whatever lies above.
            GOWORK="off",
        )
        download = [go, "mod", "download", "-json", f"{source.module}@{source.version}"]
        module = json.loads(_go(source, download, environment, work))["Dir"]
        # Built where it lies, its go.mod is the main one, so its replacements and checksums hold.
        build = [go, "build", *FLAGS, "-tags", source.tags, "-o", f"{work}/program"]
        _go(source, [*build, f"./{source.package}"], environment, module)
        os.replace(f"{work}/program", program)


def _go(source: Source, command: list[str], environment: dict[str, str], folder: str) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=BUILD_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or error.stdout).strip()[-2000:]
        raise ToolMissing(f"{source.name} {source.version} could not be built: {reason}") from None
    except subprocess.TimeoutExpired:
        raise ToolMissing(
            f"{source.name} {source.version} was not built in {BUILD_SECONDS} seconds."
        ) from None
    return done.stdout


if __name__ == "__main__":
    for each in (DISTRIBUTION3, ZOT, GO_CONTAINERREGISTRY, OLAREG, COSIGN2, COSIGN3):
        print(find_built(each), file=sys.stdout)

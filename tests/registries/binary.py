# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the programs the tests need, and gets them from Debian when they are not there."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing as t

DEFAULT_CACHE = pathlib.Path(__file__).resolve().parents[2] / ".cache"
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
CONTAINER_IMAGE = "docker.io/library/registry:2"
WRAPPER = """#!/bin/sh
export LD_LIBRARY_PATH="{libraries}"
exec "{binary}" {arguments} "$@"
"""
CONTAINER_WRAPPER = """#!/bin/sh
exec {engine} run --rm --network host --volume "{temp}:{temp}" {image} "$@"
"""
# Options a program needs when its package is unpacked but not installed: skopeo finds no policy in /etc then.
UNPACKED_ARGUMENTS = {"skopeo": "--insecure-policy"}


class ToolMissing(SystemExit):
    """A program is not here and cannot be had. Its message is one sentence that says what to do."""


def find_registry(cache_dir: os.PathLike[str] | str = DEFAULT_CACHE) -> str:
    """Return the path of a program that runs as ``PROGRAM serve CONFIG``.

    Looks for ``docker-registry`` and ``registry`` in PATH, then installs or unpacks Debian's package,
    then tries a container of the reference image.

    :raises ToolMissing: when none of these works.
    """
    found = shutil.which("docker-registry") or shutil.which("registry")
    if found:
        return found
    try:
        return find_tool("docker-registry", "docker-registry", cache_dir)
    except ToolMissing as error:
        container = _container_registry(pathlib.Path(cache_dir))
        if container:
            return container
        raise ToolMissing(f"{error} A working docker or podman command would do as well.") from None


def find_tool(
    name: str, package: str | None = None, cache_dir: os.PathLike[str] | str = DEFAULT_CACHE
) -> str:
    """Return the path of the program ``name``, which is part of the Debian package ``package``.

    Root installs a missing package; other users unpack it, with the libraries it lacks, into ``cache_dir``.

    :raises ToolMissing: when the program is not here and the package cannot be had.
    """
    package = package or name
    found = _which(name)
    if found:
        return found
    cache = pathlib.Path(cache_dir).resolve() / "debian"
    wrapper = cache / "bin" / name
    if wrapper.exists():
        return str(wrapper)
    advice = (
        f"{name} is not installed and {{}}: install the Debian package {package}, or put {name} into PATH."
    )
    if not shutil.which("apt-get"):
        raise ToolMissing(advice.format("there is no apt-get to get it with"))
    try:
        if os.geteuid() == 0:
            _install(package)
        else:
            _unpack(name, package, cache)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or error.stdout or "").strip().splitlines() or [
            f"exit code {error.returncode}"
        ]
        raise ToolMissing(advice.format(f"{error.cmd[0]} failed ({reason[-1]})")) from None
    found = _which(name) or (str(wrapper) if wrapper.exists() else None)
    if not found:
        raise ToolMissing(advice.format(f"the package {package} does not hold it"))
    return found


def _which(name: str) -> str | None:
    if name == "busybox":
        # Images need the static program. The package `busybox` puts a dynamic one into the same place.
        found = shutil.which("busybox")
        return found if found and _is_static(found) else None
    return shutil.which(name)


def _is_static(path: str) -> bool:
    # A dynamic program names its loader near its start.
    with open(path, "rb") as program:
        return b"/ld-" not in program.read(4096)


def _run(*command: str, **options: t.Any) -> str:
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=600, env=environment, **options
    )
    return str(done.stdout)


def _install(package: str) -> None:
    # The registry's package starts a server on port 5000 unless a policy forbids it.
    forbid = not POLICY.exists()
    if forbid:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        POLICY.chmod(0o755)
    install = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package)
    try:
        try:
            _run(*install)
        except subprocess.CalledProcessError:
            _run("apt-get", "update", "--quiet")
            _run(*install)
    finally:
        if forbid:
            POLICY.unlink()


def _unpack(name: str, package: str, cache: pathlib.Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpack-") as temporary:
        work = pathlib.Path(temporary)
        options = _apt_options(package, cache)
        root = work / "root"
        for wanted in [package] + _missing_libraries(package, options):
            _run("apt-get", *options, "download", wanted, cwd=work)
        for archive in work.glob("*.deb"):
            _run("dpkg", "-x", str(archive), str(root))
        final = cache / package
        if not final.exists():
            try:
                root.rename(final)
            except OSError:  # another process was faster
                if not final.exists():
                    raise
        binary = next((path for path in _programs(final, name)), None)
        if binary is None:
            return
        libraries = sorted({str(path.parent) for path in final.rglob("lib*.so*")})
        arguments = UNPACKED_ARGUMENTS.get(name, "")
        script = work / name
        if libraries or arguments:
            text = WRAPPER.format(libraries=":".join(libraries), binary=binary, arguments=arguments)
            script.write_text(text, encoding="utf-8")
            script.chmod(0o755)
        else:
            script.symlink_to(binary)
        (cache / "bin").mkdir(exist_ok=True)
        script.replace(cache / "bin" / name)


def _programs(root: pathlib.Path, name: str) -> t.Iterator[pathlib.Path]:
    for folder in ("usr/bin", "bin", "usr/sbin", "sbin"):
        if (root / folder / name).is_file():
            yield root / folder / name


def _apt_options(package: str, cache: pathlib.Path) -> list[str]:
    # Without package lists, a user who is not root keeps lists of their own.
    if _known(package, []):
        return []
    state = cache / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
    if not _known(package, options):
        _run("apt-get", *options, "update", "--quiet")
    return options


def _known(package: str, options: list[str]) -> bool:
    return (
        "Package:"
        in subprocess.run(
            ["apt-cache", *options, "show", package], capture_output=True, text=True, check=False, timeout=60
        ).stdout
    )


def _missing_libraries(package: str, options: list[str]) -> list[str]:
    """Return the library packages that ``package`` needs, directly or not, and that are not installed."""
    missing: list[str] = []
    queue = [package]
    while queue:
        for line in _run("apt-cache", *options, "depends", "--no-recommends", queue.pop()).splitlines():
            kind, _separator, name = line.strip().partition(": ")
            if kind in ("Depends", "PreDepends") and name.startswith("lib") and name != "libc6":
                if name not in missing and not _installed(name):
                    missing.append(name)
                    queue.append(name)
    return missing


def _installed(package: str) -> bool:
    status = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return "install ok installed" in status.stdout


def _container_registry(cache: pathlib.Path) -> str | None:
    for engine in ("docker", "podman"):
        path = shutil.which(engine)
        if not path:
            continue
        # The command alone says nothing: a docker client without its daemon is common.
        for arguments in (["info"], ["pull", "--quiet", CONTAINER_IMAGE]):
            done = subprocess.run([path, *arguments], capture_output=True, check=False, timeout=300)
            if done.returncode:
                break
        else:
            wrapper = cache / "registry-container"
            cache.mkdir(parents=True, exist_ok=True)
            text = CONTAINER_WRAPPER.format(engine=path, temp=tempfile.gettempdir(), image=CONTAINER_IMAGE)
            wrapper.write_text(text, encoding="utf-8")
            wrapper.chmod(0o755)
            return str(wrapper)
    return None


if __name__ == "__main__":
    print(find_tool(*sys.argv[1:]) if len(sys.argv) > 1 else find_registry())

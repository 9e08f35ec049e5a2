# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SSH server on the loopback interface, with keys of its own, that lets in the user who runs the tests."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import time
import typing as t

from tests.registries import find_tool

SECONDS = 30
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
PasswordAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
"""
# The settings of the user who runs the tests have no say.
OPTIONS = (
    "-F /dev/null -o IdentitiesOnly=yes -o IdentityAgent=none -o ControlMaster=no"
    " -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    return False


def _start(sshd: str, folder: pathlib.Path) -> tuple[subprocess.Popen[bytes], int]:
    port = _free_port()
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, folder=folder), encoding="utf-8")
    with (folder / "sshd.log").open("ab") as log:
        process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(config)], stderr=log, stdin=subprocess.DEVNULL
        )
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and not _listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process, port


@contextlib.contextmanager
def ssh_server(folder: pathlib.Path) -> t.Iterator[dict[str, str]]:
    """Run an SSH server whose files are in ``folder``; give the variables of an inventory that reach it.

    Raises:
        ToolMissing: OpenSSH is not here and cannot be had.
    """
    sshd, ssh = find_tool("sshd", "openssh-server"), find_tool("ssh", "openssh-client")
    keygen = find_tool("ssh-keygen", "openssh-client")
    for key in ("host_key", "user_key"):
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    privileges = pathlib.Path("/run/sshd")
    if os.geteuid() == 0 and not privileges.exists():
        # Where the system has not started a server since it was booted. Others may be using it by the end of the test.
        privileges.mkdir(mode=0o755)
    process, port = _start(sshd, folder)
    if process.poll() is not None:
        # Something else took the port.
        process, port = _start(sshd, folder)
    try:
        assert process.poll() is None and _listens(port), (folder / "sshd.log").read_text(encoding="utf-8")
        yield {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_pipelining": "true",
            "ansible_port": str(port),
            "ansible_ssh_args": OPTIONS,
            "ansible_ssh_executable": ssh,
            "ansible_ssh_private_key_file": str(folder / "user_key"),
        }
    finally:
        process.terminate()
        process.wait(SECONDS)


def gives_terminals(variables: t.Mapping[str, str]) -> bool:
    """Tell whether the server gives terminals: that of an ordinary user cannot where /dev/pts is mounted without a group."""
    command = [variables["ansible_ssh_executable"], *variables["ansible_ssh_args"].split(), "-tt"]
    command += ["-p", variables["ansible_port"], "-i", variables["ansible_ssh_private_key_file"]]
    done = subprocess.run(
        [*command, variables["ansible_host"], "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    return done.returncode == 0

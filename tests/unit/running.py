# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as Ansible runs them: each a program of its own that gets its parameters as JSON."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

from ansible.module_utils.common.parameters import PASS_VARS

ROOT = pathlib.Path(__file__).resolve().parents[2]
_CODE = """\
import importlib, signal, sys
# Whoever runs the tests in the background, or with nohup, has them ignored.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = 'legacy'
importlib.import_module('ansible_collections.ocikit.registry.plugins.modules.' + sys.argv[1]).main()
"""


def start(module: str, url: str, **params: t.Any) -> subprocess.Popen[str]:
    """Start ``module`` with ``params`` on the registry at ``url``."""
    given = {
        "registry": url,
        "auth_file": os.devnull,
        "_ansible_remote_tmp": "~/.ansible/tmp",
        "_ansible_keep_remote_files": False,
        # ansible-core 2.21 and newer shows the options of a module only if it is told to.
        **({"_ansible_inject_invocation": True} if "inject_invocation" in PASS_VARS else {}),
        **{name: str(value) if isinstance(value, pathlib.Path) else value for name, value in params.items()},
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE, module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / ".cache" / "dev"), str(ROOT)])},
    )
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
    process.stdin.close()
    process.stdin = None
    return process

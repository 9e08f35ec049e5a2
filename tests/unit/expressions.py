# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates expressions as playbooks do, in a process of its own.

ansible-core reads its configuration and finds collections once for each process, so every call of
``evaluate`` runs this file as a program.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import textwrap
import typing as t

from ansible.errors import AnsibleError
from ansible.parsing import vault
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.utils.display import Display

COLLECTIONS = pathlib.Path(__file__).resolve().parents[2] / ".cache" / "dev"
FOREIGN = ("ANSIBLE_", "OCIKIT_", "REGISTRY_", "DOCKER_", "XDG_")


@dataclasses.dataclass
class Answers:
    """What the expressions gave, in order: a value, or an error's text. ``shown`` is all other output."""

    values: list[t.Any]
    errors: list[str | None]
    shown: str


def evaluate(
    *expressions: str,
    variables: t.Mapping[str, t.Any] | None = None,
    vaulted: t.Mapping[str, str] | None = None,
    environment: t.Mapping[str, str] | None = None,
    verbosity: int = 0,
) -> Answers:
    """Evaluate ``expressions`` with ``variables``, whose texts are templates, and with ``vaulted`` ones."""
    question = {
        "expressions": expressions,
        "variables": dict(variables or {}),
        "vaulted": dict(vaulted or {}),
        "verbosity": verbosity,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(question),
        env={**inherited, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    shown, _newline, last = done.stdout.rstrip("\n").rpartition("\n")
    answers = json.loads(last)
    return Answers(
        [answer.get("value") for answer in answers],
        [answer.get("error") for answer in answers],
        shown + done.stderr,
    )


def _trusted(value: t.Any) -> t.Any:
    """Return ``value`` with every text in it as one that a playbook holds."""
    try:
        from ansible.template import trust_as_template
    except ImportError:
        # Before 2.19 every text is.
        return value
    if isinstance(value, dict):
        return {name: _trusted(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_trusted(one) for one in value]
    return trust_as_template(value) if isinstance(value, str) else value


def _encrypted(loader: DataLoader, texts: dict[str, str]) -> dict[str, t.Any]:
    """Return ``texts`` as ansible-core reads them from a playbook that has them after ``!vault``."""
    secret = VaultSecret(b"vault password")
    secrets: list[t.Any] = [("default", secret)]
    loader.set_vault_secrets(secrets)
    if hasattr(vault, "VaultSecretsContext"):
        vault.VaultSecretsContext.initialize(vault.VaultSecretsContext(secrets))
    lines = []
    for name, text in texts.items():
        lines.append(f"{name}: !vault |")
        lines.append(textwrap.indent(VaultLib().encrypt(text, secret).decode(), "  "))
    return loader.load("\n".join(lines)) if lines else {}


def _evaluated(templar: Templar, expression: str) -> dict[str, t.Any]:
    try:
        value = templar.template(_trusted("{{ " + expression + " }}"))
    except AnsibleError as error:
        return {"error": str(error)}
    return {"value": json.loads(json.dumps(value))}


def main() -> None:
    question = json.load(sys.stdin)
    Display().verbosity = question["verbosity"]
    init_plugin_loader([])
    loader = DataLoader()
    variables = {**_trusted(question["variables"]), **_encrypted(loader, question["vaulted"])}
    templar = Templar(loader=loader, variables=variables)
    answers = [_evaluated(templar, expression) for expression in question["expressions"]]
    print("\n" + json.dumps(answers))


if __name__ == "__main__":
    main()

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that is too old gets a sentence."""

from __future__ import annotations

import pathlib

import pytest

from tests.unit import plays

INFO = "ocikit.registry.registry_tag_info"
SENTENCE = "The Python that runs this task is older than 3.8"
# What ansible-core 2.16 to 2.22 show of Python 2.7, 3.6 and 3.7, shortened.
RUNPY = """Traceback (most recent call last):
  File "AnsiballZ_registry_tag_info.py", line 107, in <module>
  File "/usr/lib64/python3.{minor}/runpy.py", line 201, in run_module
{error}"""
PRINTED = {
    "3.6 at the file of a module": RUNPY.format(
        minor=6, error="SyntaxError: future feature annotations is not defined"
    ),
    "3.7 at an import": RUNPY.format(
        minor=7, error="AttributeError: module 'typing' has no attribute 'Protocol'"
    ),
    "3.6 at the file of ansible-core": """Traceback (most recent call last):
  File "<frozen importlib._bootstrap_external>", line 544, in spec_from_file_location
  File "payload.zip/ansible/module_utils/basic.py", line 5
SyntaxError: future feature annotations is not defined""",
    "2.7 at the program": """  File "<stdin>", line 12
    msg=f"ansible-core requires a minimum of Python version"
                                                           ^
SyntaxError: invalid syntax""",
}


def played(folder: pathlib.Path, printed: str, code: int = 1) -> dict[str, object]:
    """Return the result of a task whose interpreter prints ``printed`` instead of running the module."""
    (folder / "printed").write_text(printed, encoding="utf-8")
    python = folder / "python"
    python.write_text(f"#!/bin/sh\ncat {folder}/printed >&2\nexit {code}\n", encoding="utf-8")
    python.chmod(0o755)
    task = {INFO: {"repository": "127.0.0.1:1/a"}, "vars": {"ansible_python_interpreter": str(python)}}
    result: dict[str, object] = plays.play(folder, [task]).outcomes[-1]["result"]
    return result


@pytest.mark.parametrize("name", PRINTED)
def test_a_python_that_is_too_old_gets_a_sentence(tmp_path: pathlib.Path, name: str) -> None:
    result = played(tmp_path, PRINTED[name])
    assert SENTENCE in str(result["msg"]) and "ansible_python_interpreter" in str(result["msg"])
    assert "Traceback" not in str(result)


def test_other_tracebacks_stay(tmp_path: pathlib.Path) -> None:
    result = played(tmp_path, RUNPY.format(minor=11, error="ModuleNotFoundError: No module named 'x'"))
    assert SENTENCE not in str(result) and "No module named" in str(result)

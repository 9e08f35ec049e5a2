# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip script, which ansible-test would download from a server of its own.

``tests/run`` puts it into ansible-test's cache as ``get_pip_X_Y.py``, beside the wheel of pip X.Y.
"""

from __future__ import annotations

import glob
import os
import runpy
import sys

folder, name = os.path.split(os.path.abspath(__file__))
version = os.path.splitext(name)[0][len("get_pip_") :].replace("_", ".")
sys.path[:0] = glob.glob(os.path.join(folder, "pip-" + version + "-*.whl"))
options = [option for option in sys.argv[1:] if option not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", "--upgrade"] + options
runpy.run_module("pip", run_name="__main__")

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# /// script
# dependencies = ["nox>=2025.02.09", "antsibull-nox"]
# ///
"""The checks of Ansible's community collections: nox -e SESSION. tests/run calls those that need nothing but packages."""

import sys

import nox

try:
    import antsibull_nox
except ImportError:
    print("antsibull-nox is needed in the Python of nox: tests/setup tests installs both into .venv.")
    sys.exit(1)

antsibull_nox.load_antsibull_nox_toml()

if __name__ == "__main__":
    nox.main()

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures made in code: keys, a private Sigstore instance, a private PKI, and the forms in which cosign 2 and 3 store them.

Nothing here imports the collection: this package is the independent check of what it verifies.
"""

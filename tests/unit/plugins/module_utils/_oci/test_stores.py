# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan of a copy knows before anything is written."""

from __future__ import annotations

from ansible_collections.ocikit.registry.plugins.module_utils._oci.stores import CopyPlan
from tests.registries import images
from tests.unit.copying import parsed

ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
INDEX = images.index([ONE, TWO])


def test_an_empty_plan_is_complete() -> None:
    assert CopyPlan().complete
    assert CopyPlan().bytes == 0


def test_a_plan_is_complete_once_the_destination_has_all_blobs_and_manifests() -> None:
    levels = [[parsed(INDEX)], [parsed(ONE), parsed(TWO)]]
    everything = [INDEX.digest, ONE.digest, TWO.digest]
    layers = parsed(ONE).layers
    assert [manifest.digest for manifest in CopyPlan(levels).manifests] == everything
    plans = [CopyPlan(levels, set(everything[:2])), CopyPlan(levels, set(everything))]
    assert [plan.complete for plan in plans] == [False, True]
    lacking = CopyPlan(levels, set(everything), layers)
    assert (lacking.complete, lacking.bytes) == (False, sum(layer.size for layer in layers))


def test_roots_are_listed_with_each_of_their_names_in_order() -> None:
    plan = CopyPlan([[parsed(TWO), parsed(ONE)]])
    named = plan.named({ONE.digest: ["1", "latest"], TWO.digest: ["2"]})
    assert [(manifest.digest, name) for manifest, name in named] == [
        (ONE.digest, "1"),
        (ONE.digest, "latest"),
        (TWO.digest, "2"),
    ]

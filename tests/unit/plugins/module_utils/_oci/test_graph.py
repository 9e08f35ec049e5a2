# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The graph of manifests: every walk ends, and every order holds, whatever leads to what."""

from __future__ import annotations

import collections
import itertools
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._oci import graph
from ansible_collections.ocikit.registry.plugins.module_utils._oci.graph import (
    closure,
    depths,
    parents_first,
    walk,
)

NAMES = "abcdefg"
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4))
# Children come later in the alphabet, so that nothing leads to itself.
TREES = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4)).map(
    lambda edges: {
        key: [child for child in edges.get(key, []) if child > key] for key in edges.keys() | set(NAMES)
    }
)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_each_digest_is_visited_once_and_stands_in_the_first_level_that_leads_to_it(concurrency: int) -> None:
    edges = {"root": ["a", "b", "a"], "a": ["c", "root"], "b": ["c", "d"], "c": ["d"]}
    visited: collections.Counter[str] = collections.Counter()

    def visit(digest: str) -> t.Iterable[str]:
        visited[digest] += 1
        return edges.get(digest, ())

    assert walk(["root", "root"], visit, concurrency) == [["root"], ["a", "b"], ["c", "d"]]
    assert set(visited.values()) == {1}


def test_nothing_leads_to_nothing() -> None:
    assert walk([], lambda digest: [digest]) == []


def test_a_chain_without_end_is_an_error() -> None:
    numbers = itertools.count()
    visited = []

    def visit(digest: str) -> list[str]:
        visited.append(digest)
        return [str(next(numbers))]

    with pytest.raises(ProtocolError, match="nested too deeply, or the registry lists them without end"):
        walk(["root"], visit)
    assert len(visited) == graph.MAX_LEVELS


@pytest.mark.parametrize(("levels", "allowed"), [(3, True), (4, False)])
def test_max_levels_counts_the_roots(levels: int, allowed: bool) -> None:
    chain = {str(number): [str(number + 1)] for number in range(levels - 1)}
    if allowed:
        assert len(walk(["0"], lambda digest: chain.get(digest, ()), max_levels=3)) == 3
        return
    with pytest.raises(ProtocolError, match="more than 3 levels"):
        walk(["0"], lambda digest: chain.get(digest, ()), max_levels=3)


def test_too_many_manifests_are_an_error_however_many_roots_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "MAX_MANIFESTS", 10)
    roots = [f"root {number}" for number in range(50)]
    assert len(walk(roots, lambda digest: map(str, range(10)))[1]) == 10
    with pytest.raises(ProtocolError, match="more than 10 others"):
        walk(roots, lambda digest: map(str, range(11)))


def test_errors_of_a_visit_end_the_walk() -> None:
    def visit(digest: str) -> list[str]:
        raise ProtocolError("broken")

    with pytest.raises(ProtocolError, match="broken"):
        walk(["a", "b"], visit, 2)


def test_a_closure_has_no_bound_but_its_own_size() -> None:
    chain = {str(number): [str(number + 1)] for number in range(2000)}
    assert closure(["0"], chain) == {str(number) for number in range(2001)}


@given(GRAPHS, st.lists(st.sampled_from(NAMES)))
def test_a_closure_holds_exactly_what_is_reached(edges: dict[str, list[str]], roots: list[str]) -> None:
    reached = closure(roots, edges)
    assert set(roots) <= reached
    assert all(child in reached for digest in reached for child in edges.get(digest, ()))
    # Without any of it, something that is needed would be missing.
    for digest in reached.difference(roots):
        assert any(digest in edges.get(other, ()) for other in reached - {digest})


@given(TREES)
def test_parents_come_before_their_children(edges: dict[str, list[str]]) -> None:
    order = parents_first(edges)
    assert sorted(order) == sorted(edges)
    place = {digest: number for number, digest in enumerate(order)}
    assert all(place[digest] < place[child] for digest, named in edges.items() for child in named)
    assert parents_first(dict(reversed(list(edges.items())))) == order


@given(GRAPHS)
def test_circles_are_ordered_too(edges: dict[str, list[str]]) -> None:
    order = parents_first(edges)
    assert sorted(order) == sorted(edges)
    assert set(depths(edges)) == set(edges)


def test_what_is_urgent_comes_first_among_what_is_free() -> None:
    edges: dict[str, list[str]] = {"a": [], "b": [], "c": ["d"], "d": []}
    assert parents_first(edges, urgent={"a"})[0] == "a"
    order = parents_first(edges, urgent={"d"})
    assert order.index("c") < order.index("d") == order.index("c") + 1


def test_a_chain_of_thousands_needs_no_recursion() -> None:
    chain = {str(number): [str(number + 1)] for number in range(5000)}
    assert parents_first(chain) == [str(number) for number in range(5000)]
    assert depths(chain)["4999"] == 4999


@given(TREES)
def test_depth_is_the_longest_way_to_a_manifest(edges: dict[str, list[str]]) -> None:
    found = depths(edges)
    for digest in edges:
        above = [other for other, named in edges.items() if digest in named]
        assert found[digest] == max((found[other] + 1 for other in above), default=0)

# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""A prune from its options to its result: all repositories are planned for, then pruned one after another."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from .._errors import InvalidInput, Refused, RegistryError
from .._oci.reference import Reference
from .._oci.tag_patterns import REPOSITORIES, Patterns, is_pattern
from .._registry.catalog import find_repositories
from .._registry.context import ModuleContext
from .apply import Outcome, PlanApplier
from .limits import check_limits
from .plan import RepositoryPlan, diff_of, make_repository_plan, read_plans, write_plans
from .policy import make_plan
from .protection import ProtectEntry, Protection, read_protect, unmatched_entries
from .rules import Rule, parse_rules
from .snapshot import SnapshotCache, take_snapshot
from .undo import Restored, UndoEntry, UndoFile, choose_runs, read_runs, restore


@dataclass
class _Policy:
    """What decides over all repositories, and which entries of ``protect`` match something in each."""

    rules: t.Sequence[Rule]
    protect: t.Sequence[ProtectEntry]
    now: float
    matches: list[dict[str, bool]] = field(default_factory=list)


def prune(context: ModuleContext) -> dict[str, t.Any]:
    """Do what registry_prune is asked for, and return its result. Raises RegistryError, whose result tells what was done."""
    params = context.params
    _check(params)
    if params["restore"]:
        return _restore(context)
    undo = UndoFile(params["undo"]) if params["undo"] else None
    if params["apply_plan"]:
        outcomes = [Outcome(plan) for plan in read_plans(params["apply_plan"])]
    else:
        policy = _Policy(parse_rules(params["rules"]), read_protect(params["protect"]), time.time())
        outcomes = [_plan(context, reference, policy, undo) for reference in _repositories(context)]
        for entry in unmatched_entries(policy.matches):
            context.warn(
                f"The entry {entry!r} of protect matches nothing in the repositories that it is about."
            )
    result = _write_plan(context, outcomes) if params["plan"] else _apply(context, outcomes, undo)
    result["repositories"] = [outcome.to_dict() for outcome in outcomes]
    if any(outcome.incomplete for outcome in outcomes):
        # A task that did not do all of its work has failed, and says what it did.
        raise _failure(outcomes).add_result(result)
    return result


def _check(params: t.Mapping[str, t.Any]) -> None:
    ways = [name for name in ("repositories", "apply_plan", "restore") if params[name]]
    if len(ways) != 1:
        raise InvalidInput("Set one of repositories (with rules), apply_plan and restore.")
    if ways != ["repositories"] and (params["rules"] or params["plan"]):
        raise InvalidInput(f"rules and plan go with repositories, not with {ways[0]}.")
    if params["undo"] and (params["plan"] or params["restore"]):
        way = "plan" if params["plan"] else "restore"
        raise InvalidInput(f"With {way} nothing is deleted, so there is nothing to undo: leave undo out.")
    if params["restore_run"] and not params["restore"]:
        raise InvalidInput("restore_run chooses a run of the undo file: set restore to that file.")


def _repositories(context: ModuleContext) -> list[Reference]:
    """Return the repositories that are named, then those of the catalog that match."""
    entries: list[str] = context.params["repositories"]
    patterns = [entry for entry in entries if is_pattern(entry)]
    found = [context.clients.repository(entry) for entry in entries if entry not in patterns]
    if patterns:
        if not context.params["registry"]:
            raise InvalidInput(f"{patterns[0]} is a pattern over a catalog: set registry to say whose.")
        client = context.clients.default()
        included = Patterns(
            [_without_registry(one, client.endpoint.name) for one in patterns], "repositories", REPOSITORIES
        )
        names, _more = find_repositories(client, [], [], None)
        found += [Reference(client.endpoint.name, name) for name in names if included.match(name)]
    return list(dict.fromkeys(found))


def _without_registry(pattern: str, registry: str) -> str:
    host, _slash, rest = pattern.partition("/")
    if pattern.startswith("regex:") or not rest or not ("." in host or ":" in host or host == "localhost"):
        return pattern
    if host != registry:
        raise InvalidInput(
            f"{pattern} is a pattern over another catalog than that of {registry}: set registry to {host}."
        )
    return rest


def _plan(context: ModuleContext, reference: Reference, policy: _Policy, undo: UndoFile | None) -> Outcome:
    """Plan for one repository. What goes wrong in it does not stop the others."""
    params = context.params
    plan = RepositoryPlan(reference.registry, reference.repository)
    try:
        repository = context.clients.repository_of(reference)
        cache = SnapshotCache(
            params["cache_dir"], reference.registry, reference.repository, writable=not context.check_mode
        )
        unfinished = undo.unfinished(plan.place) if undo else []
        snapshot = take_snapshot(repository, cache, unfinished)
        if snapshot is None:
            return Outcome(plan)
        protection = Protection(policy.protect, reference.registry, reference.repository)
        policy.matches.append(protection.matches(snapshot.tags, snapshot.digests))
        retention = make_plan(
            snapshot, policy.rules, protection, policy.now, params["unknown_age"] == "delete", unfinished
        )
        plan = make_repository_plan(repository, snapshot, retention, protection)
        refusal = check_limits(retention, params["max_delete"], params["max_delete_percent"])
        return Outcome(plan, error=Refused(f"{refusal}: nothing was deleted.") if refusal else None)
    except RegistryError as error:
        return Outcome(plan, error=error)


def _write_plan(context: ModuleContext, outcomes: t.Sequence[Outcome]) -> dict[str, t.Any]:
    plans = [outcome.plan for outcome in outcomes if not outcome.error]
    changed = write_plans(context.params["plan"], plans, context.check_mode)
    return {"changed": changed, "diff": diff_of(plans)}


def _apply(context: ModuleContext, outcomes: t.Sequence[Outcome], undo: UndoFile | None) -> dict[str, t.Any]:
    """Carry the plans out, one repository after another. All that undoes them is written before each."""
    previous: list[UndoEntry] = []
    pending: list[RepositoryPlan] = []
    stopped: RegistryError | None = None
    for outcome in outcomes:
        if outcome.error or not outcome.plan.has_work:
            continue
        if stopped:
            outcome.error = stopped
            continue
        try:
            applier = PlanApplier(context.clients.repository_of(outcome.plan.reference), outcome)
            applier.look()
            pending.append(applier.pending)
            if not context.check_mode and applier.has_work:
                _apply_one(context, applier, undo, previous)
        except RegistryError as error:
            outcome.error = error
        except KeyboardInterrupt as interrupt:
            outcome.error = stopped = RegistryError(str(interrupt))
    would_change = context.check_mode and any(plan.has_work for plan in pending)
    changed = would_change or any(outcome.changed for outcome in outcomes)
    result: dict[str, t.Any] = {"changed": changed, "diff": diff_of(pending)}
    if undo and not context.check_mode:
        _close(undo, outcomes, whole=not context.params["apply_plan"])
        if undo.has_entries:
            result["undo_run"] = undo.run_name
    elif previous:
        result["previous"] = [entry.to_dict() for entry in previous]
    return result


def _apply_one(
    context: ModuleContext, applier: PlanApplier, undo: UndoFile | None, previous: list[UndoEntry]
) -> None:
    entries = applier.read_originals()
    if undo:
        undo.begin(applier.outcome.plan.place, entries)
    try:
        applier.run()
    finally:
        if applier.outcome.changed:
            previous += entries
        # A tag that somebody points to an image in the moment of its deletion goes with it; or somebody removed it.
        for tag in applier.vanished:
            context.warn(
                f"{applier.outcome.plan}:{tag} was to stay, and went away while images were deleted: if it was pointed"
                " to one of these at that moment, it went with that."
            )


def _close(undo: UndoFile, outcomes: t.Sequence[Outcome], whole: bool) -> None:
    """Write to the undo file what was finished.

    ``whole`` plans also hold what runs that were stopped have left; of others it is looked at whether they do.
    """
    for outcome in outcomes:
        plan = outcome.plan
        if not outcome.error:
            handled = {*plan.digests, *plan.candidates.values()}
            undo.finish(plan.place, before=whole or handled.issuperset(undo.unfinished(plan.place)))
    undo.close()


def _failure(outcomes: t.Sequence[Outcome]) -> RegistryError:
    """Return the first failure, or a refusal, in the words of the whole task."""
    incomplete = [outcome for outcome in outcomes if outcome.incomplete]
    first = incomplete[0]
    why = first.error or f"{first.refused[0].tag}: {first.refused[0].why}."
    error = next((outcome.error for outcome in incomplete if outcome.error), None) or Refused("")
    return error.replace_message(
        f"{len(incomplete)} of {len(outcomes)} repositories were not pruned as planned; {first.plan.repository}: {why}"
    )


def _restore(context: ModuleContext) -> dict[str, t.Any]:
    runs = choose_runs(read_runs(context.params["restore"]), context.params["restore_run"])
    done: list[Restored] = []
    try:
        done.extend(restore(context.clients.repository_of, runs, context.check_mode))
        wrong = [one for one in done if one.failed]
        if wrong:
            raise Refused(
                f"{len(wrong)} of {len(done)} could not be put back; {wrong[0].image}: {wrong[0].why}."
            )
    except RegistryError as error:
        error.add_result(_restored(done))
        raise
    return _restored(done)


def _restored(done: t.Sequence[Restored]) -> dict[str, t.Any]:
    changed = any(one.outcome == "restored" for one in done)
    return {"changed": changed, "restored": [one.to_dict() for one in done]}

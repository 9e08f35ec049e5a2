# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""A prune from its options to its result: all repositories are planned for, then pruned one after another."""

from __future__ import annotations

import time
import typing as t

from .._errors import InvalidInput, Refused, RegistryError
from .._oci.reference import Reference
from .._registry.context import ModuleContext
from .._storage.files import check_place
from .apply import Outcome, PlanApplier
from .documents import check_content, encode_document, write_document
from .options import InvalidPolicy, Policy, check_options, option_names, read_policies
from .plan import PLAN_FORMAT, RepositoryPlan, diff_of, make_repository_plan, read_plans, write_plans
from .policy import make_plan
from .protection import Protection, unmatched_entries
from .repositories import Catalogs
from .results import fits, prune_result, restore_result, shortened
from .rules import label_names
from .snapshot import SnapshotCache, take_snapshot
from .undo import Restored, UndoEntry, UndoFile, choose_runs, read_runs, restore

REPORT_FORMAT = "ocikit.registry/prune-report/1"


def prune(context: ModuleContext) -> dict[str, t.Any]:
    """Do what registry_prune is asked for, and return its result. Raises RegistryError, whose result tells what was done."""
    check_options(context.params, context.empty_suboptions)
    if context.params["restore"]:
        return _restore(context)
    for option in ("plan", "report", "undo"):
        if context.params[option]:
            check_place(context.params[option])
    for option, kind in (("plan", PLAN_FORMAT), ("report", REPORT_FORMAT)):
        if context.params[option]:
            check_content(context.params[option], kind)
    return _Prune(context).run()


class _PolicyOutcome(t.NamedTuple):
    """What became of one of several policies: ``error`` tells why its repositories are not known."""

    name: str
    repositories: int
    error: RegistryError | None

    def to_dict(self) -> dict[str, t.Any]:
        error = shortened(str(self.error)) if self.error else None
        return {"name": self.name, "repositories": self.repositories, "error": error}


class _Prune:
    """One task: the outcomes of its repositories, and what undoes them."""

    def __init__(self, context: ModuleContext) -> None:
        self._context = context
        self._params = context.params
        self._now = time.time()
        self._undo = (
            UndoFile(self._params["undo"], self._params["undo_days"]) if self._params["undo"] else None
        )
        self._outcomes: list[Outcome] = []
        self._policies: list[_PolicyOutcome] = []
        # What is left to be done of the plans, for the diff, and what undoes it where there is no undo file.
        self._pending: list[RepositoryPlan] = []
        self._previous: list[UndoEntry] = []
        # Whether that is left out, as a result has no room for it.
        self._previous_is_cut = False

    def run(self) -> dict[str, t.Any]:
        if self._params["apply_plan"]:
            self._outcomes = [Outcome(plan) for plan in read_plans(self._params["apply_plan"])]
        else:
            self._plan()
        self._warn_of_masked_names(name for outcome in self._outcomes for name in outcome.plan.names())
        changed = self._write_plan() if self._params["plan"] else self._apply()
        result = self._result(changed, details=self._params["details"])
        wants_report = self._params["report"] and not self._context.check_mode
        # With the errors as they were, before one of them speaks for the whole task.
        report = self._result(changed, details=True) if wants_report else {}
        failure = self._failure()
        if wants_report:
            report["error"] = str(failure) if failure else None
            self._write_report(report, result, failure)
        if failure:
            # A task that did not do all of its work has failed, and says what it did.
            raise failure.add_result(result)
        return result

    def _result(self, changed: bool, details: bool) -> dict[str, t.Any]:
        result = prune_result(changed, self._outcomes, diff_of(self._pending), self._previous, details)
        result["truncated"] = result["truncated"] or self._previous_is_cut
        if self._params["policies"]:
            result["policies"] = [policy.to_dict() for policy in self._policies]
        if self._undo and self._undo.has_entries:
            result["undo_run"] = self._undo.run_name
        return result

    def _write_report(
        self, report: dict[str, t.Any], result: dict[str, t.Any], failure: RegistryError | None
    ) -> None:
        """Write the report file. Raises LocalStorageError, unless there is another failure to be told."""
        content = {name: value for name, value in report.items() if name not in ("diff", "previous")}
        try:
            write_document(self._params["report"], encode_document(REPORT_FORMAT, content), check_mode=False)
        except RegistryError as error:
            if not failure:
                error.add_result(result)
                raise
            failure.add_sentence(str(error))

    def _plan(self) -> None:
        """Plan for all repositories of all policies. One that cannot be applied does not stop the others."""
        catalogs = Catalogs(self._context)
        policies = [self._checked(policy, catalogs) for policy in read_policies(self._params)]
        matches: list[dict[str, bool]] = []
        places: dict[Reference, list[Policy]] = {}
        for policy in policies:
            error: RegistryError | None = None
            references: list[Reference] = []
            if isinstance(policy, InvalidPolicy):
                error = policy.error
            else:
                try:
                    references = catalogs.repositories(policy)
                except RegistryError as failure:
                    if policy.name is None:
                        raise
                    error = failure
                for reference in references:
                    places.setdefault(reference, []).append(policy)
            self._policies.append(_PolicyOutcome(policy.name or "", len(references), error))
        for reference, owners in places.items():
            self._outcomes.append(self._plan_one(owners, reference, matches))
        for entry in unmatched_entries(matches):
            self._context.warn(
                f"The entry {entry!r} of {option_names(self._params)('protect')} matches nothing in the repositories that it is"
                " about."
            )

    @staticmethod
    def _checked(policy: Policy | InvalidPolicy, catalogs: Catalogs) -> Policy | InvalidPolicy:
        """Return a policy, and the only one of its task, if its repositories can be read. Raises InvalidInput."""
        if isinstance(policy, InvalidPolicy):
            return policy
        try:
            catalogs.check(policy)
        except InvalidInput as error:
            if policy.name is None:
                raise
            return InvalidPolicy(policy.name, error)
        return policy

    def _plan_one(
        self, policies: t.Sequence[Policy], reference: Reference, matches: list[dict[str, bool]]
    ) -> Outcome:
        """Plan for one repository. What goes wrong in it does not stop the others."""
        policy = policies[0]
        plan = RepositoryPlan(reference.registry, reference.repository)
        if len(policies) > 1:
            names = " and ".join(policy.name or "" for policy in policies[:2])
            return Outcome(
                plan,
                policy.name,
                error=Refused(
                    f"The policies {names} both name it: leave it to one of them. Nothing was deleted."
                ),
            )
        try:
            repository = self._context.clients.repository_of(reference)
            cache = SnapshotCache(
                self._params["cache_dir"], *plan.place, writable=not self._context.check_mode
            )
            unfinished = self._undo.unfinished(plan.place) if self._undo else []
            snapshot = take_snapshot(
                repository, cache, unfinished, label_names(policy.rules), self._context.progress
            )
            if snapshot is None:
                self._context.warn(f"{plan} does not exist, so there is nothing to prune: check its name.")
                return Outcome(plan, policy.name)
            protection = Protection(policy.protect, *plan.place)
            matches.append(protection.matches(snapshot.tags, snapshot.digests))
            retention = make_plan(
                snapshot, policy.rules, protection, self._now, policy.delete_unknown_age, unfinished
            )
            plan = make_repository_plan(repository, snapshot, retention, protection)
            refusal = policy.limits.exceeded_by(retention)
            return Outcome(plan, policy.name, error=Refused(refusal) if refusal else None)
        except RegistryError as error:
            return Outcome(plan, policy.name, error=error)

    def _write_plan(self) -> bool:
        """Write the plan file, and return whether that changes it."""
        self._pending = [outcome.plan for outcome in self._outcomes if not outcome.error]
        return write_plans(self._params["plan"], self._pending, self._context.check_mode)

    def _apply(self) -> bool:
        """Carry the plans out, one repository after another, and return whether that changed, or would change, anything."""
        stopped: RegistryError | None = None
        for outcome in self._outcomes:
            if outcome.error or not outcome.plan.has_work:
                continue
            if stopped:
                outcome.error = stopped
                continue
            try:
                self._apply_one(outcome)
            except RegistryError as error:
                outcome.error = error
            except KeyboardInterrupt as interrupt:
                outcome.error = stopped = RegistryError(str(interrupt))
        if self._context.check_mode:
            return any(plan.has_work for plan in self._pending)
        if self._undo:
            self._close_undo(self._undo)
        return any(outcome.changed for outcome in self._outcomes)

    def _apply_one(self, outcome: Outcome) -> None:
        """Carry out the plan for one repository. All that undoes it is written before."""
        if self._context.check_mode and not self._params["apply_plan"]:
            # It was made a moment ago, of what the registry has.
            self._pending.append(outcome.plan)
            return
        repository = self._context.clients.repository_of(outcome.plan.reference)
        applier = PlanApplier(repository, outcome, self._context.progress)
        applier.look(fetch=not self._context.check_mode)
        self._pending.append(applier.pending)
        if self._context.check_mode or not applier.has_work:
            return
        entries = applier.originals
        if self._undo:
            self._undo.begin(outcome.plan.place, entries)
        else:
            self._warn_of_masked_names(entry.manifest for entry in entries)
        if not self._undo and not (
            self._previous_is_cut or self._params["details"] or fits([*self._previous, *entries])
        ):
            self._warn_of_size(outcome.plan)
            self._previous, self._previous_is_cut = [], True
        try:
            applier.run()
        finally:
            if outcome.changed and not self._undo and not self._previous_is_cut:
                self._previous += entries
            self._warn_of_vanished(outcome.plan, applier.vanished)

    def _close_undo(self, undo: UndoFile) -> None:
        """Write to the undo file what was finished.

        A plan made now also has what runs that were stopped have left. Of one in a file it is looked at whether it does.
        """
        for outcome in self._outcomes:
            plan = outcome.plan
            if not outcome.error:
                handled = {*plan.digests, *plan.candidates.values()}
                left = undo.unfinished(plan.place) if self._params["apply_plan"] else []
                undo.finish(plan.place, before=handled.issuperset(left))
        undo.close()

    def _warn_of_masked_names(self, names: t.Iterable[str]) -> None:
        """Warn, once, where the result would not show ``names`` as they are; files do."""
        undo = option_names(self._params)("undo")
        advice = f"Plan, report and undo files have the right names: set {undo} to a file."
        self._context.clients.warn_of_masks(names, advice)

    def _warn_of_size(self, plan: RepositoryPlan) -> None:
        self._context.warn(
            f"What undoes the prune of {plan} is too large for the result: set {option_names(self._params)('undo')} to a"
            " file, or details to true."
        )

    def _warn_of_vanished(self, plan: RepositoryPlan, tags: t.Sequence[str]) -> None:
        """A tag that somebody points to an image in the moment of its deletion goes with it; or somebody removed it."""
        if tags:
            others = f" (and {len(tags) - 1} more tags)" if len(tags) > 1 else ""
            self._context.warn(
                f"{plan}:{tags[0]}{others} was to stay, and went away while images were deleted: if it was pointed to one of"
                " these at that moment, it went with that."
            )

    def _failure(self) -> RegistryError | None:
        """Return the first failure, or a refusal, in the words of the whole task; None if everything was done."""
        incomplete = [outcome for outcome in self._outcomes if outcome.incomplete]
        wrong = [policy for policy in self._policies if policy.error]
        if not incomplete and not wrong:
            return None
        errors = [policy.error for policy in wrong] + [outcome.error for outcome in incomplete]
        sentences = []
        if wrong:
            sentences.append(
                f"{len(wrong)} of {len(self._policies)} policies were not applied; {wrong[0].name}: {wrong[0].error}"
            )
        if incomplete:
            first = incomplete[0]
            why = first.error or f"{first.refused[0].tag}: {first.refused[0].why}."
            sentences.append(
                f"{len(incomplete)} of {len(self._outcomes)} repositories were not pruned as planned;"
                f" {first.plan.repository}: {why}"
            )
        error = next(filter(None, errors), None) or Refused("")
        return error.replace_message(" ".join(shortened(sentence) for sentence in sentences))


def _restore(context: ModuleContext) -> dict[str, t.Any]:
    runs = read_runs(context.params["restore"])
    chosen = choose_runs(runs, context.params["restore_run"])
    done: list[Restored] = []
    try:
        for image in restore(context.clients.repository_of, chosen, context.check_mode):
            done.append(image)
        wrong = [image for image in done if image.failed]
        if wrong:
            raise Refused(
                f"{len(wrong)} of {len(done)} could not be put back; {wrong[0].image}: {wrong[0].why}."
            )
    except RegistryError as error:
        error.add_result(restore_result(done, runs, context.params["details"]))
        raise
    return restore_result(done, runs, context.params["details"])

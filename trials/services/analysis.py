"""From diary to released result: what the models get, what is kept, who may see which part.

The models see masked arms only. What would tell arms apart (half-lives, the comparator) is
kept sealed until the release.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from math import nan

from sqlalchemy.orm import Session

from models.analysis import Analysis, analyze
from models.data import NO_ARM, TrialData, trial_data
from models.errors import ModelInputError
from models.items import SideEffectItem
from models.specification import MODEL_VERSION, Arm, DecisionRule, Ends, Specification
from trials.domain.blinding import Blinding, Role, may_see_interim_result
from trials.domain.calendar import Phase
from trials.domain.canonical import canonical_hash
from trials.domain.design import AnalysisSet, EndsOfScale, Outcome
from trials.domain.diary import INTAKE_FRACTION, SEVEREST, Intake
from trials.domain.errors import (
    AnalysisError,
    EditConflictError,
    NotAllowedError,
    NotFoundError,
    StateError,
)
from trials.domain.life_cycle import RESULT_KNOWN, UNDER_WAY, State, Step
from trials.domain.protocol import Protocol, protocol_hash
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services import allocation
from trials.services.actor import SYSTEM, Actor, record, require_account, require_role
from trials.services.scrutiny import Beside, assemble_beside
from trials.services.steps import take_step
from trials.services.summary import Summary, opened, summary_of, with_scrutiny
from trials.store.base import Json
from trials.store.diary import DiaryDayRow, days_of_trial, latest_entries
from trials.store.erasure import erasure_of
from trials.store.fit import (
    FitRow,
    ReleaseRow,
    find_fit,
    fit_not_begun,
    latest_fit,
    release_of,
    same_fit,
)
from trials.store.trial import TrialRow, frozen_protocol, lock_trial

SEALED_SUMMARY = "fit summary"
ENDS = {
    EndsOfScale.BY_RULE: Ends.BY_RULE,
    EndsOfScale.NEVER: Ends.NEVER,
    EndsOfScale.ALWAYS: Ends.ALWAYS,
}
FIT_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class FitTask:
    """All that a worker process needs: plain values, no database, no names.

    Attributes:
        fit: public id of the fit.
        data: masked days and ratings.
        specification: masked arms, priors and decision rule.
        seed: for both engines.
        draws_file: name of the sealed netCDF file the draws go to, in the draws folder.
        beside: the rest of the diary, which decides nothing.
    """

    fit: str
    data: TrialData
    specification: Specification
    seed: int
    draws_file: str
    beside: Beside = field(default_factory=Beside)


@dataclass(frozen=True, slots=True)
class Result:
    """A fit as one reader may see it.

    Attributes:
        fit: the row it comes from; None for a look at the data of this moment.
        summary: arms, contrasts, verdict, diagnostics, provenance (see docs/analysis-files.md),
            with what would unblind left out where the reader is blinded.
        treatments: treatment name of each masked arm; None while the reader is blinded.
        provisional: whether only one engine has answered so far.
    """

    fit: FitRow | None
    summary: Json
    treatments: Mapping[str, str] | None
    provisional: bool


def assemble_data(
    session: Session, vault: Vault, trial: TrialRow, *, blocks: int | None = None
) -> TrialData:
    """Return the trial as the models see it: one row a day, masked arms, missing as NaN.

    Days that have not begun, and days a stop cancelled, are left out. While a blinded trial is
    under way the data end with its last whole block: from day to day, the arm whose figures
    move would be the one in force, and whoever looked every day would read the sequence.

    Args:
        session: the transaction.
        vault: opens the masked sequence.
        trial: whose diary.
        blocks: end with this block, as a planned look does; None for all there is.

    Raises:
        AnalysisError: there is no diary yet.
    """
    protocol = _frozen(session, trial)
    sequence = allocation.masked_sequence(session, vault, trial)
    rows = days_of_trial(session, trial.id)
    if blocks is not None:
        rows = [row for row in rows if row.period <= blocks * len(protocol.design.arms)]
    if trial.current_state in UNDER_WAY and trial.how_blinded is Blinding.BLINDED:
        rows = _of_whole_blocks(rows, len(protocol.design.arms))
    while rows and is_ahead(rows[-1]):
        rows.pop()
    if not rows:
        raise AnalysisError(_("There is no diary day to analyse yet."))
    labels = protocol.design.arms
    entries = latest_entries(session, trial.id)
    as_taken = protocol.analysis_set is AnalysisSet.AS_TAKEN
    taken = []
    for row in rows:
        entry = entries.get(row.day)
        if row.phase == Phase.PAUSED:
            taken.append(0.0)
        elif as_taken and entry is not None and entry.intake is not None:
            taken.append(INTAKE_FRACTION[Intake(entry.intake)])
        else:
            taken.append(nan)
    found = [entries.get(row.day) for row in rows]
    first_period = rows[0].period
    try:
        return trial_data(
            labels,
            day_arm=[
                NO_ARM if r.period == 0 else labels.index(sequence[r.period - 1]) for r in rows
            ],
            day_period=[r.period - first_period for r in rows],
            outcome=[nan if e is None else float(e.pain) for e in found],
            in_analysis=[r.phase in {Phase.RUN_IN, Phase.EVALUATION} for r in rows],
            taken=taken,
            bothers={"bother": [nan if e is None else float(e.bother) for e in found]},
            severities={
                item.key: [_severity(e.side_effects.get(item.key) if e else None) for e in found]
                for item in protocol.questionnaire.side_effects
            },
        )
    except ModelInputError as problem:
        raise AnalysisError(_("This diary cannot be analysed: %(why)s"), why=str(problem)) from None


def _severity(answer: object) -> float:
    return nan if answer is None else float(str(answer))


def _of_whole_blocks(rows: list[DiaryDayRow], arms: int) -> list[DiaryDayRow]:
    """Return the days up to the end of the last block that is over.

    Before the end of the first block all days are returned: they cannot be judged anyway.
    """
    unsettled = (row.period for row in rows if row.state == "open" or is_ahead(row))
    whole = (next(unsettled, len(rows) + 1) - 1) // arms
    return [row for row in rows if row.period <= whole * arms] if whole > 0 else rows


def is_ahead(row: DiaryDayRow) -> bool:
    """Return whether a day is still to come, held back by a pause, or cut off by a stop."""
    held_back = row.state == "paused" and row.phase != Phase.PAUSED
    return row.state in {"planned", "cancelled"} or held_back


def specify(protocol: Protocol, arm_key: Mapping[str, str]) -> Specification:
    """Return what is fitted and how it is judged, by masked arms.

    Args:
        protocol: the frozen agreement.
        arm_key: treatment of each masked arm; only half-lives, burdens and the comparator's
            label are taken from it.

    Raises:
        AnalysisError: it was frozen with another form of the model than this version fits.
    """
    if protocol.model_version != MODEL_VERSION:
        raise AnalysisError(
            _(
                "This protocol was frozen with the model %(frozen)s; this version of Lenitive fits "
                "%(fitted)s. Analyse it with the version it was frozen with."
            ),
            frozen=protocol.model_version,
            fitted=MODEL_VERSION,
        )
    by_label = {label: protocol.candidate(arm_key[label]) for label in protocol.design.arms}
    comparator = next(
        (label for label, c in by_label.items() if c.treatment == protocol.comparator), None
    )
    weighted = protocol.outcome is Outcome.NET_BURDEN and protocol.bother_weight > 0
    rule = protocol.decision
    return Specification(
        arms=tuple(
            Arm(
                label=label,
                half_life_days=candidate.effect_half_life_days,
                burden=candidate.burden,
                severe_limit=protocol.severe_limit,
            )
            for label, candidate in by_label.items()
        ),
        trend=True,
        period_effect=True,
        carryover=True,
        weights={"bother": protocol.bother_weight} if weighted else {},
        ends=ENDS[protocol.ends_of_scale],
        side_effects=tuple(
            SideEffectItem(
                name=item.key,
                severest=SEVEREST,
                severe=SEVEREST,
                frequency=protocol.frequencies.get(item.key),
            )
            for item in protocol.questionnaire.side_effects
        ),
        decision=DecisionRule(
            best=protocol.needed_to_be_best,
            expected_loss=rule.largest_expected_loss,
            equal_margin=rule.equal_margin,
            equal_probability=rule.equal_probability,
            comparator=comparator,
            comparator_probability=rule.superiority_probability,
        ),
    )


def fingerprint(vault: Vault, data: TrialData) -> str:
    """Return a keyed hash of the data, safe to show while the trial is blinded.

    The plain hash covers the sequence; whoever knows the ratings could try all sequences
    until it fits. It is kept sealed and shown after the release.
    """
    return hmac.new(vault.derive("data fingerprint"), data.data_hash.encode(), sha256).hexdigest()


def is_current(session: Session, vault: Vault, trial: TrialRow, fit: FitRow) -> bool:
    """Return whether the diary is still the one that was analysed."""
    return fingerprint(vault, assemble_data(session, vault, trial)) == fit.data_hash


def secret_seed(vault: Vault, *parts: str) -> int:
    """Return the seed of a fit: the same for the same parts, and not to be guessed from them.

    With the seed and the diary one could repeat the fit under every sequence until the numbers
    match, so it stays sealed like the sequence until the release.

    No part may depend on which treatment an arm is, as the hash of a specification does: the
    last digits that a blinded reader sees would depend on it too.
    """
    key = vault.derive("fit seed")
    return int(hmac.new(key, "|".join(parts).encode(), sha256).hexdigest()[:8], 16) >> 1


def request_fit(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    *,
    purpose: str,
    now: datetime,
) -> FitRow:
    """Ask for an analysis by writing a row; the same data are never analysed twice.

    One that waits and has not begun is returned too: it takes the newest data when it begins.

    Args:
        session: the transaction.
        vault: opens the masked sequence.
        actor: an analyst, or the system.
        trial: under way for an "interim" fit, ended for the "final" one.
        purpose: "interim" or "final".
        now: UTC instant.
    """
    require_role(actor, Role.ANALYST)
    _check_purpose(trial, purpose)
    frozen = frozen_protocol(session, trial.id)
    if frozen is None or frozen.hash is None:
        raise StateError(_("This trial never started, so there is nothing to analyse."))
    if erasure_of(session, trial.id) is not None:
        raise AnalysisError(_("The answers of this trial were removed, as its patient had agreed."))
    lock_trial(session, trial.id)
    data_hash = fingerprint(vault, assemble_data(session, vault, trial))
    known = same_fit(session, trial.id, purpose, data_hash, frozen.hash) or fit_not_begun(
        session, trial.id, purpose
    )
    if known is not None:
        return _with_both_engines(session, known, actor, now)
    fit = FitRow(
        trial_id=trial.id,
        purpose=purpose,
        requested_at=now,
        requested_by=actor.public_id,
        due_at=now,
        protocol_hash=frozen.hash,
        data_hash=data_hash,
        seed=secret_seed(vault, data_hash, frozen.hash),
    )
    session.add(fit)
    session.flush()
    record(
        session,
        actor,
        "request_fit",
        f"fit:{fit.public_id}",
        now,
        trial=trial,
        after={"purpose": purpose, "data": fit.data_hash, "protocol": fit.protocol_hash},
    )
    return fit


def retry_fit(
    session: Session, actor: Actor, trial: TrialRow, *, fit: str, now: datetime
) -> FitRow:
    """Put an analysis that failed for good back into the queue; a second click changes nothing.

    Raises:
        NotFoundError: it is none of this trial's.
        StateError: it has been done.
    """
    require_role(actor, Role.ANALYST)
    row = get_fit(session, trial, fit)
    if row.done_at is not None:
        raise StateError(_("This analysis is done; there is nothing to try again."))
    if row.failed_at is None:
        return row
    row.failed_at = row.claimed_by = row.leased_until = None
    row.attempts = 0
    row.due_at = now
    session.flush()
    record(session, actor, "retry_fit", f"fit:{row.public_id}", now, trial=trial)
    return row


def get_fit(session: Session, trial: TrialRow, public_id: str) -> FitRow:
    """Return an analysis of this trial.

    Raises:
        NotFoundError: it is none of this trial's.
    """
    row = find_fit(session, public_id)
    if row is None or row.trial_id != trial.id:
        raise NotFoundError(_("There is no such analysis."))
    return row


def _with_both_engines(session: Session, fit: FitRow, actor: Actor, now: datetime) -> FitRow:
    """Return the fit, asked for by a person from now on: what the clock asks for has one engine."""
    if actor.role is None or fit.purpose == "final":
        return fit
    fit.requested_by = actor.public_id
    if fit.done_at is not None and fit.summary is not None and _provisional(fit.summary):
        fit.done_at = fit.claimed_by = fit.leased_until = None
        fit.attempts = 0
        fit.due_at = now
    session.flush()
    return fit


def prepare_fit(session: Session, vault: Vault, fit: FitRow) -> FitTask:
    """Return the plain values a worker needs; the transaction can close before it samples."""
    trial = session.get_one(TrialRow, fit.trial_id)
    protocol = _frozen(session, trial)
    arm_key = allocation.sealed_arm_key(session, vault, trial)
    data = assemble_data(session, vault, trial)
    return FitTask(
        fit=fit.public_id,
        data=data,
        specification=specify(protocol, arm_key),
        seed=fit.seed,
        draws_file=f"{fit.public_id}.nc.sealed",
        beside=assemble_beside(session, trial, data),
    )


def finish_fit(
    session: Session,
    vault: Vault,
    fit: FitRow,
    task: FitTask,
    analysis: Analysis,
    now: datetime,
    *,
    scrutiny: Summary | None = None,
) -> None:
    """Keep the result; the final one takes the trial to "analysed".

    The summary is split: what would tell arms apart is sealed. Another request for the very
    data that this fit took when it began is answered by it.

    Args:
        session: the transaction.
        vault: seals.
        fit: the row that was taken.
        task: what the worker got.
        analysis: what it found.
        now: UTC instant.
        scrutiny: what it found beside the verdict.
    """
    trial = session.get_one(TrialRow, fit.trial_id)
    data_hash = fingerprint(vault, task.data)
    twin = same_fit(session, trial.id, fit.purpose, data_hash, fit.protocol_hash)
    if twin is not None and twin.id != fit.id:
        awaited = twin.claimed_by is not None or twin.requested_by != SYSTEM.public_id
        superfluous = fit if twin.done_at is not None or awaited else twin
        session.delete(superfluous)
        session.flush()
        if superfluous is fit:
            return
    summary = with_scrutiny(summary_of(analysis), scrutiny or Summary({}, {}))
    fit.summary = summary.masked
    fit.sealed_summary = vault.seal(
        SEALED_SUMMARY, json.dumps(summary.sealed).encode(), context=fit.public_id
    )
    fit.data_hash = data_hash
    fit.draws_file = task.draws_file
    fit.done_at = now
    session.flush()
    record(
        session,
        SYSTEM,
        "finish_fit",
        f"fit:{fit.public_id}",
        now,
        trial=trial,
        after={"data": fit.data_hash, "summary": canonical_hash(fit.summary)},
    )
    ended = trial.current_state in {State.COMPLETED, State.STOPPED}
    if fit.purpose == "final" and ended:
        take_step(session, SYSTEM, trial, Step.ANALYSE, now)


def live_result(session: Session, vault: Vault, actor: Actor, trial: TrialRow) -> Result:
    """Return what the exact engine says of the data of this moment, for the analyst.

    Raises:
        NotAllowedError: the reader may not see interim results.
        AnalysisError: there is nothing to analyse.
    """
    check_reader(actor, trial)
    data = assemble_data(session, vault, trial)
    protocol = _frozen(session, trial)
    specification = specify(protocol, allocation.sealed_arm_key(session, vault, trial))
    seed = secret_seed(vault, data.data_hash, protocol_hash(protocol))
    summary = summary_of(analyze(data, specification, seed=seed, draws=FIT_DRAWS))
    treatments = treatments_for(session, vault, actor, trial)
    shown = summary.masked if treatments is None else opened(summary)
    return Result(None, shown, treatments, provisional=True)


def fit_result(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow, fit: FitRow
) -> Result:
    """Return a finished fit as this reader may see it.

    Raises:
        NotFoundError: it is none of this trial's.
        StateError: it is not done.
    """
    check_reader(actor, trial)
    if fit.trial_id != trial.id:
        raise NotFoundError(_("There is no such analysis."))
    if fit.summary is None:
        raise StateError(_("This analysis is not done yet."))
    treatments = treatments_for(session, vault, actor, trial)
    summary = fit.summary
    if treatments is not None and fit.sealed_summary is not None:
        sealed = vault.open(SEALED_SUMMARY, fit.sealed_summary, context=fit.public_id)
        summary = opened(Summary(summary, json.loads(sealed)))
    return Result(fit, summary, treatments, provisional=_provisional(summary))


def released_result(session: Session, vault: Vault, actor: Actor, trial: TrialRow) -> Result:
    """Return the released result in clear, for clinician, patient and analyst.

    Raises:
        NotAllowedError: nothing was released yet.
    """
    release = release_of(session, trial.id)
    if release is None or trial.current_state not in RESULT_KNOWN:
        raise NotAllowedError(_("The result has not been released yet."))
    return fit_result(session, vault, actor, trial, session.get_one(FitRow, release.fit_id))


def release_result(
    session: Session,
    vault: Vault,
    actor: Actor,
    trial: TrialRow,
    *,
    revision: int,
    fit: str,
    comment: str,
    now: datetime,
) -> ReleaseRow:
    """Approve the final fit as the result and open the allocation to those concerned.

    Raises:
        AnalysisError: it is not the newest final fit, the data changed since, or the engines
            have not both answered.
        AllocationError: the allocation is not the one promised at the freeze.
    """
    require_role(actor, Role.ANALYST)
    trial = lock_trial(session, trial.id)
    if trial.revision != revision:
        raise EditConflictError(
            _("Somebody else changed this trial while you were looking at it. Look again.")
        )
    row = find_fit(session, fit)
    newest = latest_fit(session, trial.id, "final")
    if row is None or newest is None or row.id != newest.id or row.summary is None:
        raise AnalysisError(_("Only the newest final analysis can be released."))
    if not is_current(session, vault, trial, row):
        raise AnalysisError(_("The diary has changed since this analysis. Ask for a new one."))
    if _provisional(row.summary):
        raise AnalysisError(_("Only one of the two engines has answered; wait for the other."))
    in_clear = allocation.open_allocation(session, vault, actor, trial, now)
    take_step(session, actor, trial, Step.RELEASE, now, why=comment.strip())
    release = ReleaseRow(
        trial_id=trial.id,
        fit_id=row.id,
        approved_by=require_account(actor),
        approved_at=now,
        comment=comment.strip(),
        opened=in_clear,
    )
    session.add(release)
    session.flush()
    return release


def _frozen(session: Session, trial: TrialRow) -> Protocol:
    frozen = frozen_protocol(session, trial.id)
    if frozen is None:
        raise AnalysisError(_("This trial never started, so there is nothing to analyse."))
    return frozen.value


def _check_purpose(trial: TrialRow, purpose: str) -> None:
    state = trial.current_state
    if purpose == "interim" and state not in UNDER_WAY:
        raise StateError(_("An interim analysis belongs to a trial that is under way."))
    if purpose == "final" and state not in {State.COMPLETED, State.STOPPED, State.ANALYSED}:
        raise StateError(_("The final analysis comes after the last diary day."))


def check_reader(actor: Actor, trial: TrialRow) -> None:
    """Refuse a reader who may not see results of this trial yet.

    Raises:
        NotAllowedError: nothing was released.
    """
    if actor.role is not None and not may_see_interim_result(
        actor.role, trial.how_blinded, trial.current_state
    ):
        raise NotAllowedError(_("The result has not been released yet."))


def treatments_for(
    session: Session, vault: Vault, actor: Actor, trial: TrialRow
) -> dict[str, str] | None:
    """Return the treatment name of each arm, for a reader who may know it."""
    open_to_reader = (
        trial.how_blinded is Blinding.OPEN
        or trial.current_state in RESULT_KNOWN
        or actor.role is None
    )
    if not open_to_reader:
        return None
    protocol = _frozen(session, trial)
    key = allocation.sealed_arm_key(session, vault, trial)
    return {label: protocol.candidate(treatment).name for label, treatment in key.items()}


def _provisional(summary: Json) -> bool:
    verdict = summary.get("verdict")
    return not isinstance(verdict, dict) or bool(verdict.get("provisional", True))

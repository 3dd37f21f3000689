"""The analyst's pages: what waits for an analysis, one posterior with its diagnostics, the release.

No patient stands on them, not even the trial's title (a clinician may write a name into it),
and while a trial is blinded no treatment, no reference, no half-life and no sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from flask_babel.speaklater import LazyString
from sqlalchemy.orm import Session

from trials.domain.blinding import Blinding, Role
from trials.domain.design import AnalysisSet, Outcome
from trials.domain.errors import (
    EditConflictError,
    NotFoundError,
    StateError,
    TrialError,
)
from trials.domain.life_cycle import RESULT_KNOWN, UNDER_WAY, State
from trials.domain.protocol import Protocol
from trials.domain.words import marked
from trials.services.actor import Actor
from trials.services.allocation import commitment_of
from trials.services.analysis import (
    Result,
    fit_result,
    get_fit,
    is_current,
    live_result,
    release_result,
    request_fit,
    retry_fit,
)
from trials.services.blinding_held import blinding_held
from trials.services.export import ExportKind, export
from trials.services.overview import overview_of
from trials.services.provenance import origins_of
from trials.services.review import (
    Coverage,
    FitStanding,
    FitState,
    Worklist,
    coverage_by_period,
    coverage_by_phase,
    standing_of,
    worklist,
)
from trials.services.trials import get_trial
from trials.store.fit import FitRow, ReleaseRow, fits_of_trial, release_of
from trials.store.trial import TrialRow, frozen_protocol
from trials.web.access import open_to
from trials.web.edge import current_actor, now, sentence_of, status_of, transaction, vault
from trials.web.menu import MenuItem
from trials.web.phrases import number_text
from trials.web.posterior import SIZES, Posterior, arm_names, names_of, read_posterior
from trials.web.scrutiny import GuessText, Scrutiny, read_guesses, read_scrutiny
from trials.web.what_if import WhatIfForm, frozen_weight, what_if_form, what_if_page

bp = Blueprint("analyst", __name__, url_prefix="/analyst")

MENU = (
    MenuItem(
        Role.ANALYST,
        lazy_gettext("Analyses"),
        "analyst.trials",
        also=(
            "analyst.trial",
            "analyst.analysis",
            "analyst.confirm_release",
            "analyst.release",
            "analyst.what_if",
        ),
    ),
)

OUTCOMES: dict[Outcome, LazyString] = {
    Outcome.PAIN: lazy_gettext("Pain alone, average of the last 24 hours, 0 to 10"),
    Outcome.NET_BURDEN: lazy_gettext("Net burden: pain and side effects by the patient's weight"),
}
ANALYSIS_SETS: dict[AnalysisSet, LazyString] = {
    AnalysisSet.AS_ASSIGNED: lazy_gettext("As assigned"),
    AnalysisSet.AS_TAKEN: lazy_gettext("As taken"),
}
LONGEST_COMMENT = 2000


@dataclass(frozen=True, slots=True)
class TrialsPage:
    """All that templates/analyst/trials.html may use."""

    work: Worklist


@dataclass(frozen=True, slots=True)
class Shown:
    """Which analysis a page shows.

    Attributes:
        fit: the finished one; None for a look at the diary of this moment.
        fingerprint: keyed hash of the analysed diary; "" for a look.
        protocol_hash: of the frozen agreement.
        posterior: its values.
        scrutiny: what stands beside the verdict; None for a look, or a refused analysis.
        guesses: what the patient guessed; None before the release.
    """

    fit: FitStanding | None
    fingerprint: str
    protocol_hash: str
    posterior: Posterior
    scrutiny: Scrutiny | None
    guesses: GuessText | None


@dataclass(frozen=True, slots=True)
class Released:
    """That and how the result was opened.

    Attributes:
        fit: public id of the released analysis.
        at: when.
        comment: of the analyst who approved it.
        sequence: period number and treatment, in order.
        seed: hexadecimal; with it anybody can draw the sequence again.
    """

    fit: str
    at: datetime
    comment: str
    sequence: tuple[tuple[int, str], ...]
    seed: str


@dataclass(frozen=True, slots=True)
class TrialPage:
    """All that templates/analyst/trial.html may use.

    Attributes:
        trial: public id.
        state: where the trial stands.
        blinded: whether the treatments are still hidden from the analyst.
        day: which day of the trial it is.
        days: how many it has.
        facts: the frozen protocol, name and value.
        shown: the analysis; None where there is nothing to show yet.
        problem: why there is nothing to show.
        fits: all analyses, newest first.
        unsettled: of these, what waits, runs or failed.
        asks_for: the purpose of an analysis that can be asked for now, "" for none.
        can_release: whether the analysis shown can be released.
        is_stale: whether the diary has changed since the analysis shown, before the release.
        released: the release; None before.
        phases: how completely each phase of the diary was answered.
        periods: how completely the evaluated days of each period were.
        origins: where the reports come from, and how many of each kind.
        sizes: heads of the table of chances.
        what_if: the field to try another weight with.
    """

    trial: str
    state: State
    blinded: bool
    day: int
    days: int
    facts: tuple[tuple[str, str], ...]
    shown: Shown | None
    problem: str
    fits: tuple[FitStanding, ...]
    unsettled: tuple[FitStanding, ...]
    asks_for: str
    can_release: bool
    is_stale: bool
    released: Released | None
    phases: tuple[Coverage, ...]
    periods: tuple[Coverage, ...]
    origins: tuple[tuple[str, int], ...]
    sizes: tuple[str, ...]
    what_if: WhatIfForm


@dataclass(frozen=True, slots=True)
class ReleasePage:
    """All that templates/analyst/release.html may use.

    Attributes:
        trial: public id.
        revision: of the trial as this page shows it.
        state: where the trial stands.
        fit: the analysis to release.
        posterior: what it says.
        comment: as typed.
        problem: why it was not released.
        can_release: whether it can be released now.
    """

    trial: str
    revision: int
    state: State
    fit: FitStanding
    posterior: Posterior
    comment: str = ""
    problem: str = ""
    can_release: bool = True


@bp.get("/trials")
@open_to(Role.ANALYST)
def trials() -> ResponseReturnValue:
    """List the trials that wait for an analysis, then the others."""
    with transaction() as session:
        page = TrialsPage(worklist(session, current_actor(), now()))
    return render_template("analyst/trials.html", page=page)


@bp.get("/trials/<trial>")
@open_to(Role.ANALYST)
def trial(trial: str) -> ResponseReturnValue:
    """Show the released analysis, else the newest final one, else the diary of this moment."""
    with transaction() as session:
        row = get_trial(session, current_actor(), trial)
        page = _trial_page(session, row, _fit_to_show(session, row))
    return render_template("analyst/trial.html", page=page)


@bp.get("/trials/<trial>/analyses/<fit>")
@open_to(Role.ANALYST)
def analysis(trial: str, fit: str) -> ResponseReturnValue:
    """Show one analysis of a trial."""
    with transaction() as session:
        row = get_trial(session, current_actor(), trial)
        found = get_fit(session, row, fit)
        if found.done_at is None:
            return redirect(url_for("analyst.trial", trial=trial), code=303)
        page = _trial_page(session, row, found)
    return render_template("analyst/trial.html", page=page)


@bp.post("/trials/<trial>/analyses")
@open_to(Role.ANALYST)
def ask(trial: str) -> ResponseReturnValue:
    """Ask for an analysis of the diary as it is now."""
    with transaction() as session:
        row = get_trial(session, current_actor(), trial)
        purpose = "interim" if row.current_state in UNDER_WAY else "final"
        fit = request_fit(session, vault(), current_actor(), row, purpose=purpose, now=now())
        done = fit.done_at is not None
    if done:
        flash(_("This very diary has been analysed already; here is the answer."))
        return redirect(url_for("analyst.analysis", trial=trial, fit=fit.public_id), code=303)
    flash(_("The analysis is in the queue. This page shows it when it is done."), "success")
    return redirect(url_for("analyst.trial", trial=trial), code=303)


@bp.post("/trials/<trial>/analyses/<fit>/retry")
@open_to(Role.ANALYST)
def retry(trial: str, fit: str) -> ResponseReturnValue:
    """Put an analysis that failed back into the queue."""
    with transaction() as session:
        row = get_trial(session, current_actor(), trial)
        retry_fit(session, current_actor(), row, fit=fit, now=now())
    flash(_("The analysis is in the queue again."), "success")
    return redirect(url_for("analyst.trial", trial=trial), code=303)


@bp.get("/trials/<trial>/analyses/<fit>/release")
@open_to(Role.ANALYST, fresh=True)
def confirm_release(trial: str, fit: str) -> ResponseReturnValue:
    """Say what a release opens, and to whom, before it is done."""
    with transaction() as session:
        row = get_trial(session, current_actor(), trial)
        page = _release_page(session, row, fit)
    return render_template("analyst/release.html", page=page)


@bp.post("/trials/<trial>/analyses/<fit>/release")
@open_to(Role.ANALYST, fresh=True)
def release(trial: str, fit: str) -> ResponseReturnValue:
    """Approve the analysis as the result and open the treatments."""
    comment = request.form.get("comment", "").strip()[:LONGEST_COMMENT]
    try:
        with transaction() as session:
            row = get_trial(session, current_actor(), trial)
            if _is_released(session, row, fit):
                return redirect(url_for("analyst.trial", trial=trial), code=303)
            release_result(
                session,
                vault(),
                current_actor(),
                row,
                revision=_revision(),
                fit=fit,
                comment=comment,
                now=now(),
            )
    except NotFoundError:
        raise
    except TrialError as error:
        return _release_again(trial, fit, comment, error)
    flash(_("The result is released. The clinician and the patient can read it now."), "success")
    return redirect(url_for("analyst.trial", trial=trial), code=303)


@bp.post("/trials/<trial>/analyses/<fit>/export/<any(result, diary, protocol):kind>")
@open_to(Role.ANALYST)
def take_export(trial: str, fit: str, kind: str) -> ResponseReturnValue:
    """Hand over one file of an analysis; who took it is recorded."""
    with transaction() as session:
        actor = current_actor()
        row = get_trial(session, actor, trial)
        file = export(session, vault(), actor, row, fit=fit, kind=ExportKind(kind), now=now())
    response = Response(file.content, content_type=f"{file.media_type}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/trials/<trial>/what-if")
@open_to(Role.ANALYST)
def what_if(trial: str) -> ResponseReturnValue:
    """Say what the rule would say at another weight of side effects."""
    with transaction() as session:
        page = what_if_page(
            session,
            get_trial(session, current_actor(), trial),
            action=url_for("analyst.what_if", trial=trial),
            back_href=url_for("analyst.trial", trial=trial),
            call=lambda found: names_of(found.treatments, found.arms),
        )
    return render_template("report/what_if.html", page=page), 422 if page.form.error else 200


def _trial_page(session: Session, row: TrialRow, fit: FitRow | None) -> TrialPage:
    actor, instant = current_actor(), now()
    frozen = frozen_protocol(session, row.id)
    overview = overview_of(session, row, instant)
    fits = tuple(standing_of(found, instant) for found in fits_of_trial(session, row.id))
    shown, problem, treatments_known = None, "", _is_open(row)
    newest = _newest_final(fits_of_trial(session, row.id))
    answered = newest is not None and is_current(session, vault(), row, newest)
    try:
        result = _result(session, actor, row, fit)
        treatments_known = result.treatments is not None
        shown = _shown(session, actor, row, fit, result)
    except TrialError as error:
        problem = sentence_of(error)
    return TrialPage(
        trial=row.public_id,
        state=row.current_state,
        blinded=not treatments_known,
        day=overview.day,
        days=overview.days,
        facts=_facts(session, row, with_names=treatments_known),
        shown=shown,
        problem=problem,
        fits=fits,
        unsettled=tuple(f for f in fits if f.state is not FitState.DONE),
        asks_for="" if answered else _can_ask_for(row, fits),
        can_release=answered and _can_release(row, fits, fit),
        is_stale=newest is not None and not answered and row.current_state is State.ANALYSED,
        released=_released(session, row),
        phases=coverage_by_phase(session, row, instant),
        periods=coverage_by_period(session, row, instant),
        origins=_origins(session, row),
        sizes=SIZES,
        what_if=what_if_form(
            url_for("analyst.what_if", trial=row.public_id),
            frozen_weight(frozen.value) if frozen else "0",
        ),
    )


def _result(session: Session, actor: Actor, row: TrialRow, fit: FitRow | None) -> Result:
    if fit is None:
        return live_result(session, vault(), actor, row)
    return fit_result(session, vault(), actor, row, fit)


def _shown(
    session: Session, actor: Actor, row: TrialRow, fit: FitRow | None, result: Result
) -> Shown:
    frozen = frozen_protocol(session, row.id)
    names = arm_names(result)
    return Shown(
        fit=standing_of(fit, now()) if fit else None,
        fingerprint=fit.data_hash if fit else "",
        protocol_hash=fit.protocol_hash if fit else (frozen.hash or "") if frozen else "",
        posterior=read_posterior(result),
        scrutiny=read_scrutiny(result, names),
        guesses=read_guesses(blinding_held(session, vault(), actor, row), names),
    )


def _fit_to_show(session: Session, row: TrialRow) -> FitRow | None:
    """Return the released fit, else the newest final one that is done."""
    release = release_of(session, row.id)
    if release is not None:
        return session.get_one(FitRow, release.fit_id)
    return _newest_final(fits_of_trial(session, row.id))


def _newest_final(fits: Sequence[FitRow]) -> FitRow | None:
    done = (fit for fit in fits if fit.purpose == "final" and fit.done_at is not None)
    return max(done, key=lambda fit: (fit.done_at, fit.id), default=None)


def _can_ask_for(row: TrialRow, fits: Sequence[FitStanding]) -> str:
    state = row.current_state
    if state in UNDER_WAY:
        purpose = "interim"
    elif state in {State.COMPLETED, State.STOPPED, State.ANALYSED} and row.start_day is not None:
        purpose = "final"
    else:
        return ""
    in_queue = {FitState.WAITING, FitState.RUNNING, FitState.FAILED}
    return "" if any(f.purpose == purpose and f.state in in_queue for f in fits) else purpose


def _can_release(row: TrialRow, fits: Sequence[FitStanding], fit: FitRow | None) -> bool:
    if fit is None or row.current_state is not State.ANALYSED or fit.purpose != "final":
        return False
    done = [f for f in fits if f.purpose == "final" and f.state is FitState.DONE]
    newest = max(done, key=lambda f: f.done_at or f.requested_at, default=None)
    return newest is not None and newest.public_id == fit.public_id


def _origins(session: Session, trial: TrialRow) -> tuple[tuple[str, int], ...]:
    """Return where the reports come from, as far as they are not simply the patient's."""
    found = origins_of(session, trial)
    lines = (
        (_("sent by the patient"), found.patient),
        (_("written down by the clinic, by telephone"), found.phone),
        (_("typed in from paper"), found.paper),
        (_("filled in by somebody else for the patient"), found.proxy),
        (_("corrected later, with a reason"), found.corrected),
        (_("confirmed by the patient"), found.confirmed),
        (_("called wrong by the patient"), found.doubted),
        (_("corrections that wait for the patient"), found.waiting),
    )
    return tuple((str(name), count) for name, count in lines if count)


def _is_open(row: TrialRow) -> bool:
    return row.how_blinded is Blinding.OPEN or row.current_state in RESULT_KNOWN


def _is_released(session: Session, row: TrialRow, fit: str) -> bool:
    """Return whether this very analysis is released already: a second click changes nothing."""
    release = release_of(session, row.id)
    return release is not None and session.get_one(FitRow, release.fit_id).public_id == fit


def _released(session: Session, row: TrialRow) -> Released | None:
    release = release_of(session, row.id)
    frozen = frozen_protocol(session, row.id)
    if release is None or frozen is None:
        return None
    return Released(
        fit=session.get_one(FitRow, release.fit_id).public_id,
        at=release.approved_at,
        comment=release.comment,
        sequence=_opened_sequence(release, frozen.value),
        seed=str(release.opened["seed"]),
    )


def _opened_sequence(release: ReleaseRow, protocol: Protocol) -> tuple[tuple[int, str], ...]:
    sequence, key = release.opened["sequence"], release.opened["arm_key"]
    assert isinstance(sequence, list)  # noqa: S101  # written by services.allocation
    assert isinstance(key, dict)  # noqa: S101
    return tuple(
        (number, f"{protocol.candidate(key[label]).name} ({label})")
        for number, label in enumerate(sequence, start=1)
    )


def _facts(session: Session, row: TrialRow, *, with_names: bool) -> tuple[tuple[str, str], ...]:
    """Return what was agreed; the candidates and the reference only to whom they may be named."""
    frozen = frozen_protocol(session, row.id)
    if frozen is None:
        return ()
    protocol, design = frozen.value, frozen.value.design
    facts = [
        (_("Arms"), str(len(design.arms))),
        (_("Blocks"), str(design.blocks)),
        (_("Period"), _days(design.period_days)),
        (_("Washout"), _days(design.washout_days)),
        (_("Run-in"), _days(design.run_in_days)),
        (_("Outcome"), str(OUTCOMES[protocol.outcome])),
        (_("Weight of bother"), number_text(protocol.bother_weight, 2)),
        (_("Analysed"), str(ANALYSIS_SETS[protocol.analysis_set])),
    ]
    if with_names:
        facts.append((_("Candidates"), ", ".join(c.name for c in protocol.candidates)))
        reference = protocol.candidate(protocol.comparator).name if protocol.comparator else ""
        facts.append((_("Reference"), reference or _("none")))
    facts += [
        (_("Protocol version"), str(protocol.version)),
        (_("Commitment to the sequence"), commitment_of(session, row)),
    ]
    return tuple((str(name), str(value)) for name, value in facts)


def _days(count: int) -> str:
    return str(ngettext("%(num)s day", "%(num)s days", count))


def _release_page(session: Session, row: TrialRow, fit: str) -> ReleasePage:
    found = get_fit(session, row, fit)
    if found.done_at is None:
        raise StateError(marked("This analysis is not done yet, so there is nothing to release."))
    instant = now()
    fits = [standing_of(f, instant) for f in fits_of_trial(session, row.id)]
    return ReleasePage(
        trial=row.public_id,
        revision=row.revision,
        state=row.current_state,
        fit=standing_of(found, instant),
        posterior=read_posterior(fit_result(session, vault(), current_actor(), row, found)),
        can_release=_can_release(row, fits, found) and is_current(session, vault(), row, found),
    )


def _release_again(trial: str, fit: str, comment: str, error: TrialError) -> ResponseReturnValue:
    """Show the page anew with the present state, the sentence, and what was typed."""
    with transaction() as session:
        row = get_trial(session, current_actor(), trial)
        shown = _release_page(session, row, fit)
        page = ReleasePage(
            trial=shown.trial,
            revision=shown.revision,
            state=shown.state,
            fit=shown.fit,
            posterior=shown.posterior,
            comment=comment,
            problem=sentence_of(error),
            can_release=shown.can_release,
        )
    return render_template("analyst/release.html", page=page), status_of(error)


def _revision() -> int:
    """Return the revision of the trial that the form was made from."""
    try:
        return int(request.form.get("revision", ""))
    except ValueError as problem:
        raise EditConflictError(
            marked("This form is incomplete. Look at the page again, then repeat your step.")
        ) from problem

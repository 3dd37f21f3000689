"""How to reach the clinic, and the way out: a call, a pause, the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.consent import OnWithdrawal
from trials.domain.diary import FieldErrors
from trials.domain.errors import EditConflictError, StateError
from trials.domain.life_cycle import UNDER_WAY, State
from trials.domain.words import marked
from trials.services import notices
from trials.services import running as running_services
from trials.services.erasure import erase_answers, remove_draws, wish_on_withdrawal
from trials.services.help_numbers import help_numbers
from trials.store.trial import TrialRow
from trials.web.access import open_to_patient
from trials.web.edge import (
    absolute_url,
    current_actor,
    current_patient,
    now,
    sentence_of,
    settings,
    status_of,
    transaction,
)
from trials.web.patient.advice import Advice, CallLine, all_calls
from trials.web.patient.blueprint import bp, render
from trials.web.patient.listening import listen, way_on
from trials.web.patient.trial import choose_trial, own_trials

NO_REASON_FOR_PAUSE = marked("The patient asked for a pause and gave no reason.")
NO_REASON_FOR_STOP = marked("The patient ended the trial and gave no reason.")


@dataclass(frozen=True, slots=True)
class ClinicPage:
    """All that templates/patient/clinic.html may use.

    Attributes:
        site: name of the clinic.
        calls: every number to call.
        clinician: who leads the trial, "" if there is none.
        called: whether a call was asked for today.
        may_pause: whether the trial can be paused.
        may_stop: whether it can be stopped.
        links: addresses of the deeds.
    """

    site: str
    calls: tuple[CallLine, ...]
    clinician: str = ""
    called: bool = False
    may_pause: bool = False
    may_stop: bool = False
    links: Mapping[str, str] = field(default_factory=dict)


@bp.get("/clinic")
@open_to_patient
def clinic() -> ResponseReturnValue:
    """Show how to reach the clinic, pause or stop."""
    at = now()
    with transaction() as session:
        site = current_patient().site.name
        calls = all_calls(help_numbers(session, current_patient().site))
        if not own_trials(session):
            return render("clinic", ClinicPage(site, calls))
        choice = choose_trial(session)
        state = choice.trial.current_state
        page = ClinicPage(
            site=site,
            calls=calls,
            clinician=choice.trial.clinician.name,
            called=notices.asked_for_call(session, choice.trial, at),
            may_pause=state is State.RUNNING,
            may_stop=state in UNDER_WAY | {State.READY},
            links={name: choice.address(name) for name in ("ask_call", "problem", "pause", "stop")},
        )
    return render("clinic", page)


@bp.post("/clinic/call")
@open_to_patient
def ask_call() -> ResponseReturnValue:
    """Ask the clinician to call."""
    with transaction() as session:
        choice = choose_trial(session)
        notices.ask_for_call(
            session, current_actor(), choice.trial, address=absolute_url("entrance.home"), now=now()
        )
    return redirect(choice.address("clinic"), code=303)


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """All that templates/patient/confirm.html may use: pausing or stopping, once more asked.

    Attributes:
        deed: "pause" or "stop".
        title: of the trial.
        revision: of the trial when the page was shown.
        action: where the form goes.
        back: where "no" goes.
        wish: what was agreed should become of the answers: "keep" or "remove"; only where they
            are to be removed is there a choice.
        reason: what was typed.
        chosen: what is to become of the answers, as chosen.
        problem: why it could not be done, "" if nothing was tried.
        errors: sentences by field.
        advice: what must be read at once.
    """

    deed: str
    title: str
    revision: int
    action: str
    back: str
    wish: str = OnWithdrawal.KEEP.value
    reason: str = ""
    chosen: str = ""
    problem: str = ""
    errors: FieldErrors = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()


@bp.route("/clinic/pause", methods=["GET", "POST"])
@open_to_patient
def pause() -> ResponseReturnValue:
    """Let the trial stand still, after asking once more."""
    return _confirm("pause", State.PAUSED)


@bp.route("/clinic/stop", methods=["GET", "POST"])
@open_to_patient
def stop() -> ResponseReturnValue:
    """End the trial, after asking once more."""
    return _confirm("stop", State.STOPPED)


def _confirm(deed: str, target: State) -> ResponseReturnValue:
    at = now()
    reason = request.form.get("reason", "").strip()[:500]
    files: tuple[str, ...] = ()
    page: ConfirmPage | None = None
    advice = listen(reason, key=f"{deed}-{request.form.get('revision', '')[:20]}")
    try:
        with transaction() as session:
            choice = choose_trial(session)
            trial = choice.trial
            if trial.current_state is target:  # a second tap: it is done already
                return redirect(way_on(choice, advice, "today"), code=303)
            page = ConfirmPage(
                deed=deed,
                title=trial.title,
                revision=trial.revision,
                action=choice.address(deed),
                back=choice.address("clinic"),
                wish=_wish(session, trial, deed),
                reason=reason,
                chosen=request.form.get("answers", ""),
                advice=advice,
            )
            if request.method == "POST":
                if page.wish == OnWithdrawal.REMOVE and page.chosen not in set(OnWithdrawal):
                    missing = {"answers": _("Please choose what becomes of your answers.")}
                    return render("confirm", replace(page, errors=missing)), 422
                files = _do(session, page, trial, at)
    except (EditConflictError, StateError) as problem:
        if page is None:
            raise
        return render("confirm", replace(page, problem=sentence_of(problem))), status_of(problem)
    if request.method == "GET":
        return render("confirm", page)
    remove_draws(settings().data_dir, files)
    flash(_receipt(page), "success")
    return redirect(way_on(choice, advice, "today"), code=303)


def _wish(session: Session, trial: TrialRow, deed: str) -> str:
    """Return what was agreed should become of the answers, as far as there are any."""
    if deed == "pause" or trial.started_at is None:
        return OnWithdrawal.KEEP.value
    return wish_on_withdrawal(session, trial).value


def _removes(page: ConfirmPage) -> bool:
    return page.wish == OnWithdrawal.REMOVE and page.chosen == OnWithdrawal.REMOVE


def _receipt(page: ConfirmPage) -> str:
    if page.deed == "pause":
        return str(_("Your trial is paused. A message goes to your clinic."))
    if _removes(page):
        return str(
            _("Your trial has ended and your answers are removed. A message goes to your clinic.")
        )
    return str(_("Your trial has ended. A message goes to your clinic."))


def _do(session: Session, page: ConfirmPage, trial: TrialRow, at: datetime) -> tuple[str, ...]:
    """Pause or stop; return the files that are to be removed once that is kept."""
    revision = int(request.form.get("revision", "")) if _is_number("revision") else -1
    address = absolute_url("entrance.home")
    actor = current_actor()
    if page.deed == "pause":
        running_services.pause_trial(
            session,
            actor,
            trial,
            revision=revision,
            reason=page.reason or NO_REASON_FOR_PAUSE,
            now=at,
        )
        notices.tell_of_pause(session, trial, address=address, now=at)
        return ()
    reason = page.reason or NO_REASON_FOR_STOP
    running_services.stop_trial(session, actor, trial, revision=revision, reason=reason, now=at)
    if not _removes(page):
        notices.tell_of_stop(session, trial, address=address, now=at)
        return ()
    files = erase_answers(session, actor, trial, reason=reason, now=at)
    notices.tell_of_removal(session, trial, address=address, now=at)
    return files


def _is_number(name: str) -> bool:
    return request.form.get(name, "").isascii() and request.form.get(name, "").isdigit()

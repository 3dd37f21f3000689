"""What a clinician does to a trial: each deed asks on a page of its own before it is done.

The form carries the trial's revision. A second tab, a double click or a colleague who was faster
gets the sentence why it cannot be done and the present state, with what was typed still there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, lazy_gettext
from flask_babel import gettext as _
from flask_babel.speaklater import LazyString
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.calendar import local_day, zone_of
from trials.domain.consent import ON_WITHDRAWAL, OnWithdrawal
from trials.domain.errors import EditConflictError, NotFoundError, ProtocolError, TrialError
from trials.domain.life_cycle import State, Step, may_take
from trials.domain.words import marked
from trials.services import running, trials
from trials.services.actor import Actor
from trials.services.erasure import erase_answers, may_erase, remove_draws
from trials.store.trial import TrialRow, consent_to, frozen_protocol, latest_protocol
from trials.web.access import open_to
from trials.web.calibration import design_told
from trials.web.edge import (
    current_actor,
    now,
    sentence_of,
    settings,
    status_of,
    transaction,
    vault,
)

bp = Blueprint("deeds", __name__, url_prefix="/clinician/trials/<trial>")

CONSENT = "consent"
ERASE = "erase"
"""The two deeds that do not move the trial on."""


@dataclass(frozen=True, slots=True)
class DeedLink:
    """One deed that can be done now."""

    label: str
    href: str
    kind: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What a confirmation page says.

    Attributes:
        label: on the button.
        title: of the page, as a question.
        text: what will happen, and what cannot be undone.
        done: said afterwards.
        kind: of the button: primary, secondary or warning.
        asks: the field it needs: "reason", "start_day", "given_on" or "" for none.
        hint: under that field.
    """

    label: LazyString
    title: LazyString
    text: LazyString
    done: LazyString
    kind: str = "primary"
    asks: str = ""
    hint: LazyString | str = ""


DEEDS: Mapping[str, Deed] = {
    Step.FREEZE: Deed(
        label=lazy_gettext("Freeze the protocol"),
        title=lazy_gettext("Freeze the protocol?"),
        text=lazy_gettext(
            "The protocol becomes final and gets its hash. The sequence is drawn at once and kept "
            "sealed; its commitment is published, so that anybody can check later that nothing was "
            "changed. Nobody can draw a second time."
        ),
        done=lazy_gettext("The protocol is frozen and the sequence is drawn."),
    ),
    CONSENT: Deed(
        label=lazy_gettext("Record consent"),
        title=lazy_gettext("Record the patient's consent?"),
        text=lazy_gettext(
            "Record that the patient agreed to exactly this version of the protocol, on paper or "
            "in the way your clinic does it."
        ),
        done=lazy_gettext("The consent is recorded."),
        asks="given_on",
        hint=lazy_gettext("The day the patient signed."),
    ),
    ERASE: Deed(
        label=lazy_gettext("Remove the answers"),
        title=lazy_gettext("Remove the patient's answers?"),
        text=lazy_gettext(
            "The patient agreed at the start that the answers are removed after a withdrawal. "
            "Entries, notes, photos, guesses and what was computed from them are removed for "
            "good; which days were answered, and this removal, stay on record. There will be no "
            "result."
        ),
        done=lazy_gettext("The answers are removed."),
        kind="warning",
        asks="reason",
        hint=lazy_gettext("It is kept in the audit trail."),
    ),
    Step.START: Deed(
        label=lazy_gettext("Start the trial"),
        title=lazy_gettext("Start the trial?"),
        text=lazy_gettext(
            "Every diary day is laid out from the first day on, and the patient is reminded each "
            "evening. Make sure that the pharmacist has the kits ready for the first day."
        ),
        done=lazy_gettext("The trial has started."),
        asks="start_day",
        hint=lazy_gettext("In the patient's own time zone."),
    ),
    Step.PAUSE: Deed(
        label=lazy_gettext("Pause the trial"),
        title=lazy_gettext("Pause the trial?"),
        text=lazy_gettext(
            "From today on no diary is expected, until you resume the trial. The days that are "
            "still to come move behind the pause, and evaluation starts after a new washout."
        ),
        done=lazy_gettext("The trial is paused."),
        kind="secondary",
        asks="reason",
        hint=lazy_gettext("It is kept in the audit trail. Do not guess at treatments here."),
    ),
    Step.RESUME: Deed(
        label=lazy_gettext("Resume the trial"),
        title=lazy_gettext("Resume the trial?"),
        text=lazy_gettext(
            "The trial goes on today. The days that were still to come are laid out anew."
        ),
        done=lazy_gettext("The trial goes on."),
    ),
    Step.AMEND: Deed(
        label=lazy_gettext("Amend the protocol"),
        title=lazy_gettext("Amend the protocol?"),
        text=lazy_gettext(
            "The trial becomes a draft again, with a new version of the protocol. The old version, "
            "its draw and the consent to it stay on record but count no longer: freeze the new "
            "version and record consent to it again."
        ),
        done=lazy_gettext("The protocol is open as a new version."),
        kind="secondary",
    ),
    Step.STOP: Deed(
        label=lazy_gettext("Stop the trial"),
        title=lazy_gettext("Stop the trial for good?"),
        text=lazy_gettext(
            "The trial ends now and cannot be started again. What was reported is kept and can be "
            "analysed. If it is only a break, pause the trial instead."
        ),
        done=lazy_gettext("The trial is stopped."),
        kind="warning",
        asks="reason",
        hint=lazy_gettext("It is kept in the audit trail. Do not guess at treatments here."),
    ),
}


@dataclass(frozen=True, slots=True)
class DeedPage:
    """All that templates/clinician/deed.html may use.

    Attributes:
        trial_title: of the trial.
        patient: the patient's code.
        state: where the trial stands now.
        trial_href: back to the trial.
        deed: what the page says.
        revision: of the trial as it is now.
        value: what stands in the field.
        first: earliest date to choose, "" for none.
        last: latest date, likewise.
        facts: heading and value of what is about to be agreed.
        wishes: (value, name) of what can be agreed to become of the answers; only for a consent.
        wish: which of them is chosen.
        error: why it could not be done, "" at first.
        possible: whether it can be done now at all.
    """

    trial_title: str
    patient: str
    state: State
    trial_href: str
    deed: Deed
    revision: int
    value: str
    first: str
    last: str
    facts: tuple[tuple[str, str], ...]
    wishes: tuple[tuple[str, str], ...]
    wish: str
    error: str
    possible: bool


def deeds_of(trial: TrialRow, *, consented: bool, erasable: bool = False) -> tuple[DeedLink, ...]:
    """Return what can be done with the trial now, most likely first."""
    return tuple(
        DeedLink(
            label=str(deed.label),
            href=url_for("deeds.ask", trial=trial.public_id, deed=name),
            kind=deed.kind,
        )
        for name, deed in DEEDS.items()
        if _is_possible(trial, name, consented=consented, erasable=erasable)
    )


@bp.get("/<any(freeze, consent, start, pause, resume, amend, stop, erase):deed>")
@open_to(Role.CLINICIAN)
def ask(trial: str, deed: str) -> ResponseReturnValue:
    """Ask whether it shall be done."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        page = _page(session, row, deed, now())
    return render_template("clinician/deed.html", page=page)


@bp.post("/<any(freeze, consent, start, pause, resume, amend, stop, erase):deed>")
@open_to(Role.CLINICIAN)
def do(trial: str, deed: str) -> ResponseReturnValue:
    """Do it, or say why it cannot be done, with what was typed still there."""
    actor, at = current_actor(), now()
    files: tuple[str, ...] = ()
    try:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            if deed == ERASE:
                files = _erase(session, actor, row, at)
            else:
                _WAYS[deed](session, actor, row, _revision(), at)
    except NotFoundError:
        raise
    except TrialError as problem:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            page = _page(session, row, deed, at, problem)
        return render_template("clinician/deed.html", page=page), status_of(problem)
    remove_draws(settings().data_dir, files)
    flash(str(DEEDS[deed].done), "success")
    return redirect(url_for("clinician.show_trial", trial=trial), code=303)


def _freeze(session: Session, actor: Actor, trial: TrialRow, revision: int, at: datetime) -> None:
    trials.freeze_protocol(session, vault(), actor, trial, revision=revision, now=at)


def _consent(session: Session, actor: Actor, trial: TrialRow, revision: int, at: datetime) -> None:
    frozen = frozen_protocol(session, trial.id)
    if trial.revision != revision and (frozen is None or consent_to(session, frozen.id) is None):
        raise EditConflictError(
            marked("Somebody changed this trial in the meantime. Look at the protocol once more.")
        )
    trials.record_consent(
        session, actor, trial, given_on=_date("given_on"), on_withdrawal=_wish(), now=at
    )


def _erase(session: Session, actor: Actor, trial: TrialRow, at: datetime) -> tuple[str, ...]:
    if not _reason().strip():
        raise ProtocolError(marked("Please say in a few words why the answers are removed."))
    return erase_answers(session, actor, trial, reason=_reason().strip(), now=at)


def _start(session: Session, actor: Actor, trial: TrialRow, revision: int, at: datetime) -> None:
    start_day = _date("start_day")
    running.start_trial(
        session, vault(), actor, trial, revision=revision, start_day=start_day, now=at
    )


def _pause(session: Session, actor: Actor, trial: TrialRow, revision: int, at: datetime) -> None:
    running.pause_trial(session, actor, trial, revision=revision, reason=_reason(), now=at)


def _resume(session: Session, actor: Actor, trial: TrialRow, revision: int, at: datetime) -> None:
    running.resume_trial(session, actor, trial, revision=revision, now=at)


def _amend(session: Session, actor: Actor, trial: TrialRow, revision: int, at: datetime) -> None:
    trials.amend_protocol(session, actor, trial, revision=revision, now=at)


def _stop(session: Session, actor: Actor, trial: TrialRow, revision: int, at: datetime) -> None:
    running.stop_trial(session, actor, trial, revision=revision, reason=_reason(), now=at)


_WAYS: Mapping[str, Callable[[Session, Actor, TrialRow, int, datetime], None]] = {
    Step.FREEZE: _freeze,
    CONSENT: _consent,
    Step.START: _start,
    Step.PAUSE: _pause,
    Step.RESUME: _resume,
    Step.AMEND: _amend,
    Step.STOP: _stop,
}


def _page(
    session: Session,
    trial: TrialRow,
    name: str,
    at: datetime,
    problem: TrialError | None = None,
) -> DeedPage:
    deed = DEEDS[name]
    today = local_day(at, zone_of(trial.timezone))
    frozen = frozen_protocol(session, trial.id)
    consented = frozen is not None and consent_to(session, frozen.id) is not None
    first, last, proposed = "", "", ""
    if deed.asks == "start_day":
        longest = timedelta(days=running.LONGEST_WAIT_FOR_START_DAYS)
        first, last = today.isoformat(), (today + longest).isoformat()
        proposed = (today + timedelta(days=1)).isoformat()
    elif deed.asks == "given_on":
        last = proposed = today.isoformat()
    return DeedPage(
        trial_title=trial.title,
        patient=trial.patient.code,
        state=trial.current_state,
        trial_href=url_for("clinician.show_trial", trial=trial.public_id),
        deed=deed,
        revision=trial.revision,
        value=request.form.get(deed.asks, proposed) if deed.asks else "",
        first=first,
        last=last,
        facts=_facts(session, trial, name, today),
        error=sentence_of(problem) if problem is not None else "",
        wishes=tuple((w.value, str(_(text))) for w, text in ON_WITHDRAWAL.items())
        if name == CONSENT
        else (),
        wish=request.form.get("on_withdrawal", ""),
        possible=_is_possible(trial, name, consented=consented, erasable=may_erase(session, trial)),
    )


def _facts(
    session: Session, trial: TrialRow, name: str, today: date
) -> tuple[tuple[str, str], ...]:
    """Return what the deed is about: the agreement to be frozen, agreed to or begun."""
    if name not in {Step.FREEZE, CONSENT, Step.START}:
        return ()
    row = latest_protocol(session, trial.id)
    protocol = row.value
    design = protocol.design
    end = today + timedelta(days=design.total_days - 1)
    facts = [
        (_("Question"), protocol.question),
        (_("Treatments"), ", ".join(f"{c.name} {c.dose}".strip() for c in protocol.candidates)),
        (
            _("Design"),
            _(
                "%(periods)s periods of %(period)s days, %(total)s days in all",
                periods=design.periods,
                period=design.period_days,
                total=design.total_days,
            ),
        ),
        (_("Version"), str(row.version)),
    ]
    told = design_told(session, trial, protocol)
    if told is not None and told.text:
        facts.append((_("What this design can tell"), told.text))
    if row.hash:
        facts.append((_("Protocol hash"), row.hash))
    if name == Step.START:
        facts.append((_("Last day, if it starts today"), format_date(end, "full")))
    return tuple((str(head), str(value)) for head, value in facts)


def _is_possible(trial: TrialRow, name: str, *, consented: bool, erasable: bool) -> bool:
    if name == ERASE:
        return erasable
    if name == CONSENT:
        return trial.current_state is State.READY and not consented
    if name == Step.START and not consented:
        return False
    return may_take(trial.current_state, Step(name))


def _revision() -> int:
    return request.form.get("revision", 0, type=int)


def _wish() -> OnWithdrawal:
    try:
        return OnWithdrawal(request.form.get("on_withdrawal", ""))
    except ValueError:
        raise ProtocolError(
            marked("Please say what was agreed to become of the answers after a withdrawal.")
        ) from None


def _reason() -> str:
    return request.form.get("reason", "")[:500]


def _date(field: str) -> date:
    try:
        return date.fromisoformat(request.form.get(field, ""))
    except ValueError as problem:
        raise ProtocolError(marked("Please give a date, such as 2026-03-01.")) from problem

"""The clinician's result page after the release, and the decision that is signed on it."""

from dataclasses import dataclass, replace

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, format_datetime
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.canonical import canonical_json
from trials.domain.diary import FieldErrors
from trials.domain.errors import NotFoundError, TrialError
from trials.domain.impression import NO_PREFERENCE, NONE_OF_THEM
from trials.domain.life_cycle import State
from trials.domain.protocol import Protocol
from trials.services import allocation, analysis, trials
from trials.services.analysis import Result
from trials.services.blinding_held import blinding_held
from trials.store.account import AccountRow
from trials.store.fit import ReleaseRow, release_of
from trials.store.impression import impressions_of_trial
from trials.store.trial import ProtocolRow, TrialRow, decision_on, frozen_protocol, periods_of_trial
from trials.web.access import open_to
from trials.web.agreement import NOTHING, ends_in_words, harm_in_words
from trials.web.edge import current_actor, now, sentence_of, status_of, transaction, vault
from trials.web.local_words import days_between
from trials.web.phrases import number_text, percent_text
from trials.web.plain_result import change_in_words
from trials.web.scrutiny import GuessText, Scrutiny, read_guesses, read_scrutiny
from trials.web.verdict import ResultFigures, read_result
from trials.web.what_if import WhatIfForm, frozen_weight, what_if_form, what_if_page

bp = Blueprint("result", __name__, url_prefix="/clinician/trials/<trial>")

NONE = "none"
"""The choice of a decision for none of the candidates; an empty choice is no decision."""


@dataclass(frozen=True, slots=True)
class OpenedPeriod:
    """One period with its treatment, after the release."""

    number: int
    days: str
    treatment: str
    dose: str
    kit: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The allocation in clear.

    Attributes:
        periods: in order.
        verified: whether it is what was promised at the freeze, redrawn from its seed just now.
        commitment: as it was published.
        seed: with which anybody can draw it again.
        unblinded: periods whose code had been opened in an emergency.
        protocol_json: the frozen protocol, as it was hashed.
    """

    periods: tuple[OpenedPeriod, ...]
    verified: bool
    commitment: str
    seed: str
    unblinded: tuple[int, ...]
    protocol_json: str


@dataclass(frozen=True, slots=True)
class ResultPage:
    """All that templates/clinician/result.html may use.

    Attributes:
        title: of the trial.
        patient: the patient's code.
        state: where the trial stands.
        question: what was asked.
        trial_href: back to the trial.
        result: verdict, figures and plots.
        rule: heading and value of each part of the frozen decision rule.
        opened: the allocation in clear.
        provenance: heading and value: hashes, versions, seed.
        released: when and by whom.
        comment: the analyst's.
        decide_href: the form to sign, "" once it is signed.
        decision: heading and value of what was signed; () before.
        scrutiny: what stands beside the verdict; None where there is none.
        guesses: what the patient guessed; None without a guess.
        said: what the patient said of each period: number, treatment, change, words, preference.
        what_if: the field to try another weight with.
    """

    title: str
    patient: str
    state: State
    question: str
    trial_href: str
    result: ResultFigures
    rule: tuple[tuple[str, str], ...]
    opened: Opened
    provenance: tuple[tuple[str, str], ...]
    released: str
    comment: str
    decide_href: str
    decision: tuple[tuple[str, str], ...]
    scrutiny: Scrutiny | None
    guesses: GuessText | None
    said: tuple[tuple[str, str, str, str, str], ...]
    what_if: WhatIfForm


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """All that templates/clinician/decision.html may use.

    Attributes:
        patient: the patient's code.
        title: of the trial.
        state: where the trial stands now.
        result_href: back to the result.
        result: to decide on.
        choices: value, label and dose of each candidate, and none of them.
        typed: what stands in the fields: treatment, reason.
        errors: field -> sentence.
        message: a sentence about the whole form.
        revision: of the trial as it is now.
        possible: whether it can be signed now.
    """

    patient: str
    title: str
    state: State
    result_href: str
    result: ResultFigures
    choices: tuple[tuple[str, str, str], ...]
    typed: dict[str, str]
    errors: FieldErrors
    message: str
    revision: int
    possible: bool


@bp.get("/result")
@open_to(Role.CLINICIAN)
def show_result(trial: str) -> ResponseReturnValue:
    """Show the released result."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        found = analysis.released_result(session, vault(), current_actor(), row)
        page = _result_page(session, row, found)
    return render_template("clinician/result.html", page=page)


@bp.get("/what-if")
@open_to(Role.CLINICIAN)
def what_if(trial: str) -> ResponseReturnValue:
    """Say what the rule would have said at another weight of side effects, after the release."""
    with transaction() as session:
        page = what_if_page(
            session,
            trials.get_trial(session, current_actor(), trial),
            action=url_for("result.what_if", trial=trial),
            back_href=url_for("result.show_result", trial=trial),
            call=lambda found: found.treatments or {},
        )
    return render_template("report/what_if.html", page=page), 422 if page.form.error else 200


@bp.get("/decision")
@open_to(Role.CLINICIAN)
def ask_decision(trial: str) -> ResponseReturnValue:
    """Ask what was decided."""
    with transaction() as session:
        row = trials.get_trial(session, current_actor(), trial)
        page = _decision_page(session, row, {}, {})
    return render_template("clinician/decision.html", page=page)


@bp.post("/decision")
@open_to(Role.CLINICIAN)
def sign_decision(trial: str) -> ResponseReturnValue:
    """Sign the decision, or show the form again."""
    typed = {
        "treatment": request.form.get("treatment", ""),
        "reason": request.form.get("reason", "")[:500],
    }
    errors: FieldErrors = {}
    if not typed["treatment"]:
        errors["treatment"] = str(_("Choose what is taken from now on."))
    if not typed["reason"].strip():
        errors["reason"] = str(_("Give the reason in a sentence; the patient reads it too."))
    actor = current_actor()
    if errors:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            page = _decision_page(session, row, typed, errors)
        return render_template("clinician/decision.html", page=page), 422
    chosen = typed["treatment"]
    try:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            trials.decide(
                session,
                actor,
                row,
                revision=request.form.get("revision", 0, type=int),
                treatment="" if chosen == NONE else chosen,
                reason=typed["reason"],
                now=now(),
            )
    except NotFoundError:
        raise
    except TrialError as problem:
        with transaction() as session:
            row = trials.get_trial(session, actor, trial)
            page = _decision_page(session, row, typed, {})
        page = replace(page, message=sentence_of(problem))
        return render_template("clinician/decision.html", page=page), status_of(problem)
    flash(str(_("The decision is signed.")), "success")
    return redirect(url_for("result.show_result", trial=trial), code=303)


def _result_page(session: Session, trial: TrialRow, found: Result) -> ResultPage:
    frozen = frozen_protocol(session, trial.id)
    release = release_of(session, trial.id)
    assert frozen is not None and release is not None  # noqa: S101, PT018  # it was released
    protocol = frozen.value
    signed = decision_on(session, trial.id)
    decision: tuple[tuple[str, str], ...] = ()
    if signed is not None:
        signer = session.get(AccountRow, signed.signed_by)
        name = protocol.candidate(signed.treatment).name if signed.treatment else _("none of them")
        when = format_datetime(signed.signed_at, "long")
        decision = (
            (str(_("Taken from now on")), str(name)),
            (str(_("Reason")), signed.reason),
            (str(_("Signed")), f"{signer.name if signer else ''}, {when}"),
        )
    may_decide = trial.current_state is State.RELEASED
    opened = _opened(session, trial, frozen, release)
    return ResultPage(
        title=trial.title,
        patient=trial.patient.code,
        state=trial.current_state,
        question=protocol.question,
        trial_href=url_for("clinician.show_trial", trial=trial.public_id),
        result=read_result(found, protocol, to_patient=False),
        rule=_rule(protocol),
        opened=opened,
        provenance=_provenance(found, frozen),
        released=_released(session, release),
        comment=release.comment,
        decide_href=url_for("result.ask_decision", trial=trial.public_id) if may_decide else "",
        decision=decision,
        scrutiny=read_scrutiny(found, found.treatments or {}),
        said=_said(session, trial, opened),
        guesses=read_guesses(
            blinding_held(session, vault(), current_actor(), trial), found.treatments or {}
        ),
        what_if=what_if_form(
            url_for("result.what_if", trial=trial.public_id), frozen_weight(protocol)
        ),
    )


def _decision_page(
    session: Session, trial: TrialRow, typed: dict[str, str], errors: FieldErrors
) -> DecisionPage:
    found = analysis.released_result(session, vault(), current_actor(), trial)
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None  # noqa: S101  # it was released
    protocol = frozen.value
    return DecisionPage(
        patient=trial.patient.code,
        title=trial.title,
        state=trial.current_state,
        result_href=url_for("result.show_result", trial=trial.public_id),
        result=read_result(found, protocol, to_patient=False),
        choices=(
            *((c.treatment, c.name, c.dose) for c in protocol.candidates),
            (NONE, str(_("None of them")), ""),
        ),
        typed={"treatment": "", "reason": "", **typed},
        errors=errors,
        message="",
        revision=trial.revision,
        possible=trial.current_state is State.RELEASED,
    )


def _rule(protocol: Protocol) -> tuple[tuple[str, str], ...]:
    rule = protocol.decision
    rows = [
        (_("Called best at a chance of"), _("%(share)s or more", share=percent_text(rule.best))),
        (
            _("Points it may cost on average"),
            _("at most %(points)s", points=number_text(rule.largest_expected_loss, 2)),
        ),
        (
            _("Practically equal"),
            _(
                "differing by less than %(margin)s points at a chance of %(share)s or more",
                margin=number_text(rule.equal_margin),
                share=percent_text(rule.equal_probability),
            ),
        ),
    ]
    if protocol.comparator:
        rows.append(
            (
                _("Against the reference"),
                _(
                    "better than %(name)s by %(margin)s points at a chance of %(share)s or more",
                    name=protocol.candidate(protocol.comparator).name,
                    margin=number_text(rule.equal_margin),
                    share=percent_text(rule.superiority_probability),
                ),
            )
        )
    if protocol.severe_limit is not None:
        rows.append((_("Left out for"), harm_in_words(protocol.severe_limit)))
    rows.append((_("Ratings near 0 or 10"), ends_in_words(protocol.ends_of_scale)))
    if protocol.bother_weight:
        rows.append(
            (
                _("One point of bother counts as"),
                _("%(points)s points of pain", points=number_text(protocol.bother_weight, 2)),
            )
        )
    return tuple((str(head), str(value)) for head, value in rows)


def _said(
    session: Session, trial: TrialRow, opened: Opened
) -> tuple[tuple[str, str, str, str, str], ...]:
    """Return what the patient said of each period, with the treatment it turned out to be."""
    given = {period.number: period.treatment for period in opened.periods}
    none = {NO_PREFERENCE: str(_("no preference")), NONE_OF_THEM: str(_("none of them"))}

    def preferred(number: int | None) -> str:
        if number is None:
            return NOTHING
        return none.get(number, "") or f"{number}: {given.get(number, NOTHING)}"

    return tuple(
        (
            str(row.period),
            given.get(row.period, NOTHING),
            change_in_words(row) or NOTHING,
            row.words or NOTHING,
            preferred(row.preference),
        )
        for row in impressions_of_trial(session, trial.id)
    )


def _opened(session: Session, trial: TrialRow, frozen: ProtocolRow, release: ReleaseRow) -> Opened:
    protocol = frozen.value
    sequence, key = release.opened["sequence"], release.opened["arm_key"]
    assert isinstance(sequence, list) and isinstance(key, dict)  # noqa: S101, PT018  # as written
    rows = {p.number: p for p in periods_of_trial(session, trial.id)}
    periods = []
    for number, label in enumerate(sequence, start=1):
        candidate = protocol.candidate(str(key[label]))
        row = rows.get(number)
        periods.append(
            OpenedPeriod(
                number=number,
                days=days_between(row.first_day, row.last_day) if row else "",
                treatment=candidate.name,
                dose=candidate.dose,
                kit=row.kit if row else "",
            )
        )
    return Opened(
        periods=tuple(periods),
        verified=allocation.opened_as_promised(release.opened, protocol),
        commitment=str(release.opened["commitment"]),
        seed=str(release.opened["seed"]),
        unblinded=allocation.unblinded_periods(session, trial),
        protocol_json=canonical_json(protocol),
    )


def _provenance(found: Result, frozen: ProtocolRow) -> tuple[tuple[str, str], ...]:
    """Return where the answer comes from: everything the fit kept, the protocol first."""
    kept = found.summary.get("provenance")
    values = kept if isinstance(kept, dict) else {}
    rows = [(str(_("Protocol")), frozen.hash or "")]
    if found.fit is not None:
        rows.append((str(_("Analysis")), found.fit.public_id))
        if found.fit.done_at is not None:
            rows.append((str(_("Computed")), format_datetime(found.fit.done_at, "long")))
    names = {
        "data_hash": _("Data"),
        "specification_hash": _("Specification"),
        "seed": _("Seed"),
        "model": _("Model"),
        "code_version": _("Lenitive"),
        "versions": _("Software"),
    }
    for name, value in values.items():
        rows.append((str(names.get(name, name.replace("_", " "))), _text(value)))
    return tuple((head, value) for head, value in rows if value)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return "" if value is None else str(value)


def _released(session: Session, release: ReleaseRow) -> str:
    analyst = session.get(AccountRow, release.approved_by)
    return str(
        _(
            "Released on %(day)s by %(name)s",
            day=format_date(release.approved_at, "long"),
            name=analyst.name if analyst else "",
        )
    )

"""The clinician's alerts: what waits, what it is about, and writing down what was done."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, format_datetime, lazy_gettext, ngettext
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import EditConflictError, ProtocolError, TrialError
from trials.domain.life_cycle import UNDER_WAY, State
from trials.services import adverse_events
from trials.services import alerts as alert_services
from trials.services.catalogue import side_effect_terms
from trials.services.red_flag_rules import rules
from trials.store.adverse_event import AdverseEventRow
from trials.store.alert import AlertRow
from trials.web.access import open_to
from trials.web.agreement import NOTHING
from trials.web.edge import current_actor, now, sentence_of, status_of, transaction
from trials.web.menu import MenuItem

bp = Blueprint("alerts", __name__, url_prefix="/clinician/alerts")

MENU = (
    MenuItem(
        Role.CLINICIAN,
        lazy_gettext("Alerts"),
        "alerts.list_alerts",
        also=("alerts.show_alert", "alerts.acknowledge"),
    ),
)


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert of a list.

    Attributes:
        href: its page.
        patient: the patient's code.
        title: of the rule.
        urgency: "immediate", "same_day" or "next_working_day".
        raised: when.
        deed: what was done, "" while it waits.
        by: who acknowledged it, "" likewise.
    """

    href: str
    patient: str
    title: str
    urgency: str
    raised: str
    deed: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One report of a serious event that is not signed."""

    href: str
    patient: str
    due: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class AlertsPage:
    """All that templates/clinician/alerts.html may use: what waits, and what was acknowledged."""

    waiting: tuple[AlertLine, ...]
    reports: tuple[ReportLine, ...]
    settled: tuple[AlertLine, ...]


@dataclass(frozen=True, slots=True)
class AlertPage:
    """All that templates/clinician/alert.html may use.

    Attributes:
        title: of the rule.
        patient: the patient's code.
        trial_href: the trial.
        urgency: how soon somebody has to look.
        facts: heading and value.
        advice: what the patient reads, an English sentence to translate.
        acknowledged: who looked at it when; "" while it waits.
        deed: what was done, or what was typed.
        error: why it could not be kept, "" at first.
        event_href: writes down a serious event.
        pause_href: pauses the trial; "" if that cannot be done.
        stop_href: stops it, likewise.
        source: where the rule comes from.
    """

    title: str
    patient: str
    trial_href: str
    urgency: str
    facts: tuple[tuple[str, str], ...]
    advice: str
    acknowledged: str
    deed: str
    error: str
    event_href: str
    pause_href: str
    stop_href: str
    source: str


@bp.get("")
@open_to(Role.CLINICIAN)
def list_alerts() -> ResponseReturnValue:
    """Show the site's alerts."""
    at = now()
    with transaction() as session:
        actor = current_actor()
        page = AlertsPage(
            waiting=tuple(alert_line(row) for row in alert_services.open_alerts(session, actor)),
            reports=tuple(
                report_line(row, at) for row in adverse_events.unsigned_events(session, actor)
            ),
            settled=tuple(alert_line(row) for row in alert_services.settled_alerts(session, actor)),
        )
    return render_template("clinician/alerts.html", page=page)


@bp.get("/<alert>")
@open_to(Role.CLINICIAN)
def show_alert(alert: str) -> ResponseReturnValue:
    """Show one alert."""
    with transaction() as session:
        page = _alert_page(session, alert)
    return render_template("clinician/alert.html", page=page)


@bp.post("/<alert>")
@open_to(Role.CLINICIAN)
def acknowledge(alert: str) -> ResponseReturnValue:
    """Write down that somebody looked, and what was done."""
    try:
        with transaction() as session:
            alert_services.acknowledge(
                session, current_actor(), alert, deed=request.form.get("deed", ""), now=now()
            )
    except (EditConflictError, ProtocolError) as problem:
        with transaction() as session:
            page = _alert_page(session, alert, problem)
        return render_template("clinician/alert.html", page=page), status_of(problem)
    flash(_("The alert is acknowledged."), "success")
    return redirect(url_for("alerts.list_alerts"), code=303)


def alert_line(row: AlertRow) -> AlertLine:
    """Return how an alert reads in a list."""
    return AlertLine(
        href=url_for("alerts.show_alert", alert=row.public_id),
        patient=row.trial.patient.code,
        title=title_of(row),
        urgency=row.urgency,
        raised=format_datetime(row.raised_at, "short"),
        deed=row.deed,
        by=row.acknowledger.name if row.acknowledger is not None else "",
    )


def report_line(row: AdverseEventRow, at: datetime) -> ReportLine:
    """Return how an unsigned report reads in a list."""
    return ReportLine(
        href=url_for("adverse_events.show_event", event=row.public_id),
        patient=row.trial.patient.code,
        due=format_datetime(row.due_at, "short"),
        overdue=row.due_at <= at,
    )


def title_of(row: AlertRow) -> str:
    """Return what an alert is about, in the reader's language."""
    rule = rules().get(row.rule)
    return str(_(rule.title)) if rule is not None else row.rule


def _alert_page(session: Session, public_id: str, problem: TrialError | None = None) -> AlertPage:
    row = alert_services.get_alert(session, current_actor(), public_id)
    rule = rules().get(row.rule)
    trial = row.trial.public_id
    under_way = row.trial.current_state in UNDER_WAY
    running = row.trial.current_state is State.RUNNING
    acknowledged = ""
    if row.acknowledged_at is not None and row.acknowledger is not None:
        acknowledged = _(
            "%(name)s, %(when)s",
            name=row.acknowledger.name,
            when=format_datetime(row.acknowledged_at, "medium"),
        )
    typed = request.form.get("deed", "") if row.acknowledged_at is None else ""
    return AlertPage(
        title=title_of(row),
        patient=row.trial.patient.code,
        trial_href=url_for("clinician.show_trial", trial=trial),
        urgency=row.urgency,
        facts=_facts(row),
        advice=rule.text if rule is not None else "",
        acknowledged=acknowledged,
        deed=typed or row.deed,
        error=sentence_of(problem) if problem is not None else "",
        event_href=url_for("adverse_events.new_event", trial=trial, alert=row.public_id),
        pause_href=url_for("deeds.ask", trial=trial, deed="pause") if running else "",
        stop_href=url_for("deeds.ask", trial=trial, deed="stop") if under_way else "",
        source=rule.source if rule is not None else "",
    )


def _facts(row: AlertRow) -> tuple[tuple[str, str], ...]:
    sources = {
        "diary": _("A diary entry"),
        "words": _("Words of the patient elsewhere"),
        "button": _("The patient's list of serious things"),
        "screen": _("The questions about mood"),
        "silence": _("The missing diary"),
        "refused": _("A report that could not be kept"),
    }
    facts = [
        (_("Patient"), f"{row.trial.patient.code}, {row.trial.patient.name}"),
        (_("Raised"), format_datetime(row.raised_at, "medium")),
        (_("About"), format_date(row.day, "full")),
        (_("Came from"), sources[row.source]),
        (_("Signs"), ", ".join(_sign(key) for key in row.signs.split(",") if key) or NOTHING),
        (_("Somebody was told"), ngettext("%(num)s time", "%(num)s times", row.step)),
    ]
    return tuple((str(head), str(value)) for head, value in facts)


def _sign(key: str) -> str:
    """Return a sign in words: a side effect by its label, all else by its name."""
    known = {
        "pain_high_two_days": _("Pain 9 or more on two days in a row"),
        "pain_above_run_in": _("Pain 3 points above the run-in on three days in a row"),
        "too_many_doses": _("More rescue doses than the daily maximum"),
        "two_nsaids": _("Two different anti-inflammatory medicines (NSAIDs)"),
        "opioids_above_cap": _("Opioids of a day at or above 90 mg of morphine equivalents"),
        "no_diary": _("No diary for three days"),
        "suicidal": _("Words in the note"),
        "sometimes": _("Thoughts of self-harm at times"),
        "often": _("Thoughts of self-harm often"),
        "not_said": _("The patient did not want to say"),
    }
    term = side_effect_terms().get(key)
    if term is not None:
        return str(_(term.label))
    return str(known.get(key, _("Words in the note: %(sign)s", sign=key.replace("_", " "))))

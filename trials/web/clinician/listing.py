"""The list of the site's trials: how each stands, and what waits for the clinician."""

from dataclasses import dataclass

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_babel import gettext as _

from trials.domain.blinding import Blinding, Role
from trials.domain.life_cycle import STATE_NAMES, UNDER_WAY, State
from trials.services.adverse_events import unsigned_events
from trials.services.alerts import open_alerts
from trials.services.overview import TrialOverview, trials_of
from trials.services.problems import trials_that_wait
from trials.web.access import open_to
from trials.web.alerts import AlertLine, ReportLine, alert_line, report_line
from trials.web.clinician.blueprint import bp
from trials.web.clinician.notices import out_of_reach, silence
from trials.web.edge import current_account, current_actor, now, transaction
from trials.web.phrases import percent_text

STATE_FILTERS = ("", "waiting", *State)


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One trial of the list.

    Attributes:
        href: its page.
        patient: the patient's code.
        title: of the trial.
        state: where it stands.
        is_open: whether treatments are known to all.
        clinician: who leads it.
        where: such as "Day 20 of 56, period 2 of 4"; "" before the start and after the end.
        adherence: answered share of the diary days, "" before the first.
        alert: what needs attention, "" for nothing.
        waits: what waits for the clinician, "" for nothing.
    """

    href: str
    patient: str
    title: str
    state: State
    is_open: bool
    clinician: str
    where: str
    adherence: str
    alert: str
    waits: str


@dataclass(frozen=True, slots=True)
class TrialsPage:
    """All that templates/clinician/trials.html may use.

    Attributes:
        lines: the trials that pass the filter, what waits for the clinician first.
        total: how many there are without a filter.
        running: how many run.
        alerts: how many patients are silent.
        unreachable: how many get no reminder though a diary is asked for.
        waiting: how many wait for the clinician.
        red_flags: alerts that nobody has acknowledged.
        reports: reports of serious events that are not signed.
        state: the chosen filter.
        mine: whether only the reader's own are shown.
        states: value and label of each filter.
    """

    lines: tuple[TrialLine, ...]
    total: int
    running: int
    alerts: int
    unreachable: int
    waiting: int
    red_flags: tuple[AlertLine, ...]
    reports: tuple[ReportLine, ...]
    state: str
    mine: bool
    states: tuple[tuple[str, str], ...]


@bp.get("/trials")
@open_to(Role.CLINICIAN)
def list_trials() -> ResponseReturnValue:
    """Show the site's trials."""
    with transaction() as session:
        found = trials_of(session, current_actor(), now())
        red_flags = tuple(map(alert_line, open_alerts(session, current_actor())))
        unsigned = unsigned_events(session, current_actor())
        reports = tuple(report_line(row, now()) for row in unsigned)
        waiting = trials_that_wait(session, current_actor())
    lines = [(o, _trial_line(o, asks=o.public_id in waiting)) for o in found]
    state = request.args.get("state", "")
    mine = request.args.get("mine") == "yes"
    chosen = [
        line
        for overview, line in lines
        if _passes(line, state) and (not mine or overview.clinician_id == current_account().id)
    ]
    chosen.sort(key=lambda line: (not line.alert, not line.waits, list(State).index(line.state)))
    page = TrialsPage(
        lines=tuple(chosen),
        total=len(lines),
        running=sum(line.state in UNDER_WAY for _overview, line in lines),
        alerts=sum(overview.is_silent for overview, _line in lines),
        unreachable=sum(overview.is_unreachable for overview, _line in lines),
        waiting=sum(bool(line.waits) for _overview, line in lines),
        red_flags=red_flags,
        reports=reports,
        state=state if state in STATE_FILTERS else "",
        mine=mine,
        states=(
            ("", _("All")),
            ("waiting", _("Waiting for the clinician")),
            *((s.value, str(_(STATE_NAMES[s])).capitalize()) for s in State),
        ),
    )
    return render_template("clinician/trials.html", page=page)


def _passes(line: TrialLine, state: str) -> bool:
    if state == "waiting":
        return bool(line.waits or line.alert)
    return state not in set(State) or line.state == state


def _trial_line(overview: TrialOverview, *, asks: bool) -> TrialLine:
    return TrialLine(
        href=url_for("clinician.show_trial", trial=overview.public_id),
        patient=overview.patient,
        title=overview.title,
        state=overview.state,
        is_open=overview.blinding is Blinding.OPEN,
        clinician=overview.clinician,
        where=_where(overview),
        adherence="" if overview.adherence is None else percent_text(overview.adherence),
        alert=_asks(asks=asks) or silence(overview) or out_of_reach(overview),
        waits=_waits(overview),
    )


def _asks(*, asks: bool) -> str:
    """Return that the patient waits for a call or an answer, "" if not."""
    return str(_("The patient waits for a call or an answer")) if asks else ""


def _where(overview: TrialOverview) -> str:
    if overview.state not in UNDER_WAY:
        return ""
    if overview.day == 0 and overview.start_day is not None:
        return str(_("Starts on %(day)s", day=format_date(overview.start_day, "medium")))
    if overview.period == 0:
        return str(_("Day %(day)s of %(days)s", day=overview.day, days=overview.days))
    return str(
        _(
            "Day %(day)s of %(days)s, period %(period)s of %(periods)s",
            day=overview.day,
            days=overview.days,
            period=overview.period,
            periods=overview.periods,
        )
    )


def _waits(overview: TrialOverview) -> str:
    """Return what waits for the clinician, "" if it is somebody else's turn."""
    match overview.state:
        case State.DRAFT:
            return str(_("Check the draft and freeze it"))
        case State.READY:
            return str(_("Start the trial") if overview.consented else _("Record consent"))
        case State.PAUSED:
            return str(_("Resume or stop"))
        case State.RUNNING if overview.is_silent or overview.is_unreachable:
            call = overview.is_silent
            return str(_("Call the patient") if call else _("Ask for another address"))
        case State.RELEASED:
            return str(_("Read the result and decide"))
    return ""

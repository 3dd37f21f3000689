"""What needs a clinician's attention, in sentences."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.calendar import local_day, readable_zone
from trials.domain.life_cycle import UNDER_WAY, State
from trials.services import allocation, looks
from trials.services.erasure import is_erased
from trials.services.mood import Occasion, questions_due
from trials.services.overview import TrialOverview
from trials.store.trial import (
    TrialRow,
)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that needs attention."""

    title: str
    text: str
    kind: str = "warn"


def notices_of(
    session: Session, trial: TrialRow, overview: TrialOverview, at: datetime
) -> tuple[Notice, ...]:
    """Return what needs attention now, the most urgent first."""
    found: list[Notice] = []
    found += _mood(session, trial, overview, at)
    if overview.is_silent:
        found.append(
            Notice(
                silence(overview),
                _("Please get in touch: a short call often helps, a pause is better than a gap."),
            )
        )
    if overview.state in UNDER_WAY and (overview.is_unreachable or overview.ways.has_failed):
        found.append(_reach_notice(overview))
    found += _looks(session, trial)
    found += [
        Notice(
            _("The code of period %(period)s was opened", period=period),
            _("The pharmacist opened it in an emergency. The other periods stay blinded."),
            "danger",
        )
        for period in allocation.unblinded_periods(session, trial)
    ]
    if trial.current_state is State.STOPPED and trial.end_reason:
        found.append(Notice(_("The trial was stopped"), trial.end_reason, "info"))
    if is_erased(session, trial):
        found.append(
            Notice(
                _("The answers were removed"),
                _("As was agreed with the consent. Which days were answered stays on record."),
                "info",
            )
        )
    return tuple(found)


def _mood(
    session: Session, trial: TrialRow, overview: TrialOverview, at: datetime
) -> Iterable[Notice]:
    """Yield that the questions about mood wait for an answer longer than they should."""
    due = questions_due(session, trial, at)
    if due is None:
        return
    finds_them = _("The patient finds the questions on the first page. Please get in touch.")
    if due.occasion is Occasion.BASELINE:
        if overview.day:
            yield Notice(_("The questions about mood were never answered"), finds_them)
            return
        yield Notice(
            _("The questions about mood are not answered yet"),
            _(
                "A treatment of this trial calls for them before the start. The patient finds "
                "them on the first page."
            ),
        )
    elif due.since is not None and due.occasion is Occasion.LOW_MOOD:
        day = format_date(due.since, "medium")
        title = _("Low mood was reported, and the questions about it are not answered")
        yield Notice(title, f"{_('First reported for %(day)s.', day=day)} {finds_them}", "danger")
    elif due.since is not None and local_day(at, readable_zone(trial.timezone)) > due.since:
        day = format_date(due.since, "medium")
        title = _("The weekly questions about mood are overdue")
        yield Notice(title, f"{_('They were due on %(day)s.', day=day)} {finds_them}")


def _reach_notice(overview: TrialOverview) -> Notice:
    """Say which reminders do not get through, and what helps."""
    if not overview.is_unreachable:
        return Notice(
            _("Some reminders come back"),
            _(
                "One way to the patient was refused for good and is not tried any more; others "
                "work. The patient's page says which."
            ),
            "info",
        )
    if overview.ways.has_failed:
        return Notice(
            _("Reminders do not reach the patient"),
            _(
                "They come back, and are not sent any more. Ask the patient for an address that "
                "works; reminders go on as soon as it is changed."
            ),
        )
    return Notice(
        _("Reminders do not reach the patient"),
        _(
            "There is no e-mail address, no number for text messages, and no phone with messages "
            "turned on. Ask the patient whether that is wanted."
        ),
    )


def _looks(session: Session, trial: TrialRow) -> Iterable[Notice]:
    """Yield what planned looks found; which arm it is stays closed."""
    if trial.current_state not in UNDER_WAY:
        return
    block = looks.clear_look(session, trial)
    if block:
        yield Notice(
            _("The answer is clear after block %(block)s", block=block),
            _(
                "By the frozen rule one treatment is best already. Talk with the patient: the "
                "trial may be stopped now and analysed, or go on as planned. Which treatment it "
                "is, is told after the release."
            ),
            "good",
        )
    harm = looks.harmful_look(session, trial)
    if harm:
        yield Notice(
            _("A treatment does harm, says the look after block %(block)s", block=harm),
            _(
                "Severe side effects of one treatment are likely above the limit that was agreed. "
                "Talk with the patient, and pause or stop the trial. In an emergency the "
                "pharmacist opens the code."
            ),
            "danger",
        )


def silence(overview: TrialOverview) -> str:
    """Return since when no diary came, "" while it does."""
    if not overview.is_silent:
        return ""
    return str(
        ngettext("No diary for %(num)s day", "No diary for %(num)s days in a row", overview.silent)
    )


def out_of_reach(overview: TrialOverview) -> str:
    """Return that no reminder gets through to the patient, "" if one does."""
    if not overview.is_unreachable:
        return ""
    if overview.ways.has_failed:
        return str(_("Reminders come back"))
    return str(_("No way to send reminders"))

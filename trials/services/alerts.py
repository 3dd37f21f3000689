"""Raise an alert, tell one person after another of it, and write down who looked at it.

An alert is a row that is due at once. The clock tells the responsible clinician, then the
on-call contact, then everybody at the site, until somebody acknowledges it. Messages name the
patient by code only and never say what the alert is about: mail is no safe place for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from trials.domain.alerts import next_step_at
from trials.domain.blinding import Role
from trials.domain.calendar import readable_zone
from trials.domain.errors import EditConflictError, NotFoundError, ProtocolError
from trials.domain.red_flags import Fact, Urgency
from trials.domain.words import marked as _
from trials.services.actor import Actor, record, require_account, require_role
from trials.services.language import write_letter
from trials.services.messages import NOT_NEEDED, queue_message
from trials.services.red_flag_rules import NO_DIARY
from trials.store.account import AccountRow
from trials.store.alert import (
    AlertRow,
    NewAlert,
    add_alerts,
    alerts_on,
    find_alert,
    is_heard,
    lock_alert,
    open_alerts_of_site,
    settled_alerts_of_site,
    staff_in_role,
    take_due_alerts,
)
from trials.store.clockwork import Silence
from trials.store.outbox import URGENT, drop_waiting
from trials.store.safety_contact import safety_contact_of
from trials.store.trial import TrialRow, lock_trial

BATCH = 50
TRY_AGAIN = timedelta(minutes=1)
LONGEST_DEED = 1000
LATELY = 50
ON_CALL_STEP = 1
EVERYBODY_STEP = 2


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who is told, and in which language."""

    email: str
    locale: str


def raise_alert(
    session: Session,
    actor: Actor,
    trial: TrialRow,
    *,
    rule: str,
    urgency: Urgency,
    source: str,
    day: date,
    now: datetime,
    signs: Iterable[str] = (),
    entry: int | None = None,
    submission: str = "",
) -> AlertRow | None:
    """Raise an alert, once for each rule and day; return it if it is new.

    A second one of the same day makes an open alert more urgent if it is. Once somebody has
    acknowledged the first, whatever else the patient sends raises a new one: it was not known
    when the first was dealt with. The same submission, sent again, does not.

    Args:
        session: the transaction of what gave the occasion; both are kept or neither.
        actor: the patient, or who wrote down what the patient said.
        trial: whose.
        rule: id of the red flag.
        urgency: how soon somebody has to look.
        source: see ``AlertRow``.
        day: the day it is about, in the patient's zone.
        now: UTC instant.
        signs: what raised it.
        entry: row id of the diary entry, if there is one.
        submission: key of what the patient sent, without commas; "" where every one is news.
    """
    trial = lock_trial(session, trial.id)
    earlier = alerts_on(session, trial.id, rule, day)
    heard = bool(submission) and is_heard(session, trial.id, rule, submission)
    if heard and not earlier:  # sent again after midnight
        return None
    if earlier and not _is_news(earlier[-1], urgency, now, heard=heard):
        last = earlier[-1]
        last.signs = _joined(last.signs, *signs)
        last.submissions = _joined(last.submissions, submission)
        return None
    row = AlertRow(
        occasion=f"{rule}:{trial.public_id}:{day.isoformat()}:{len(earlier)}",
        trial_id=trial.id,
        diary_entry_id=entry,
        rule=rule,
        urgency=urgency.value,
        source=source,
        day=day,
        signs=",".join(signs),
        submissions=submission,
        raised_at=now,
        escalates_at=now,
    )
    session.add(row)
    session.flush()
    # The administrator reads the trail: it says that there is an alert, not what it is about.
    record(
        session,
        actor,
        "raise_alert",
        f"alert:{row.public_id}",
        now,
        trial=trial,
        after={"urgency": urgency.value},
    )
    return row


def _is_news(last: AlertRow, urgency: Urgency, now: datetime, *, heard: bool) -> bool:
    """Return whether an alert is needed beside the last of its day; make that one more urgent."""
    order = list(Urgency)
    is_worse = order.index(urgency) < order.index(last.how_urgent)
    if last.acknowledged_at is not None:
        return is_worse or not heard
    if is_worse:
        last.urgency = urgency.value
        last.escalates_at = now
    return False


def _joined(listed: str, *more: str) -> str:
    """Return a list in one text, each once."""
    return ",".join(dict.fromkeys(part for part in (*listed.split(","), *more) if part))


def get_alert(session: Session, actor: Actor, public_id: str) -> AlertRow:
    """Return an alert of the actor's site.

    Raises:
        NotAllowedError: the actor is no clinician.
        NotFoundError: there is none at this site.
    """
    require_role(actor, Role.CLINICIAN)
    row = find_alert(session, public_id)
    if row is None or row.trial.site_id != actor.site_id:
        raise NotFoundError(_("There is no such alert."))
    return row


def open_alerts(session: Session, actor: Actor) -> list[AlertRow]:
    """Return the site's alerts that wait, the most urgent first, then the oldest."""
    require_role(actor, Role.CLINICIAN)
    order = list(Urgency)
    rows = open_alerts_of_site(session, actor.site_id or 0)
    return sorted(rows, key=lambda row: order.index(row.how_urgent))


def settled_alerts(session: Session, actor: Actor) -> list[AlertRow]:
    """Return the site's alerts that were acknowledged lately, newest first."""
    require_role(actor, Role.CLINICIAN)
    return settled_alerts_of_site(session, actor.site_id or 0, LATELY)


def acknowledge(
    session: Session, actor: Actor, public_id: str, *, deed: str, now: datetime
) -> AlertRow:
    """Write down that a clinician looked at an alert, and what was done.

    Raises:
        ProtocolError: nothing was written.
        EditConflictError: somebody else was first.
    """
    row = lock_alert(session, get_alert(session, actor, public_id).id)
    text = deed.strip()
    if not text:
        raise ProtocolError(_("Please write in a few words what was done."))
    if len(text) > LONGEST_DEED:
        raise ProtocolError(_("Please keep it under 1000 characters."))
    if row.acknowledged_at is not None:
        raise EditConflictError(_("Somebody else acknowledged this alert already."))
    row.acknowledged_at, row.acknowledged_by = now, require_account(actor)
    row.deed, row.escalates_at = text, None
    session.flush()
    drop_waiting(session, row.trial_id, _occasions_of(row), NOT_NEEDED, now)
    record(
        session,
        actor,
        "acknowledge_alert",
        f"alert:{row.public_id}",
        now,
        trial=row.trial,
        why=text,
    )
    return row


# ---- the clock -------------------------------------------------------------------------------


def raise_silences(session: Session, silent: Iterable[Silence], now: datetime) -> int:
    """Raise an alert for each silence, once; return how many are new.

    The letter about the silence was the first step: the next person is told if nobody acts.
    """
    found = [
        NewAlert(
            occasion=f"{NO_DIARY}:{silence.trial}:{silence.after}",
            trial_id=silence.trial_id,
            rule=NO_DIARY,
            urgency=Urgency.NEXT_WORKING_DAY.value,
            source="silence",
            day=silence.since,
            signs=Fact.NO_DIARY.value,
            raised_at=now,
            escalates_at=next_step_at(
                Urgency.NEXT_WORKING_DAY, 0, now, readable_zone(silence.site_timezone)
            ),
            step=1,
        )
        for silence in silent
    ]
    return add_alerts(session, found)


def due_alerts(session: Session, now: datetime, *, most: int = BATCH) -> list[int]:
    """Return row ids of alerts whose next step is due, the longest first."""
    return [row.id for row in take_due_alerts(session, now, most)]


def put_off_alert(session: Session, alert_id: int, now: datetime) -> None:
    """Try an alert again in a little while: telling of it failed in a way nobody foresaw."""
    row = lock_alert(session, alert_id)
    if row.escalates_at is not None:
        row.escalates_at = now + TRY_AGAIN
    session.flush()


def tell_of_alerts(
    session: Session,
    now: datetime,
    *,
    address: str,
    most: int = BATCH,
    only: int | None = None,
) -> int:
    """Tell the next person of every alert that waited long enough; return how many there were.

    Row and messages change in one transaction, so each step is taken once, whoever is killed
    when and however many schedulers ask.

    Args:
        session: the transaction.
        now: UTC instant.
        address: where staff sign in.
        most: so many alerts.
        only: row id of the one alert to look at.
    """
    due = take_due_alerts(session, now, most, only=only)
    for row in due:
        zone = readable_zone(row.trial.site.timezone)
        for recipient in recipients_at(session, row.trial, row.step):
            letter = write_letter(
                "alert",
                recipient.locale,
                code=row.trial.patient.code,
                urgency=row.urgency,
                again=row.step > 0,
                address=address,
            )
            queue_message(
                session,
                occasion=f"{_occasions_of(row)}{row.step}:{_digest(recipient.email)}",
                trial=row.trial,
                recipient=recipient.email,
                subject=letter.subject,
                body=letter.body,
                due_at=now,
                priority=URGENT,
            )
        row.escalates_at = next_step_at(row.how_urgent, row.step, now, zone)
        row.step += 1
    session.flush()
    return len(due)


def recipients_at(session: Session, trial: TrialRow, step: int) -> tuple[Recipient, ...]:
    """Return who is told at a step: the responsible clinician, the on-call contact, everybody.

    A step for which there is nobody is everybody's. Where no clinician is left at a site, its
    administrators are told that something waits.
    """
    site = trial.site
    contact = safety_contact_of(session, site.id).on_call_email
    on_call = (Recipient(contact, site.locale),) if contact else ()
    responsible = session.get_one(AccountRow, trial.clinician_id)
    if step < ON_CALL_STEP and responsible.active and _is_clinician(responsible):
        return (_told(responsible, site.locale),)
    if step == ON_CALL_STEP and on_call:
        return on_call
    clinicians = staff_in_role(session, site.id, Role.CLINICIAN.value)
    people = clinicians or staff_in_role(session, site.id, Role.ADMINISTRATOR.value)
    found = {r.email: r for r in (*(_told(p, site.locale) for p in people), *on_call)}
    return tuple(found.values())


def _is_clinician(account: AccountRow) -> bool:
    return any(role.name == Role.CLINICIAN.value for role in account.roles)


def _told(account: AccountRow, locale: str) -> Recipient:
    return Recipient(account.email, account.locale or locale)


def _occasions_of(row: AlertRow) -> str:
    return f"alert:{row.public_id}:"


def _digest(email: str) -> str:
    return sha256(email.encode()).hexdigest()[:12]

"""When and how the patient is reminded: hour, quiet hours, e-mail, telephone, calendar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_time
from flask_babel import gettext as _

from trials.domain.diary import FieldErrors
from trials.domain.errors import ProtocolError
from trials.domain.reminders import Wish
from trials.domain.words import marked
from trials.services import reach
from trials.services.telephone import may_push_to, public_push_key
from trials.store.reach import ReachRow, reach_of
from trials.web.access import open_to_patient
from trials.web.edge import (
    absolute_url,
    current_actor,
    current_patient,
    now,
    sentence_of,
    settings,
    transaction,
    vault,
)
from trials.web.patient.blueprint import bp, render, typed_in

HOURS = tuple(time(hour) for hour in range(24))
EVENING = tuple(time(hour) for hour in (17, 18, 19, 20, 21, 22, 23))
AT_ONCE = "open"


@dataclass(frozen=True, slots=True)
class RemindersPage:
    """All that templates/patient/reminders.html may use.

    Attributes:
        email: the address reminders go to, "" for none.
        email_failed: whether mail to it came back.
        phone_failed: whether the gateway refused the number.
        has_sms: whether this clinic sends text messages.
        push_key: what a browser needs to take push messages; "" where none are sent.
        first_hours: (value, words) of the first reminder.
        hours: (value, words) of every hour.
        calendar: address for a calendar program.
        typed: what stands in the fields.
        errors: sentences by field.
    """

    email: str
    email_failed: bool
    phone_failed: bool
    has_sms: bool
    push_key: str
    first_hours: tuple[tuple[str, str], ...]
    hours: tuple[tuple[str, str], ...]
    calendar: str
    typed: Mapping[str, str]
    errors: FieldErrors = field(default_factory=dict)


@bp.get("/reminders")
@open_to_patient
def reminders() -> ResponseReturnValue:
    """Show how the patient is reminded, and let it be changed."""
    with transaction() as session:
        row = reach_of(session, current_patient().id)
        page = _page(row, _as_typed(row))
    return render("reminders", page)


@bp.post("/reminders")
@open_to_patient
def save_reminders() -> ResponseReturnValue:
    """Keep the wishes, or show the form again with what is missing."""
    typed = typed_in(request.form)
    errors: FieldErrors = {}
    with transaction() as session:
        wish = _read_wish(typed, errors)
        try:
            if wish is not None:
                reach.save_wishes(
                    session,
                    current_actor(),
                    current_patient(),
                    wish=wish,
                    by_email=typed.get("by_email") == "yes",
                    phone=typed.get("phone", "") if settings().sms_url else "",
                    now=now(),
                )
        except ProtocolError as error:
            errors["phone"] = sentence_of(error)
        if errors:
            page = _page(reach_of(session, current_patient().id), typed, errors)
            return render("reminders", page), 422
    flash(_("Your reminders are changed."), "success")
    return redirect(url_for("patient.reminders"), code=303)


@bp.post("/reminders/calendar")
@open_to_patient
def renew_calendar() -> ResponseReturnValue:
    """Make the old address of the calendar useless."""
    with transaction() as session:
        reach.new_calendar_address(session, current_actor(), current_patient())
    flash(_("Your calendar has a new address. The old one shows nothing any more."), "success")
    return redirect(url_for("patient.reminders"), code=303)


@bp.post("/reminders/push")
@open_to_patient
def take_push() -> ResponseReturnValue:
    """Send push messages to this browser from now on, or no more."""
    endpoint = request.form.get("endpoint", "")
    with transaction() as session:
        if request.form.get("wanted") == "no":
            reach.stop_listening(session, current_patient(), endpoint, now())
            return "", 204
        if not may_push_to(endpoint, settings()):
            raise ProtocolError(marked("This browser's push service is not one we know."))
        reach.listen(
            session,
            current_actor(),
            current_patient(),
            endpoint=endpoint,
            p256dh=request.form.get("p256dh", ""),
            auth=request.form.get("auth", ""),
            now=now(),
        )
    return "", 204


def _read_wish(typed: Mapping[str, str], errors: FieldErrors) -> Wish | None:
    """Return the hours that were chosen, or say what is wrong with them."""
    by_value = {_value(hour): hour for hour in HOURS}
    at = typed.get("remind_at", AT_ONCE)
    known = {AT_ONCE, *(_value(hour) for hour in EVENING)}
    quiet = [by_value.get(typed.get(name, "")) for name in ("quiet_from", "quiet_to")]
    if at not in known or quiet[0] is None or quiet[1] is None:
        errors["remind_at"] = _("Please choose one of the hours shown.")
        return None
    try:
        return Wish(by_value.get(at), quiet[0], quiet[1])
    except ProtocolError as error:
        errors["remind_at"] = sentence_of(error)
        return None


def _page(
    row: ReachRow, typed: Mapping[str, str], errors: FieldErrors | None = None
) -> RemindersPage:
    patient = current_patient()
    secret = reach.calendar_secret(vault(), patient, row)
    return RemindersPage(
        email=patient.email,
        email_failed=row.email_failed_at is not None,
        phone_failed=row.phone_failed_at is not None,
        has_sms=settings().sms_url is not None,
        push_key=public_push_key(vault()) if settings().push_hosts else "",
        first_hours=(
            (AT_ONCE, _("As soon as the diary opens")),
            *((_value(hour), _in_words(hour)) for hour in EVENING),
        ),
        hours=tuple((_value(hour), _in_words(hour)) for hour in HOURS),
        calendar=absolute_url("feed.calendar", secret=secret),
        typed=typed,
        errors=errors or {},
    )


def _as_typed(row: ReachRow) -> dict[str, str]:
    return {
        "remind_at": AT_ONCE if row.remind_at is None else _value(row.remind_at),
        "quiet_from": _value(row.quiet_from),
        "quiet_to": _value(row.quiet_to),
        "by_email": "yes" if row.by_email else "",
        "phone": row.phone,
    }


def _value(hour: time) -> str:
    return hour.strftime("%H:%M")


def _in_words(hour: time) -> str:
    return str(format_time(hour, "short", rebase=False))

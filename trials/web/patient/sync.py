"""Reports that waited on a phone come in here, one at a time, once each.

The answer is always one of three: the report is kept (a receipt), it will never be (a sentence
for the patient, and the phone keeps the report), or not now (the phone tries again). A report
sent again under its key gets the receipt it had.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.canonical import canonical_hash
from trials.domain.clocks import Claim, time_of_writing
from trials.domain.diary import FieldErrors
from trials.domain.diary_form import check_answers, readable_answers
from trials.domain.errors import DiaryClosedError, NotFoundError, PhotoError
from trials.services import diary, photos
from trials.services.erasure import is_erased
from trials.services.serious import calls_kept
from trials.store.diary import keys_kept
from trials.store.erasure import erased_trials
from trials.store.mood import screen_keys_kept
from trials.store.photo import photo_keys_kept
from trials.store.trial import frozen_protocol
from trials.web.access import open_to_patient
from trials.web.edge import current_actor, now, sentence_of, transaction, vault
from trials.web.local_words import day_name
from trials.web.patient.blueprint import bp
from trials.web.patient.closed import with_day_in_words
from trials.web.patient.days import date_in
from trials.web.patient.diary import KEPT_KEY, KEY, keep, watch_refused
from trials.web.patient.trial import own_trial, own_trials

LARGEST_BODY = 20_000
MOST_KEYS = 200
MOST_FIELDS = 60
LONGEST_FIELD = 4_000
_YEARS = range(2000, 2101)


class MalformedError(ValueError):
    """What was sent is not what our own script sends."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One report as a phone sends it.

    Attributes:
        key: made on the phone, before anything was acknowledged.
        trial: public id.
        day: ISO date.
        fields: as the form of the page would send them.
        claim: when it was written, by the phone's clock.
        known: how many reports of the day the phone knew of.
    """

    key: str
    trial: str
    day: str
    fields: dict[str, str]
    claim: Claim
    known: int


@bp.post("/offline/check")
@open_to_patient
def check_kept() -> ResponseReturnValue:
    """Say what, that the phone was told is kept, is not here (any more).

    After the database was restored from a backup some reports, photos, calls and answers about
    mood may be missing. The phone still has them and sends them again. Of trials whose answers
    the patient had removed it forgets them.
    """
    try:
        sent = _mapping(_json())
        keys = _read_keys(sent.get("keys"))
        photographed = _read_keys(sent.get("photos", []))
        calls = _read_keys(sent.get("calls", []))
        moods = _read_keys(sent.get("moods", []))
        asked = _read_trials(sent.get("trials", []))
    except MalformedError:
        return _malformed()
    author = current_actor().public_id
    with transaction() as session:
        kept = keys_kept(session, author, keys)
        photos_kept = photo_keys_kept(session, author, photographed)
        own = {trial.id: trial.public_id for trial in own_trials(session)}
        told = calls_kept(session, own, calls) | screen_keys_kept(session, own, moods)
        erased = {own[trial_id] for trial_id in erased_trials(session, own)}
    return {
        "unknown": [key for key in keys if key not in kept],
        "unknown_photos": [key for key in photographed if key not in photos_kept],
        "unknown_calls": [key for key in [*calls, *moods] if key not in told],
        "erased": [trial for trial in asked if trial in erased],
    }


@bp.post("/offline/photo")
@open_to_patient
def take_photo() -> ResponseReturnValue:
    """Keep the photo of a report that is here already."""
    file = request.files.get("photo")
    key = request.form.get("key", "")
    if file is None or not KEPT_KEY.fullmatch(key):
        return _malformed()
    content = file.read()
    at = now()
    try:
        with transaction() as session:
            trial = own_trial(session, request.form.get("trial", ""))
            photos.keep_photo(
                session, vault(), current_actor(), trial, key=key, content=content, now=at
            )
    except PhotoError as problem:
        told = {"reason": "photo", "error": sentence_of(problem)}
        return told, HTTPStatus.UNPROCESSABLE_ENTITY
    except NotFoundError as problem:
        told = {"reason": "closed", "error": sentence_of(problem)}
        return told, HTTPStatus.CONFLICT
    return {"kept": True}


@bp.post("/offline/entry")
@open_to_patient
def take_entry() -> ResponseReturnValue:
    """Keep one report that was written on a phone, now or days ago."""
    at = now()
    try:
        sent = read_submission(_json())
    except MalformedError:
        return _malformed()
    try:
        with transaction() as session:
            return _keep(session, sent, at)
    except (DiaryClosedError, NotFoundError) as problem:
        erased = _watch_refused(sent, at)
        told = {
            "reason": "erased" if erased else "closed",
            "error": with_day_in_words(problem),
        }
        return told, HTTPStatus.CONFLICT


def _watch_refused(sent: Submission, at: datetime) -> bool:
    """Raise the red flags of a report that is not kept; the phone has shown the advice.

    Returns:
        Whether the answers of its trial were removed: then the phone forgets this one, too.
    """
    with transaction() as session:
        trial = next((t for t in own_trials(session) if t.public_id == sent.trial), None)
        if trial is not None and frozen_protocol(session, trial.id) is not None:
            asked = diary.questionnaire_of(session, trial)
            answers = readable_answers(asked, sent.fields)
            watch_refused(session, trial, _day_in(sent.day, at), answers, at, key=sent.key)
        return trial is not None and is_erased(session, trial)


def _day_in(text: str, at: datetime) -> date:
    """Return the day a refused report is about, or today if it names none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return at.date()


def _keep(session: Session, sent: Submission, at: datetime) -> ResponseReturnValue:
    day = date_in(sent.day)
    trial = own_trial(session, sent.trial)
    questionnaire = diary.questionnaire_of(session, trial)
    answers, errors = check_answers(questionnaire, sent.fields)
    if answers is None:
        readable = readable_answers(questionnaire, sent.fields)
        watch_refused(session, trial, day, readable, at, key=sent.key)
        return {
            "reason": "incomplete",
            "errors": _in_words(errors),
        }, HTTPStatus.UNPROCESSABLE_ENTITY
    receipt = keep(
        session,
        trial,
        day,
        answers,
        author=current_actor(),
        key=sent.key,
        at=at,
        written=time_of_writing(sent.claim, at),
    )
    return {
        "key": sent.key,
        "revision": receipt.revision,
        "minutes_late": receipt.minutes_late,
        "repeated": receipt.repeated,
        "counts": receipt.counts,
        "kept_as": receipt.key,
        "sentence": _sentence(receipt, day, sent.known),
        "answers": canonical_hash(answers),
    }


def _sentence(receipt: diary.Receipt, day: date, known: int) -> str:
    """Return in words what became of the report."""
    name = day_name(day)
    if not receipt.counts:
        return str(
            _(
                "Your report of %(day)s is kept, but another one of the same day counts: it was "
                "written later, or in time. Both stay on record. If that is wrong, please tell "
                "your clinic.",
                day=name,
            )
        )
    if receipt.revision - 1 > known:
        return str(
            _(
                "Your report of %(day)s is kept. There was another one already, from here or from "
                "another phone. Both stay on record; the one you wrote last counts.",
                day=name,
            )
        )
    return str(_("Your report of %(day)s is kept.", day=name))


def _in_words(errors: FieldErrors) -> FieldErrors:
    return {name: str(_(sentence)) for name, sentence in errors.items()}


# ---- what a phone may say ------------------------------------------------------------------


def read_submission(sent: object) -> Submission:
    """Return the report in a JSON value.

    Raises:
        MalformedError: it is not what our own script sends.
    """
    content = _mapping(sent)
    key, trial, day = (_text(content, name) for name in ("key", "trial", "day"))
    if not KEY.fullmatch(key):
        raise MalformedError
    fields = _mapping(content.get("fields"))
    if len(fields) > MOST_FIELDS or not all(_is_field(value) for value in fields.values()):
        raise MalformedError
    ahead = content.get("ahead")
    known = content.get("known")
    if type(known) is not int or known < 0:
        raise MalformedError
    return Submission(
        key=key,
        trial=trial,
        day=day,
        fields={str(name): _clean(str(value)) for name, value in fields.items()},
        claim=Claim(
            written_at=_instant(content.get("written_at")),
            sent_at=_instant(content.get("sent_at")),
            ahead=None if ahead is None else _interval(ahead),
        ),
        known=known,
    )


def _read_keys(keys: object) -> list[str]:
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise MalformedError
    if not all(isinstance(key, str) and KEPT_KEY.fullmatch(key) for key in keys):
        raise MalformedError
    return keys


def _read_trials(names: object) -> list[str]:
    if not isinstance(names, list) or len(names) > MOST_KEYS:
        raise MalformedError
    if not all(isinstance(name, str) and len(name) <= 64 for name in names):
        raise MalformedError
    return names


def _json() -> object:
    if (request.content_length or 0) > LARGEST_BODY:
        raise MalformedError
    try:
        return request.get_json(silent=True)
    except RecursionError as problem:  # brackets within brackets, thousands of them
        raise MalformedError from problem


def _mapping(value: object) -> Mapping[object, object]:
    if not isinstance(value, dict):
        raise MalformedError
    return value


def _text(content: Mapping[object, object], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or len(value) > 64:
        raise MalformedError
    return value


def _is_field(value: object) -> bool:
    """Return whether this is a text that can be kept: halves of characters cannot."""
    return (
        isinstance(value, str)
        and len(value) <= LONGEST_FIELD
        and not any("\ud800" <= c <= "\udfff" for c in value)
    )


def _clean(text: str) -> str:
    """Return what was typed without control characters, as forms are read (``CleanRequest``)."""
    return "".join(c for c in text if ord(c) > 31 or c in "\t\n\r")


def _instant(value: object) -> datetime:
    """Return an instant from milliseconds since 1970, of a year that people live in."""
    if type(value) is not int:
        raise MalformedError
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    except OverflowError as problem:
        raise MalformedError from problem
    if at.year not in _YEARS:
        raise MalformedError
    return at


def _interval(value: object) -> timedelta:
    if type(value) is not int or abs(value) > 100 * 365 * 86_400_000:
        raise MalformedError
    return timedelta(milliseconds=value)


def _malformed() -> ResponseReturnValue:
    told = _("This could not be read. Your report stays on this phone; please tell your clinic.")
    return {"reason": "malformed", "error": told}, HTTPStatus.BAD_REQUEST

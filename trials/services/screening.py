"""Look at every report for red flags: raise alerts, and tell what the patient must read at once.

What is shown and what is raised come from the same rules but not from one another: the page of
help needs neither an alert nor a message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from trials.domain.calendar import local_day, readable_zone
from trials.domain.diary import Answers
from trials.domain.protocol import Protocol
from trials.domain.red_flags import (
    PAIN_RISE,
    PAIN_RISE_DAYS,
    PRESENT,
    Fact,
    Flag,
    Rule,
    Situation,
    Trigger,
    course_facts,
    for_groups,
    raised,
    signs_of,
    words_in,
)
from trials.domain.rescue import most_doses, too_much
from trials.services.actor import Actor
from trials.services.alerts import raise_alert
from trials.services.red_flag_rules import NO_DIARY, groups_of, patterns, pharmacy, rules
from trials.store.alert import quiet_alerts
from trials.store.diary import DiaryDayRow, DiaryEntryRow, pain_around
from trials.store.trial import TrialRow, frozen_protocol

ON_A_PHONE = frozenset({Fact.TOO_MANY_DOSES})
"""Facts that can be told from one report alone, without the course of the diary."""


@dataclass(frozen=True, slots=True)
class PhoneRule:
    """A rule as the script of a phone evaluates it."""

    id: str
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class PhoneKit:
    """What a phone needs to see red flags without a network. It names no treatment.

    Attributes:
        rules: with their triggers, as far as they can happen in this trial.
        words: sign -> regular expression, with the words of every language.
        most_doses: doses a day that are still within the maximum, of each rescue medicine in
            the order they are asked for.
    """

    rules: tuple[PhoneRule, ...]
    words: dict[str, str]
    most_doses: tuple[int, ...]


def flags_in(
    session: Session, trial: TrialRow, protocol: Protocol, day: date, answers: Answers
) -> tuple[Flag, ...]:
    """Return the red flags in the answers of one day, the most urgent first."""
    words = words_in(_written(answers), patterns())
    situation = Situation(
        signs=signs_of(answers, words),
        groups=groups_of(protocol),
        facts=_facts(session, trial, protocol, day, answers),
    )
    return raised(rules().values(), situation)


def watch_entry(
    session: Session,
    author: Actor,
    trial: TrialRow,
    day: DiaryDayRow,
    entry: DiaryEntryRow,
    now: datetime,
) -> None:
    """Raise an alert for every red flag of an entry that was just kept."""
    quiet_alerts(session, trial.id, NO_DIARY)
    flags = _flags_of(session, trial, day.day, entry.answers)
    key = entry.idempotency_key
    _raise(session, author, trial, day.day, flags, "diary", now, submission=key, entry=entry.id)


def watch_words(
    session: Session, author: Actor, trial: TrialRow, text: str, now: datetime, *, key: str = ""
) -> tuple[Rule, ...]:
    """Raise an alert for every red flag in words that are no diary entry, such as a reason.

    Args:
        session: the transaction.
        author: the patient.
        trial: whose.
        text: as it was written.
        now: UTC instant.
        key: of the form; other words under the same key are another submission.

    Returns:
        The rules whose text the patient reads at once.
    """
    frozen = frozen_protocol(session, trial.id)
    groups = groups_of(frozen.value) if frozen is not None else frozenset[str]()
    words = words_in(text, patterns())
    flags = raised(rules().values(), Situation(dict.fromkeys(words, PRESENT), groups))
    day = local_day(now, readable_zone(trial.timezone))
    # One digest of both: the words themselves can be removed, and cannot be guessed from it.
    digest = sha256(f"{trial.public_id}:{key}:{text}".encode()).hexdigest()[:32]
    submission = f"words:{digest}" if key else ""
    _raise(session, author, trial, day, flags, "words", now, submission=submission)
    return tuple(flag.rule for flag in flags)


def watch_refused(
    session: Session,
    author: Actor,
    trial: TrialRow,
    day: date,
    answers: Answers,
    now: datetime,
    *,
    key: str = "",
) -> None:
    """Raise an alert for every red flag of a report that is not kept, once for each form's key."""
    flags = _flags_of(session, trial, day, answers)
    _raise(session, author, trial, day, flags, "refused", now, submission=key)


def advice_for(session: Session, trial: TrialRow, day: date, answers: Answers) -> tuple[Rule, ...]:
    """Return the rules whose text the patient reads after reporting these answers."""
    return tuple(flag.rule for flag in _flags_of(session, trial, day, answers))


def phone_kit(trial: TrialRow, protocol: Protocol) -> PhoneKit:
    """Return what a phone needs to see red flags of this trial by itself."""
    groups = groups_of(protocol)
    known = ((rule.id, for_groups(rule.trigger, groups)) for rule in rules().values())
    possible = ((name, _without_course(trigger)) for name, trigger in known)
    return PhoneKit(
        rules=tuple(PhoneRule(name, trigger) for name, trigger in possible if trigger),
        words=dict(patterns()),
        most_doses=_most_doses(protocol),
    )


def _without_course(trigger: Trigger) -> Trigger:
    return tuple(
        alternative
        for alternative in trigger
        if all(c.fact is None or c.fact in ON_A_PHONE for c in alternative)
    )


def _flags_of(session: Session, trial: TrialRow, day: date, answers: Answers) -> tuple[Flag, ...]:
    frozen = frozen_protocol(session, trial.id)
    return () if frozen is None else flags_in(session, trial, frozen.value, day, answers)


def _raise(
    session: Session,
    author: Actor,
    trial: TrialRow,
    day: date,
    flags: Sequence[Flag],
    source: str,
    now: datetime,
    *,
    submission: str,
    entry: int | None = None,
) -> None:
    for flag in flags:
        raise_alert(
            session,
            author,
            trial,
            rule=flag.rule.id,
            urgency=flag.urgency,
            source=source,
            day=day,
            now=now,
            signs=flag.signs,
            entry=entry,
            submission=submission,
        )


def _facts(
    session: Session, trial: TrialRow, protocol: Protocol, day: date, answers: Answers
) -> frozenset[Fact]:
    facts: set[Fact] = set()
    taken = {use.medicine: use.doses for use in answers.rescue}
    if not taken and len(protocol.questionnaire.rescue_medicines) == 1:
        taken = {protocol.questionnaire.rescue: answers.rescue_doses or 0}
    facts |= too_much(taken, _doses_of_arms(protocol), pharmacy())
    if answers.pain >= PAIN_RISE:  # less can neither be severe nor risen so far
        facts |= _course(session, trial, day)
    return frozenset(facts)


def _course(session: Session, trial: TrialRow, day: date) -> set[Fact]:
    """Return what the course shows around a day; a report of it may have come after the next."""
    reach = timedelta(days=PAIN_RISE_DAYS - 1)
    around = pain_around(session, trial.id, day - reach, day + reach)
    later = (day + timedelta(days=n) for n in range(PAIN_RISE_DAYS))
    return {fact for today in later for fact in course_facts(around, today)}


def _most_doses(protocol: Protocol) -> tuple[int, ...]:
    """Return how many doses a day of each rescue medicine are within its maximum, in order."""
    arms = _doses_of_arms(protocol)
    return tuple(
        most_doses(medicine, arms, pharmacy())
        for medicine in protocol.questionnaire.rescue_medicines
    )


def _doses_of_arms(protocol: Protocol) -> dict[str, str]:
    return {c.treatment: c.dose for c in protocol.candidates}


def _written(answers: Answers) -> str:
    """Return all that was written freely in an entry."""
    others = (other.text for other in answers.other_effects)
    return " ".join((answers.note, *others, answers.intake_words))

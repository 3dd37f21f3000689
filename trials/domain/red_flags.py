"""Red flags: which answers, words and courses of pain are never left to wait, and what to say.

What a patient reports is turned into *signs*: a side effect with its severity, or words in a
note. A rule is a list of alternatives, each a set of conditions on signs. That form is data, so
that the same rules run here and, without a network, in the script of a phone.

Rules look at the treatments of the whole trial and never at the one of the day: what a patient
reads and what a clinician is told is the same in every period.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from statistics import fmean

from trials.domain.diary import Answers

SEVERE_PAIN = 9
SEVERE_PAIN_DAYS = 2
PAIN_RISE = 3.0
PAIN_RISE_DAYS = 3
PRESENT = 1
"""Severity of a sign that is there at all; words in a note count as this."""


class Urgency(StrEnum):
    """How soon somebody has to look."""

    IMMEDIATE = "immediate"
    SAME_DAY = "same_day"
    NEXT_WORKING_DAY = "next_working_day"


class Call(StrEnum):
    """Which number a patient sees first."""

    EMERGENCY = "emergency"
    CRISIS = "crisis"
    POISON = "poison"
    CLINIC = "clinic"


class Fact(StrEnum):
    """What only the course of the diary can tell."""

    HIGH_TWO_DAYS = "pain_high_two_days"
    ABOVE_RUN_IN = "pain_above_run_in"
    TOO_MANY_DOSES = "too_many_doses"
    TWO_NSAIDS = "two_nsaids"
    OPIOIDS_ABOVE_CAP = "opioids_above_cap"
    NO_DIARY = "no_diary"


@dataclass(frozen=True, slots=True)
class Condition:
    """So many of these things are there.

    Attributes:
        least: how many of ``choices``.
        choices: each a list of signs of which any one will do.
        severity: how bad a sign has to be, 1-3.
        group: instead of signs, a group of treatments; "" for none.
        fact: instead of signs, a fact of the diary's course; None for none.
    """

    choices: tuple[tuple[str, ...], ...] = ()
    least: int = 1
    severity: int = PRESENT
    group: str = ""
    fact: Fact | None = None


type Trigger = tuple[tuple[Condition, ...], ...]
"""Alternatives, each a set of conditions that must all hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One red flag, to be reviewed by the site's clinician and pharmacist.

    Attributes:
        id: such as "RF-CARDIAC".
        title: for the clinician.
        urgency: how soon somebody has to look.
        trigger: what raises it.
        immediate_if: what makes it immediate besides.
        call: the number a patient sees first.
        text: what the patient reads.
        button: on the patient's list of serious things; "" where it is not on it.
        source: where the rule comes from.
        confidence: V seen in a source, M from memory, J judgement.
    """

    id: str
    title: str
    urgency: Urgency
    trigger: Trigger
    immediate_if: Trigger
    call: Call
    text: str
    button: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What rules look at.

    Attributes:
        signs: sign -> severity 1-3.
        groups: of treatments that any arm or the rescue belongs to.
        facts: of the diary's course.
    """

    signs: Mapping[str, int]
    groups: frozenset[str] = frozenset()
    facts: frozenset[Fact] = frozenset()


@dataclass(frozen=True, slots=True)
class Flag:
    """A rule that is raised.

    Attributes:
        rule: which.
        urgency: perhaps more urgent than the rule alone says.
        signs: what raised it, for the clinician.
    """

    rule: Rule
    urgency: Urgency
    signs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PainDay:
    """What the rules about the course of pain need of one answered day."""

    day: date
    pain: int
    in_run_in: bool


# ---- rules as they are written ---------------------------------------------------------------


def read_trigger(text: str) -> Trigger:
    """Return the trigger a text stands for; see trials/data/red_flags.csv for the form.

    Raises:
        ValueError: it is not of that form.
    """
    alternatives = (part.strip() for part in text.split(";"))
    return tuple(
        tuple(_read_condition(part.strip()) for part in alternative.split("+"))
        for alternative in alternatives
        if alternative
    )


def _read_condition(text: str) -> Condition:
    if text.startswith("@"):
        return Condition(group=text[1:])
    if text.startswith("!"):
        return Condition(fact=Fact(text[1:]))
    several = re.fullmatch(r"([2-9]) of (.+)", text)
    if several:
        choices = tuple(tuple(one.strip().split("|")) for one in several[2].split(","))
        return Condition(choices, least=int(several[1]))
    sign = re.fullmatch(r"([a-z_]+)(?::([1-3]))?", text)
    if sign is None:
        raise ValueError(f"no condition of a red flag: {text!r}")
    return Condition(((sign[1],),), severity=int(sign[2] or PRESENT))


# ---- what is raised --------------------------------------------------------------------------


def raised(rules: Iterable[Rule], situation: Situation) -> tuple[Flag, ...]:
    """Return the rules that this situation raises, the most urgent first."""
    flags = []
    for rule in rules:
        fitting = [a for a in rule.trigger if _holds(a, situation)]
        if not fitting:
            continue
        worse = [a for a in rule.immediate_if if _holds(a, situation)]
        urgency = Urgency.IMMEDIATE if worse else rule.urgency
        flags.append(Flag(rule, urgency, _signs_in([*fitting, *worse], situation)))
    return tuple(sorted(flags, key=lambda flag: list(Urgency).index(flag.urgency)))


def _holds(conditions: Iterable[Condition], situation: Situation) -> bool:
    return all(_is_met(condition, situation) for condition in conditions)


def _is_met(condition: Condition, situation: Situation) -> bool:
    if condition.group:
        return condition.group in situation.groups
    if condition.fact is not None:
        return condition.fact in situation.facts
    there = sum(
        any(situation.signs.get(sign, 0) >= condition.severity for sign in choice)
        for choice in condition.choices
    )
    return there >= condition.least


def _signs_in(alternatives: Iterable[Sequence[Condition]], situation: Situation) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for condition in (c for alternative in alternatives for c in alternative):
        if condition.fact is not None:
            found[condition.fact.value] = None
        for sign in (s for choice in condition.choices for s in choice):
            if situation.signs.get(sign, 0) >= condition.severity:
                found[sign] = None
    return tuple(found)


def for_groups(trigger: Trigger, groups: Collection[str]) -> Trigger:
    """Return the part of a trigger that can happen in a trial with these groups.

    Conditions on groups are settled and left out, so that a phone need not know any treatment.
    """
    possible = (a for a in trigger if all(not c.group or c.group in groups for c in a))
    settled = (tuple(c for c in a if not c.group) for a in possible)
    return tuple(a for a in settled if a)


# ---- signs -----------------------------------------------------------------------------------


def signs_of(answers: Answers, words: Collection[str] = ()) -> dict[str, int]:
    """Return the signs in an entry.

    Args:
        answers: the entry.
        words: signs that its note speaks of.
    """
    signs = {key: severity for key, severity in answers.side_effects.items() if severity}
    for sign in words:
        signs[sign] = max(signs.get(sign, 0), PRESENT)
    return signs


def plain_words(text: str) -> str:
    """Return a note in small letters without accents and marks, as word lists are written."""
    parted = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ẞ", "ss"))
    bare = "".join(c for c in parted if not unicodedata.combining(c)).lower()
    bare = bare.replace("œ", "oe").replace("æ", "ae")
    return " ".join(re.findall(r"[a-z0-9]+", bare))


def pattern_of(phrases: Iterable[str]) -> str:
    """Return one regular expression for a list of phrases.

    It is meant for a text from ``plain_words`` with a space before and after, and is written so
    that Python and a browser's script read it alike.
    """
    return " (?:" + "|".join(_pattern_of_phrase(phrase) for phrase in phrases) + ") "


def _pattern_of_phrase(phrase: str) -> str:
    pattern, between = "", ""
    for word in phrase.split():
        if word == "..":
            between = "(?: [a-z0-9]+){0,3} "
            continue
        written = word.replace("*", "[a-z0-9]*")
        pattern = written if not pattern else f"{pattern}{between or ' '}{written}"
        between = ""
    return pattern


def words_in(note: str, patterns: Mapping[str, str]) -> frozenset[str]:
    """Return the signs a note speaks of.

    Args:
        note: as it was written.
        patterns: sign -> regular expression, from ``pattern_of``.
    """
    text = f" {plain_words(note)} "
    return frozenset(sign for sign, pattern in patterns.items() if re.search(pattern, text))


# ---- the course of the diary -----------------------------------------------------------------


def course_facts(days: Iterable[PainDay], today: date) -> frozenset[Fact]:
    """Return what the course of pain up to this day shows.

    Args:
        days: answered days, this one included.
        today: the day whose report is looked at.
    """
    known = {day.day: day for day in days if day.day <= today}
    facts = set()
    if _last(known, today, SEVERE_PAIN_DAYS, SEVERE_PAIN):
        facts.add(Fact.HIGH_TWO_DAYS)
    before = [day.pain for day in known.values() if day.in_run_in]
    is_later = today in known and not known[today].in_run_in
    if before and is_later and _last(known, today, PAIN_RISE_DAYS, fmean(before) + PAIN_RISE):
        facts.add(Fact.ABOVE_RUN_IN)
    return frozenset(facts)


def _last(known: Mapping[date, PainDay], today: date, days: int, least: float) -> bool:
    """Return whether so many days in a row, up to this one, all had this pain or worse."""
    row = [known.get(today - timedelta(days=n)) for n in range(days)]
    return all(day is not None and day.pain >= least for day in row)

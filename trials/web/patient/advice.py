"""What a patient reads at once after a red flag: what to do, and the numbers to call.

Everything is told from rules and numbers alone. Neither an alert nor a message has to exist, and
the phone keeps the same texts for times without a network.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from trials.domain.canonical import plain
from trials.domain.protocol import Protocol
from trials.domain.red_flags import Call, Rule, Urgency
from trials.services.help_numbers import EVERYWHERE, HelpNumbers, help_numbers
from trials.services.red_flag_rules import rules
from trials.services.screening import phone_kit
from trials.store.account import SiteRow
from trials.store.trial import TrialRow

_ORDER: dict[Call, tuple[Call, ...]] = {
    Call.EMERGENCY: (Call.EMERGENCY, Call.CLINIC),
    Call.CRISIS: (Call.CRISIS, Call.EMERGENCY, Call.CLINIC),
    Call.POISON: (Call.POISON, Call.EMERGENCY, Call.CLINIC),
    Call.CLINIC: (Call.CLINIC, Call.EMERGENCY),
}
"""Numbers beside the first one: whom to try when that one does not answer, or it gets worse."""


@dataclass(frozen=True, slots=True)
class CallLine:
    """One number to call.

    Attributes:
        kind: "emergency", "crisis", "poison" or "clinic".
        name: of the service or the clinic, "" if the kind says it.
        number: as people write it, "" for a clinic that gave none.
        href: what dials it, "" likewise.
    """

    kind: str
    name: str
    number: str
    href: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, and whom to call, the first number first.

    Attributes:
        id: of the rule.
        text: an English sentence to translate.
        is_urgent: whether it must not wait until tomorrow.
        asked: the kind of number that the text names.
        calls: numbers.
    """

    id: str
    text: str
    is_urgent: bool
    asked: str
    calls: tuple[CallLine, ...]


def advice_of(numbers: HelpNumbers, found: Iterable[Rule]) -> tuple[Advice, ...]:
    """Return what to read for these rules."""
    return tuple(
        Advice(
            id=rule.id,
            text=rule.text,
            is_urgent=rule.urgency is not Urgency.NEXT_WORKING_DAY,
            asked=rule.call.value,
            calls=calls_for(numbers, rule.call),
        )
        for rule in found
    )


def calls_for(numbers: HelpNumbers, first: Call) -> tuple[CallLine, ...]:
    """Return the numbers to show, the most fitting first; those nobody knows are left out."""
    return tuple(line for kind in _ORDER[first] for line in _lines(numbers, kind))


def all_calls(numbers: HelpNumbers) -> tuple[CallLine, ...]:
    """Return every number that is known."""
    return tuple(line for kind in Call for line in _lines(numbers, kind))


def _lines(numbers: HelpNumbers, kind: Call) -> tuple[CallLine, ...]:
    found = {
        Call.EMERGENCY: _emergency(numbers),
        Call.CRISIS: [(numbers.crisis_name, numbers.crisis)],
        Call.POISON: [("", numbers.poison)],
        Call.CLINIC: [(numbers.clinic_name, numbers.clinic)],
    }[kind]
    return tuple(
        CallLine(kind.value, name, number, _dialled(number))
        for name, number in found
        if number or kind is Call.CLINIC
    )


def _emergency(numbers: HelpNumbers) -> list[tuple[str, str]]:
    """Return the emergency number, or where each of them is valid if no country is known."""
    if numbers.emergency == EVERYWHERE:
        return list(zip((_("Europe"), _("North America")), EVERYWHERE, strict=True))
    return [("", number) for number in numbers.emergency]


def _dialled(number: str) -> str:
    digits = re.sub(r"[^+0-9]", "", number.replace("(0)", ""))
    return f"tel:{digits}" if digits else ""


def calls_by_kind(session: Session, site: SiteRow) -> dict[str, tuple[CallLine, ...]]:
    """Return the numbers of every kind of advice, for the templates that a script fills in."""
    numbers = help_numbers(session, site)
    return {kind.value: calls_for(numbers, kind) for kind in Call}


def kit_for_phone(trial: TrialRow, protocol: Protocol) -> dict[str, object]:
    """Return what a phone needs to see red flags by itself, with what to say in its language."""
    kit = phone_kit(trial, protocol)
    known = rules()
    return {
        "rules": [
            {
                "id": rule.id,
                "trigger": plain(rule.trigger),
                "call": known[rule.id].call.value,
                "text": str(_(known[rule.id].text)),
            }
            for rule in kit.rules
        ],
        "words": kit.words,
        "most_doses": kit.most_doses,
    }

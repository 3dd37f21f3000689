"""The set-up form as text: what is typed, and the text that stands for a kept draft."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from trials.domain.blinding import Blinding
from trials.domain.catalogue import (
    union_of_side_effects,
)
from trials.domain.design import (
    MOST_ARMS,
    AnalysisSet,
    LookSchedule,
    Outcome,
    Scheme,
)
from trials.domain.protocol import SEVERE_LIMIT, Candidate, Protocol
from trials.services.catalogue import catalogue, side_effect_terms

NOTHING = "\N{EN DASH}"

OWN = "own"
"""The choice of a slot for a treatment that is not in the catalogue."""

BOTHER = 4
"""How much side effects bother on the day the weighing question imagines, 0-10."""

WEIGHING = (0, 1, 2, 3, 4, 6, 8)
"""Points of pain that would make up for such a day, as the answers offered."""

LONGEST_NAME = 120
DEFAULTS: Mapping[str, str] = {
    "blinding": Blinding.BLINDED.value,
    "blocks": "2",
    "run_in_days": "0",
    "scheme": Scheme.BALANCED.value,
    "outcome": Outcome.NET_BURDEN.value,
    "analysis_set": AnalysisSet.AS_ASSIGNED.value,
    "looks": LookSchedule.AT_END.value,
    "best": "0.96",
    "equal_margin": "0.5",
    "equal_probability": "0.8",
    "largest_expected_loss": "0.25",
    "superiority_probability": "0.5",
    "severe_limit": f"{100 * SEVERE_LIMIT:g}",
    "asks": "sleep,interference",
    "taking": "",
    "list": "union",
    "opens": "17:00",
    "closes": "03:00",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One candidate as typed.

    Attributes:
        treatment: catalogue id, ``OWN``, or "" for an empty slot.
        name: of an own treatment.
        dose: as the pharmacist dispenses it.
        half_life: effect half-life in days, of an own treatment or against the catalogue.
        burden: effort or cost in points of pain a day.
    """

    treatment: str = ""
    name: str = ""
    dose: str = ""
    half_life: str = ""
    burden: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen and nothing typed."""
        return not (self.treatment or self.name.strip() or self.dose.strip())


@dataclass(frozen=True, slots=True)
class Typed:
    """Everything the form holds, as text.

    Attributes:
        values: single fields by name.
        slots: always ``MOST_ARMS`` of them.
        terms: side effects chosen by hand.
    """

    values: Mapping[str, str]
    slots: tuple[Slot, ...]
    terms: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """Return the text of a field, "" if there is none."""
        return self.values.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that a colleague changed in the meantime."""

    label: str
    yours: str
    theirs: str


def empty_form(patient: str) -> Typed:
    """Return the form of a new trial, with the defaults and perhaps the patient filled in."""
    slots = (Slot(),) * MOST_ARMS
    return Typed({**DEFAULTS, "patient": patient}, slots)


def typed_from(form: MultiDict[str, str]) -> Typed:
    """Return what a submitted form holds."""
    values = {name: value for name, value in form.items() if not name.startswith("slot-")}
    values["asks"] = ",".join(form.getlist("asks"))
    values["taking"] = ",".join(form.getlist("taking"))
    slots = tuple(
        Slot(
            treatment=form.get(f"slot-{n}-treatment", ""),
            name=form.get(f"slot-{n}-name", "")[:LONGEST_NAME],
            dose=form.get(f"slot-{n}-dose", "")[:LONGEST_NAME],
            half_life=form.get(f"slot-{n}-half_life", ""),
            burden=form.get(f"slot-{n}-burden", ""),
        )
        for n in range(1, MOST_ARMS + 1)
    )
    return Typed(values, slots, tuple(form.getlist("terms")))


def typed_of(title: str, protocol: Protocol) -> Typed:
    """Return the form that stands for a kept draft."""
    design, rule, asked = protocol.design, protocol.decision, protocol.questionnaire
    known = protocol.known_noise
    slots = [_slot_of(candidate) for candidate in protocol.candidates]
    chosen = [catalogue()[c.treatment] for c in protocol.candidates if c.treatment in catalogue()]
    own_list = asked.side_effects != union_of_side_effects(chosen, dict(side_effect_terms()))
    reference = (
        str(protocol.treatments.index(protocol.comparator) + 1) if protocol.comparator else ""
    )
    values = {
        "title": title,
        "question": protocol.question,
        "blinding": protocol.blinding.value,
        "reference": reference,
        "blocks": str(design.blocks),
        "period_days": str(design.period_days),
        "washout_days": str(design.washout_days),
        "run_in_days": str(design.run_in_days),
        "scheme": design.scheme.value,
        "fixed_sequence": "".join(design.fixed_sequence),
        "outcome": protocol.outcome.value,
        "weighing": _plain_number(protocol.bother_weight * BOTHER),
        "best": _plain_number(rule.best),
        "equal_margin": _plain_number(rule.equal_margin),
        "equal_probability": _plain_number(rule.equal_probability),
        "largest_expected_loss": _plain_number(rule.largest_expected_loss),
        "superiority_probability": _plain_number(rule.superiority_probability),
        "severe_limit": ""
        if protocol.severe_limit is None
        else _plain_number(100 * protocol.severe_limit),
        "analysis_set": protocol.analysis_set.value,
        "looks": protocol.looks.value,
        "known_sd": _plain_number(known.sd) if known else "",
        "known_autocorrelation": (
            _plain_number(known.autocorrelation)
            if known and known.autocorrelation is not None
            else ""
        ),
        "list": "own" if own_list else "union",
        "asks": ",".join(
            name
            for name, wanted in (("sleep", asked.sleep), ("interference", asked.interference))
            if wanted
        ),
        "rescue": asked.rescue,
        "more_rescue": "; ".join(asked.more_rescue),
        "taking": ",".join(protocol.taking.times) if protocol.taking else "",
        "taking_form": protocol.taking.form if protocol.taking else "",
        "pain_line": "yes" if protocol.shows_pain_line else "",
        "opens": protocol.window.opens.isoformat("minutes"),
        "closes": protocol.window.closes.isoformat("minutes"),
        "late_hours": "" if protocol.window.late_hours is None else str(protocol.window.late_hours),
    }
    empty = [Slot()] * (MOST_ARMS - len(slots))
    return Typed(values, (*slots, *empty), tuple(item.key for item in asked.side_effects))


def _slot_of(candidate: Candidate) -> Slot:
    known = catalogue().get(candidate.treatment)
    usual = known is not None and known.effect_half_life_days == candidate.effect_half_life_days
    return Slot(
        treatment=candidate.treatment if known else OWN,
        name="" if known else candidate.name,
        dose=candidate.dose,
        half_life="" if usual else _plain_number(candidate.effect_half_life_days),
        burden=_plain_number(candidate.burden) if candidate.burden else "",
    )


def differences(yours: Typed, theirs: Typed) -> Iterable[Difference]:
    """Yield the fields that stand differently in the two forms."""
    labels = _field_labels()
    for name, label in labels.items():
        mine, kept = yours.get(name), theirs.get(name)
        if mine != kept:
            yield Difference(str(label), mine or NOTHING, kept or NOTHING)
    for number, (mine_slot, kept_slot) in enumerate(
        zip(yours.slots, theirs.slots, strict=True), start=1
    ):
        mine, kept = _slot_text(mine_slot), _slot_text(kept_slot)
        if mine != kept:
            label = str(_("Candidate %(number)s", number=number))
            yield Difference(label, mine or NOTHING, kept or NOTHING)


def _slot_text(slot: Slot) -> str:
    known = catalogue().get(slot.treatment)
    name = known.name if known else slot.name
    return " ".join(part for part in (name, slot.dose, slot.half_life, slot.burden) if part.strip())


def _field_labels() -> dict[str, str]:
    return {
        "title": _("Short title"),
        "question": _("Question"),
        "blinding": _("Treatments hidden or open"),
        "reference": _("Reference"),
        "blocks": _("Blocks"),
        "period_days": _("Days in a period"),
        "washout_days": _("Washout days"),
        "run_in_days": _("Run-in days"),
        "scheme": _("Order"),
        "outcome": _("Outcome"),
        "weighing": _("Weight of side effects"),
        "looks": _("Looks at the answer"),
        "known_sd": _("Ups and downs of pain"),
        "known_autocorrelation": _("Likeness of neighbouring days"),
        "best": _("Probability to be called best"),
        "equal_margin": _("Smallest difference that matters"),
        "severe_limit": _("Days on which a side effect may be severe, in %"),
        "rescue": _("Rescue medicine"),
        "opens": _("Diary opens"),
        "closes": _("Diary closes"),
    }


def _plain_number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")

"""The set-up form as text, and the protocol it stands for.

What is typed stays text until it makes a protocol, so that nothing is lost by a mistake; a
mistake becomes a sentence beside its field. Lengths and the diary's list come from the catalogue
where the clinician leaves them to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _

from trials.domain.blinding import Blinding
from trials.domain.calendar import DiaryWindow
from trials.domain.catalogue import (
    NEEDS_REASON,
    Blindable,
    Kind,
    ProposedDays,
    Suitability,
    propose_days,
    union_of_side_effects,
)
from trials.domain.design import (
    MOST_ARMS,
    AnalysisSet,
    DecisionRule,
    Design,
    LookSchedule,
    Outcome,
    Scheme,
    arm_labels,
)
from trials.domain.diary import FieldErrors, Questionnaire, SideEffect
from trials.domain.errors import TrialError
from trials.domain.protocol import SEVERE_LIMIT, Candidate, KnownNoise, Protocol
from trials.domain.taking import TakingPlan, TimeOfDay
from trials.services import trials
from trials.services.catalogue import catalogue, frequencies_of, side_effect_terms
from trials.web.edge import sentence_of
from trials.web.form_fields import choice, decimal, time_of_day, whole
from trials.web.setup_typed import BOTHER, LONGEST_NAME, OWN, Slot, Typed


@dataclass(frozen=True, slots=True)
class Reading:
    """What the typed form amounts to.

    Attributes:
        protocol: None while something is wrong.
        errors: field -> sentence in the reader's language.
        cautions: slot number -> what to consider, not an obstacle.
        proposed: lengths the catalogue suggests for the chosen candidates.
        terms: side effects of all chosen candidates together.
    """

    protocol: Protocol | None
    errors: FieldErrors
    cautions: Mapping[int, str]
    proposed: ProposedDays
    terms: tuple[SideEffect, ...]


def untouched() -> Reading:
    """Return the reading of a form nobody has filled in yet: nothing to complain about."""
    return Reading(None, {}, {}, propose_days(()), ())


def read_form(typed: Typed) -> Reading:
    """Return the protocol the form describes, or a sentence for each field that needs attention."""
    errors: FieldErrors = {}
    if not typed.get("title"):
        errors["title"] = str(_("Give the trial a short title."))
    if not typed.get("question"):
        errors["question"] = str(_("Write down what the two of you want to know."))
    blinding = choice(Blinding, typed.get("blinding"), Blinding.BLINDED)
    candidates = _read_candidates(typed, blinding, errors)
    chosen = [catalogue()[c.treatment] for _n, c in candidates if c.treatment in catalogue()]
    proposed = propose_days(chosen)
    union = union_of_side_effects(chosen, dict(side_effect_terms()))
    design = _read_design(typed, len(candidates), blinding, proposed, errors)
    reference = _read_reference(typed, candidates, errors)
    outcome = choice(Outcome, typed.get("outcome"), Outcome.NET_BURDEN)
    weight = _read_weight(typed, outcome, errors)
    rule = _read_rule(typed, errors)
    severe_limit = _read_severe_limit(typed, errors)
    questionnaire = _read_questionnaire(typed, union, errors)
    window = _read_window(typed, errors)
    noise = _read_noise(typed, errors)
    taking = _read_taking(typed, errors)
    cautions = {n: text for n, c in candidates if (text := _caution(c, blinding, design))}
    protocol = None
    if not errors and design and rule and questionnaire and window:
        try:
            protocol = Protocol(
                question=typed.get("question"),
                candidates=tuple(candidate for _n, candidate in candidates),
                design=design,
                comparator=reference,
                blinding=blinding,
                outcome=outcome,
                bother_weight=weight,
                decision=rule,
                analysis_set=choice(
                    AnalysisSet, typed.get("analysis_set"), AnalysisSet.AS_ASSIGNED
                ),
                questionnaire=questionnaire,
                window=window,
                looks=choice(LookSchedule, typed.get("looks"), LookSchedule.AT_END),
                known_noise=noise,
                taking=taking,
                shows_pain_line=typed.get("pain_line") == "yes",
                severe_limit=severe_limit,
                frequencies=frequencies_of(questionnaire.side_effects),
            )
        except TrialError as problem:
            errors["slot-1-treatment"] = sentence_of(problem)
    return Reading(protocol, errors, cautions, proposed, union)


def _read_candidates(
    typed: Typed, blinding: Blinding, errors: FieldErrors
) -> list[tuple[int, Candidate]]:
    """Return the candidates with the numbers of their slots; each is checked by itself."""
    found: list[tuple[int, Candidate]] = []
    for number, slot in enumerate(typed.slots, start=1):
        if slot.is_empty:
            continue
        place = f"slot-{number}-treatment"
        candidate = _read_slot(number, slot, errors)
        if candidate is None:
            continue
        if any(candidate.treatment == other.treatment for _n, other in found):
            errors[place] = str(
                _("%(name)s is chosen twice. Choose another one.", name=candidate.name)
            )
            continue
        try:
            trials.check_candidate(candidate, blinding)
        except TrialError as problem:
            errors[place] = sentence_of(problem)
        found.append((number, candidate))
    if len(found) < 2 and not any(name.startswith("slot-") for name in errors):
        place = f"slot-{min(len(found) + 1, MOST_ARMS)}-treatment"
        errors[place] = str(_("Choose at least two treatments to compare."))
    return found


def _read_slot(number: int, slot: Slot, errors: FieldErrors) -> Candidate | None:
    known = catalogue().get(slot.treatment)
    name = known.name if known else " ".join(slot.name.split())
    if known is None and not name:
        field_name = f"slot-{number}-{'name' if slot.treatment == OWN else 'treatment'}"
        errors[field_name] = str(_("Choose a treatment, or type the name of your own."))
        return None
    dose = " ".join(slot.dose.split())
    if known is not None and known.kind is Kind.DRUG and not dose:
        errors[f"slot-{number}-dose"] = str(
            _(
                "Give the dose of %(name)s as the pharmacist dispenses it (usual: %(usual)s).",
                name=name,
                usual=known.usual_dose,
            )
        )
    usual = known.effect_half_life_days if known else Candidate("own", name).effect_half_life_days
    half_life = decimal(f"slot-{number}-half_life", slot.half_life, usual, errors)
    burden = decimal(f"slot-{number}-burden", slot.burden, 0.0, errors)
    if not 0.0 <= burden <= 10.0:
        errors[f"slot-{number}-burden"] = str(_("Please give a number from 0 to 10."))
        return None
    try:
        return Candidate(
            treatment=known.id if known else own_id(name),
            name=name,
            dose=dose,
            effect_half_life_days=half_life,
            burden=burden,
        )
    except TrialError as problem:
        errors[f"slot-{number}-half_life"] = sentence_of(problem)
        return None


def own_id(name: str) -> str:
    """Return the key of a treatment the catalogue does not know; never one of its own."""
    return f"{OWN}:{name.casefold()}"


def _caution(candidate: Candidate, blinding: Blinding, design: Design | None) -> str:
    """Return what to consider before this candidate is chosen, "" for nothing."""
    known = catalogue().get(candidate.treatment)
    if known is None:
        return ""
    if known.suitability in NEEDS_REASON:
        why = known.suitability_note or {
            Suitability.LIMITED: _("of limited use as a repeated arm"),
            Suitability.POOR: _("a poor choice for a repeated arm"),
        }.get(known.suitability, "")
        return str(_("Think twice: %(why)s.", why=why))
    if design is not None and known.onset_days and known.onset_days > design.period_days:
        return str(
            _(
                "Its effect can be judged after about %(onset)s days. In periods of %(days)s days "
                "it would look weaker than it is: make them longer.",
                onset=known.onset_days,
                days=design.period_days,
            )
        )
    if blinding is Blinding.BLINDED and known.blindable is Blindable.PARTLY:
        return str(
            _("It can be hidden only in part: many patients notice it. Say so before the consent.")
        )
    return ""


def _read_design(
    typed: Typed, arms: int, blinding: Blinding, proposed: ProposedDays, errors: FieldErrors
) -> Design | None:
    numbers = {
        "blocks": whole("blocks", typed.get("blocks"), 2, errors),
        "period_days": whole("period_days", typed.get("period_days"), None, errors),
        "washout_days": whole("washout_days", typed.get("washout_days"), None, errors),
        "run_in_days": whole("run_in_days", typed.get("run_in_days"), 0, errors),
    }
    if any(name in errors for name in numbers) or arms < 2:
        return None
    scheme = choice(Scheme, typed.get("scheme"), Scheme.BALANCED)
    if scheme is Scheme.FIXED and blinding is Blinding.BLINDED:
        errors["scheme"] = str(
            _(
                "A trial with a fixed order is known to all: make it open, or let the order be "
                "drawn."
            )
        )
        return None
    washout = numbers["washout_days"]
    if washout is None:
        washout = proposed.washout_days
    values = {
        "blocks": numbers["blocks"] or 0,
        "period_days": numbers["period_days"] or max(proposed.period_days, washout + 3),
        "washout_days": washout,
        "run_in_days": numbers["run_in_days"] or 0,
    }
    if numbers["period_days"] == 0:
        values["period_days"] = 0
    letters = tuple(letter for letter in typed.get("fixed_sequence").upper() if letter.isalpha())

    def build(**changed: int) -> Design:
        return Design(
            arms=arm_labels(arms),
            scheme=scheme,
            fixed_sequence=letters if scheme is Scheme.FIXED else (),
            **{**values, **changed},
        )

    try:
        return build()
    except TrialError as problem:
        errors[_field_to_blame(build, scheme)] = sentence_of(problem)
        return None


def _field_to_blame(build: Callable[..., Design], scheme: Scheme) -> str:
    """Return the field whose value, if harmless, would make the design possible."""
    harmless = {"washout_days": 0, "period_days": 14, "run_in_days": 0, "blocks": 2}
    for name, value in harmless.items():
        try:
            build(**{name: value})
        except TrialError:
            continue
        return name
    return "fixed_sequence" if scheme is Scheme.FIXED else "period_days"


def _read_reference(
    typed: Typed, candidates: Sequence[tuple[int, Candidate]], errors: FieldErrors
) -> str:
    wanted = typed.get("reference")
    if not wanted:
        return ""
    for number, candidate in candidates:
        if wanted == str(number):
            return candidate.treatment
    errors["reference"] = str(_("The reference must be one of the candidates above."))
    return ""


def _read_weight(typed: Typed, outcome: Outcome, errors: FieldErrors) -> float:
    if outcome is Outcome.PAIN and not typed.get("weighing"):
        return 0.0
    if not typed.get("weighing"):
        errors["weighing"] = str(_("Ask the patient and choose the answer."))
        return 0.0
    points = decimal("weighing", typed.get("weighing"), 0.0, errors)
    if not 0.0 <= points <= 5.0 * BOTHER:
        errors["weighing"] = str(_("Choose one of the answers."))
    return points / BOTHER


def _read_rule(typed: Typed, errors: FieldErrors) -> DecisionRule | None:
    usual = DecisionRule()
    values = {
        name: decimal(name, typed.get(name), getattr(usual, name), errors)
        for name in (
            "best",
            "equal_margin",
            "equal_probability",
            "largest_expected_loss",
            "superiority_probability",
        )
    }
    for name in ("largest_expected_loss",):
        if name not in errors and not 0.0 < values[name] <= 5.0:
            errors[name] = str(_("Please give a number above 0 and at most 5."))
    for name in ("superiority_probability",):
        if name not in errors and not 0.0 <= values[name] < 1.0:
            errors[name] = str(_("Please give a probability from 0 to below 1."))
    if any(name in errors for name in values):
        return None
    for name in ("best", "equal_margin", "equal_probability"):
        try:
            DecisionRule(**{name: values[name]})
        except TrialError as problem:
            errors[name] = sentence_of(problem)
    if any(name in errors for name in values):
        return None
    return DecisionRule(**values)


def _read_severe_limit(typed: Typed, errors: FieldErrors) -> float | None:
    """Return the share of days on which a side effect may be severe; None where none is typed."""
    if not typed.get("severe_limit"):
        return None
    percent = decimal("severe_limit", typed.get("severe_limit"), 100 * SEVERE_LIMIT, errors)
    if "severe_limit" not in errors and not 0.0 < percent < 100.0:
        errors["severe_limit"] = str(_("Please give a number above 0 and below 100."))
    return percent / 100


def _read_questionnaire(
    typed: Typed, union: tuple[SideEffect, ...], errors: FieldErrors
) -> Questionnaire | None:
    terms = side_effect_terms()
    own = typed.get("list") == "own"
    listed = tuple(terms[key] for key in terms if key in typed.terms) if own else union
    asks = typed.get("asks").split(",")
    try:
        return Questionnaire(
            side_effects=listed,
            sleep="sleep" in asks,
            interference="interference" in asks,
            rescue=typed.get("rescue")[:LONGEST_NAME],
            more_rescue=tuple(
                name.strip()[:LONGEST_NAME]
                for name in typed.get("more_rescue").split(";")
                if name.strip()
            ),
        )
    except TrialError as problem:
        errors["terms"] = sentence_of(problem)
        return None


def _read_taking(typed: Typed, errors: FieldErrors) -> TakingPlan | None:
    """Return when in the day the treatment is taken; None if nothing was ticked."""
    ticked = typed.get("taking").split(",")
    times = tuple(time for time in TimeOfDay if time.value in ticked)
    if not times:
        return None
    try:
        return TakingPlan(times, typed.get("taking_form"))
    except TrialError as problem:
        errors["taking_form"] = sentence_of(problem)
        return None


def _read_window(typed: Typed, errors: FieldErrors) -> DiaryWindow | None:
    opens = time_of_day("opens", typed.get("opens"), errors)
    closes = time_of_day("closes", typed.get("closes"), errors)
    late = whole("late_hours", typed.get("late_hours"), None, errors)
    if opens is None or closes is None or "late_hours" in errors:
        return None
    try:
        return DiaryWindow(opens, closes, late)
    except TrialError as problem:
        errors["closes" if closes >= opens else "late_hours"] = sentence_of(problem)
        return None


def _read_noise(typed: Typed, errors: FieldErrors) -> KnownNoise | None:
    """Return how the patient's pain goes up and down, as an earlier diary showed it."""
    if not typed.get("known_sd"):
        if typed.get("known_autocorrelation"):
            errors["known_sd"] = str(_("Give the ups and downs too, or neither."))
        return None
    sd = decimal("known_sd", typed.get("known_sd"), 1.0, errors)
    likeness = typed.get("known_autocorrelation")
    memory = decimal("known_autocorrelation", likeness, 0.0, errors) if likeness else None
    for name, values in (("known_sd", (sd, None)), ("known_autocorrelation", (1.0, memory))):
        try:
            KnownNoise(*values)
        except TrialError as problem:
            errors.setdefault(name, sentence_of(problem))
    if "known_sd" in errors or "known_autocorrelation" in errors:
        return None
    return KnownNoise(sd, memory)

"""The released result for the patient: what it says, how sure it is, what it means for me.

The same figures as on the clinician's page (``trials.web.verdict``), said in plain words: the
answer first, then how many of a hundred, then how big, then what would change it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import fmean

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from models.decision import Kind
from trials.domain.blinding import Role
from trials.domain.calendar import Phase, zone_of
from trials.domain.impression import CHANGES
from trials.domain.life_cycle import RESULT_KNOWN, State
from trials.domain.protocol import Protocol
from trials.keys import Vault
from trials.services import allocation, analysis, diary
from trials.services.actor import Actor
from trials.services.erasure import is_erased
from trials.store.account import AccountRow
from trials.store.diary import DiaryDayRow, DiaryEntryRow, days_of_trial
from trials.store.impression import ImpressionRow, impressions_of_trial
from trials.store.trial import (
    TrialRow,
    decision_on,
    frozen_protocol,
    guesses_of_trial,
    periods_of_trial,
)
from trials.web import charts
from trials.web.local_words import day_name, days_between, short_day
from trials.web.phrases import chance_text, number_text
from trials.web.verdict import ResultFigures, read_result

MOST_OF_HUNDRED = 0.99
"""No picture says that something is certain."""


@dataclass(frozen=True, slots=True)
class OwnMeans:
    """What the patient reported on one treatment, on the days that count.

    Attributes:
        name: of the treatment.
        pain: mean of the reports, 0-10; None without a report.
        bother: likewise.
        days: number of reports.
    """

    name: str
    pain: float | None
    bother: float | None
    days: int


@dataclass(frozen=True, slots=True)
class PastPeriod:
    """What a period was, what the patient thought it was, and how it was ("" if not said)."""

    number: int
    days: str
    treatment: str
    guess: str
    change: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """What clinician and patient decided: a treatment, or "" for none of them."""

    treatment: str
    reason: str
    clinician: str
    day: str


@dataclass(frozen=True, slots=True)
class ResultPage:
    """All that templates/patient/result.html may use.

    Attributes:
        state: "none" (no trial), "early" (not begun or under way), "soon" (over, being worked
            out), "removed" (the answers were, as agreed), "checked" (being checked before
            release) or "known".
        title: of the trial.
        question: what it was to find out.
        last_day: of the trial, "" before the start.
        verdict: kind of the answer, "" while unknown.
        sentence: the answer.
        meaning: what it means, in short paragraphs.
        reasons: why there is no answer, when there is none; else what was left out, and why.
        icons: how sure, of a hundred; None when there is no answer.
        icons_title: what is counted.
        differences: how big, in sentences.
        means: what was reported on each treatment.
        changes: what would change the answer.
        periods: what each was.
        guessed: whether guesses were asked.
        pain: the own line, with treatments.
        decided: None until it is signed.
        clinic: where the clinic is reached.
        others: other trials with a result.
    """

    state: str
    title: str = ""
    question: str = ""
    last_day: str = ""
    verdict: str = ""
    sentence: str = ""
    meaning: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    icons: charts.IconArray | None = None
    icons_title: str = ""
    differences: tuple[str, ...] = ()
    means: tuple[OwnMeans, ...] = ()
    changes: tuple[str, ...] = ()
    periods: tuple[PastPeriod, ...] = ()
    guessed: bool = False
    pain: charts.LineChart | None = None
    decided: Decided | None = None
    clinic: str = ""
    others: tuple[object, ...] = field(default=())


def result_page(session: Session, keys: Vault, actor: Actor, trial: TrialRow) -> ResultPage:
    """Return the patient's result page in whatever state the trial is."""
    frozen = frozen_protocol(session, trial.id)
    rows = [r for r in days_of_trial(session, trial.id) if r.state != "cancelled"]
    last_day = day_name(rows[-1].day) if rows else ""
    if trial.current_state not in RESULT_KNOWN or frozen is None:
        return ResultPage(
            state="removed" if is_erased(session, trial) else _waiting_for(trial.current_state),
            title=trial.title,
            question=frozen.value.question if frozen else "",
            last_day=last_day,
        )
    protocol = frozen.value
    released = analysis.released_result(session, keys, actor, trial)
    figures = read_result(released, protocol, to_patient=True)
    kept = diary.own_entries(session, trial)
    by_period = treatment_names(session, keys, trial)
    title, icons = _icons(released.summary, released.treatments or {}, figures)
    periods = _periods(session, trial, protocol, by_period, rows)
    return ResultPage(
        state="known",
        title=trial.title,
        question=protocol.question,
        last_day=last_day,
        verdict=figures.verdict.kind,
        sentence=figures.verdict.sentence,
        meaning=_meaning(figures),
        reasons=figures.verdict.reasons
        if figures.verdict.kind == Kind.REFUSED
        else figures.verdict.vetoes,
        icons=icons,
        icons_title=title,
        differences=_differences(figures, released.summary, released.treatments or {}),
        means=_own_means(protocol, rows, kept, by_period),
        changes=_changes(figures),
        periods=periods,
        guessed=any(p.guess for p in periods),
        pain=pain_line(rows, kept, by_period),
        decided=_decided(session, trial, protocol),
    )


def treatment_names(session: Session, keys: Vault, trial: TrialRow) -> dict[int, str]:
    """Return the treatment's name by period where the patient may know it, else nothing."""
    frozen = frozen_protocol(session, trial.id)
    known = allocation.known_treatments(session, keys, Role.PATIENT, trial)
    if frozen is None or known is None:
        return {}
    return {number: frozen.value.candidate(t).name for number, t in known.items()}


def pain_line(
    rows: Sequence[DiaryDayRow], kept: Mapping[date, DiaryEntryRow], names: Mapping[int, str]
) -> charts.LineChart:
    """Return the patient's own pain, day by day, with the treatment of each period.

    Args:
        rows: days up to the last that has begun, in order.
        kept: newest report of each day.
        names: treatment of each period; for a reader who may know them.
    """
    spans = []
    short = _short_names(names.values())
    for number in sorted({r.period for r in rows}):
        own = [(n, r.day) for n, r in enumerate(rows, start=1) if r.period == number]
        label = names.get(number, "") if number else _("Before")
        (first, first_day), (last, last_day) = own[0], own[-1]
        spans.append(
            charts.Span(
                kind="period" if number else "run_in",
                first_day=first,
                last_day=last,
                label=str(label),
                short=short.get(names.get(number, ""), str(number or "")),
                dates=days_between(first_day, last_day),
            )
        )
    return charts.line_chart(
        [kept[r.day].pain if r.day in kept else None for r in rows],
        spans=spans,
        labels=[short_day(r.day) for r in rows],
    )


def _short_names(names: Iterable[str]) -> dict[str, str]:
    """Return three letters for each name, for a narrow place; nothing where two begin alike."""
    short = {name: name[:3] for name in names}
    return short if len(set(short.values())) == len(short) else {}


def _waiting_for(state: State) -> str:
    if state in {State.COMPLETED, State.STOPPED}:
        return "soon"
    return "checked" if state is State.ANALYSED else "early"


def _meaning(figures: ResultFigures) -> tuple[str, ...]:
    """Return what the answer means; all four are good answers, and said so."""
    leader = figures.burden[0].name if figures.burden else ""
    counted = (
        _("Pain and side effects are both counted, the way you wanted.")
        if figures.weighted
        else _("This is about your pain.")
    )
    if figures.verdict.vetoes and figures.verdict.kind != Kind.REFUSED:
        return (
            _("Something was left out because its side effects were too often severe for you."),
            counted,
            _("This comes from your own diary. It is about you, and nobody else."),
        )
    match Kind(figures.verdict.kind):
        case Kind.BEST:
            return (
                _("Your days with %(name)s were your best days.", name=leader),
                counted,
                _("This comes from your own diary. It is about you, and nobody else."),
            )
        case Kind.EQUAL:
            return (
                _("This is a good answer: you cannot choose wrong."),
                counted,
                _("Take what suits you more: fewer tablets, lower cost, or simply what you like."),
            )
        case Kind.NONE:
            return (
                _("This is worth knowing: you do not need to take more to feel the same."),
                counted,
            )
        case Kind.UNDETERMINED:
            return (
                _("This is an honest answer, and you did nothing wrong."),
                _(
                    "Your pain went up and down a lot, or the treatments are too much alike to "
                    "tell them apart in this time."
                ),
                _("It does not mean that nothing helps you."),
            )
        case Kind.REFUSED:
            return (
                _("This is an honest answer, and you did nothing wrong."),
                _("We would rather say nothing than say something wrong."),
            )


def _icons(
    summary: Mapping[str, object], names: Mapping[str, str], figures: ResultFigures
) -> tuple[str, charts.IconArray | None]:
    """Return how sure the answer is, as people out of a hundred with the same diary."""
    if figures.verdict.kind == Kind.EQUAL:
        near = _chance_of_equal(summary, figures)
        return (
            str(_("Of 100 people with a diary just like yours")),
            charts.icon_array(
                _never_certain(
                    [
                        (str(_("would feel no difference that matters")), near),
                        (str(_("would do better with one of them")), 1.0 - near),
                    ]
                )
            ),
        )
    arms = summary["arms"]
    chances = {
        names.get(str(label), str(label)): float(arm["p_best"])
        for label, arm in (arms.items() if isinstance(arms, Mapping) else ())
        if arm.get("p_best") is not None and not arm.get("vetoed")
    }
    if not chances:
        return "", None
    ranked = sorted(chances.items(), key=lambda item: -item[1])
    total = sum(chances.values())
    groups = [(str(_("would do best with %(name)s", name=n)), p / total) for n, p in ranked]
    return (
        str(_("Of 100 people with a diary just like yours")),
        charts.icon_array(_never_certain(groups)),
    )


def _chance_of_equal(summary: Mapping[str, object], figures: ResultFigures) -> float:
    """Return the chance that the arms named equal differ by less than matters."""
    verdict, contrasts = summary["verdict"], summary["contrasts"]
    assert isinstance(verdict, Mapping) and isinstance(contrasts, list)  # noqa: S101, PT018
    equal = set(verdict["equal_arms"])
    return min(
        (float(c["p_equal"]) for c in contrasts if {c["a"], c["b"]} <= equal),
        default=figures.margin,
    )


def _never_certain(groups: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the groups with at least one of a hundred against the first."""
    (first, share), *rest = groups
    if share <= MOST_OF_HUNDRED or not rest:
        return groups
    (second, _small), *tail = rest
    left = sum(p for _name, p in tail)
    return [(first, MOST_OF_HUNDRED), (second, 1.0 - MOST_OF_HUNDRED - left), *tail]


def _differences(
    figures: ResultFigures, summary: Mapping[str, object], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Return how far the leader was ahead of each other treatment, a sentence or two each."""
    if not figures.burden:
        return ()
    leader = figures.burden[0].name
    what = _("pain and side effects together") if figures.weighted else _("pain")
    better = _chances_of_less(summary, names)
    found = []
    for item in (c for c in figures.comparisons if c.first == leader):
        size = _(
            "With %(first)s you had %(points)s points a day less than with %(second)s (%(what)s).",
            first=item.first,
            second=item.second,
            points=number_text(-item.mean),
            what=what,
        )
        reach = (
            _(
                "It may be as little as %(least)s or as much as %(most)s.",
                least=number_text(-item.high),
                most=number_text(-item.low),
            )
            if item.high < 0
            else _(
                "In truth it may be anything from %(most)s points less to %(worse)s points more.",
                most=number_text(-item.low),
                worse=number_text(item.high),
            )
        )
        chance = _(
            "The chance that %(first)s is better for you at all is %(chance)s.",
            first=item.first,
            chance=chance_text(better[item.first, item.second]),
        )
        found.append(f"{size} {reach} {chance}")
    return tuple(found)


def _chances_of_less(
    summary: Mapping[str, object], names: Mapping[str, str]
) -> dict[tuple[str, str], float]:
    """Return the chance that one treatment's burden is below another's, by their names."""
    contrasts = summary["contrasts"]
    found: dict[tuple[str, str], float] = {}
    for item in contrasts if isinstance(contrasts, list) else ():
        first, second = names.get(item["a"], item["a"]), names.get(item["b"], item["b"])
        below = next(float(p) for size, p in item["p_below"].items() if float(size) == 0)
        found |= {(first, second): below, (second, first): 1.0 - below}
    return found


def _changes(figures: ResultFigures) -> tuple[str, ...]:
    """Return what would change the answer."""
    if not figures.burden:
        return (str(_("More days in the diary.")),)
    found = []
    if figures.weighted:
        by_pain = min(figures.pain, key=lambda arm: arm.mean).name
        leader = figures.burden[0].name
        weight = number_text(figures.weight)
        agreed = _(
            "You said: 1 point of side effects counts as much as %(w)s points of pain.", w=weight
        )
        if by_pain != leader:
            agreed += " " + _("With pain alone, %(name)s would be ahead.", name=by_pain)
        elif figures.verdict.kind == Kind.BEST:
            agreed += " " + _("With pain alone, %(name)s would be ahead too.", name=leader)
        found.append(agreed)
    found.append(str(_("Another dose, a new medicine, or a change in your illness.")))
    if figures.verdict.kind == Kind.UNDETERMINED:
        found.append(str(_("More days: a second trial may settle it.")))
    return tuple(found)


def _own_means(
    protocol: Protocol,
    rows: Sequence[DiaryDayRow],
    kept: Mapping[date, DiaryEntryRow],
    names: Mapping[int, str],
) -> tuple[OwnMeans, ...]:
    """Return the plain means of what was reported, washout left out as in the analysis."""
    found = []
    for candidate in protocol.candidates:
        own = [
            kept[r.day]
            for r in rows
            if r.day in kept
            and r.phase == Phase.EVALUATION
            and names.get(r.period) == candidate.name
        ]
        found.append(
            OwnMeans(
                name=candidate.name,
                pain=fmean(e.pain for e in own) if own else None,
                bother=fmean(e.bother for e in own) if own else None,
                days=len(own),
            )
        )
    return tuple(found)


def _periods(
    session: Session,
    trial: TrialRow,
    protocol: Protocol,
    names: Mapping[int, str],
    rows: Sequence[DiaryDayRow],
) -> tuple[PastPeriod, ...]:
    guesses = {g.period: g.treatment for g in guesses_of_trial(session, trial.id)}
    said = {row.period: row for row in impressions_of_trial(session, trial.id)}
    lived = {r.period for r in rows}
    return tuple(
        PastPeriod(
            number=p.number,
            days=days_between(p.first_day, p.last_day),
            treatment=names.get(p.number, ""),
            guess=_guessed(protocol, guesses.get(p.number)),
            change=change_in_words(said.get(p.number)),
            words=said[p.number].words if p.number in said else "",
        )
        for p in periods_of_trial(session, trial.id)
        if p.number in lived
    )


def change_in_words(said: ImpressionRow | None) -> str:
    """Return how a period was, compared with before the trial; "" if that was not said."""
    return str(_(CHANGES[said.change])) if said is not None and said.change is not None else ""


def _guessed(protocol: Protocol, treatment: str | None) -> str:
    if treatment is None:
        return ""
    return protocol.candidate(treatment).name if treatment else str(_("did not know"))


def _decided(session: Session, trial: TrialRow, protocol: Protocol) -> Decided | None:
    decision = decision_on(session, trial.id)
    if decision is None:
        return None
    signed = decision.signed_at.astimezone(zone_of(trial.timezone)).date()
    return Decided(
        treatment=protocol.candidate(decision.treatment).name if decision.treatment else "",
        reason=decision.reason,
        clinician=session.get_one(AccountRow, decision.signed_by).name,
        day=day_name(signed),
    )

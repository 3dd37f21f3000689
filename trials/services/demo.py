"""The demonstration: one clinic, its staff, and patients whose trials stand at every stage.

The patients are simulated, everything else is real: the trials are set up, frozen, drawn,
answered and analysed by the same services that a clinic uses, with the hours they would
have had.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from models.data import trial_data
from models.exposure import exposures, speeds, targets
from models.posterior import Floats
from trials.domain.blinding import Blinding, Role
from trials.domain.calendar import instant, local_day, zone_of
from trials.domain.catalogue import propose_days, union_of_side_effects
from trials.domain.design import Design, LookSchedule, arm_labels
from trials.domain.diary import Answers, Intake, Questionnaire, Source
from trials.domain.life_cycle import State
from trials.domain.protocol import SEVERE_LIMIT, Candidate, Protocol
from trials.keys import Vault
from trials.services import allocation
from trials.services.accounts import add_account
from trials.services.actor import SYSTEM, Actor
from trials.services.analysis import release_result, specify
from trials.services.catalogue import catalogue, frequencies_of, side_effect_terms
from trials.services.diary import record_entry
from trials.services.patients import add_patient
from trials.services.running import start_trial
from trials.services.trials import (
    create_trial,
    freeze_protocol,
    record_consent,
)
from trials.store.account import AccountRow, SiteRow
from trials.store.fit import latest_fit
from trials.store.safety_contact import SafetyContactRow
from trials.store.trial import TrialRow, frozen_protocol, trials_of_site

SITE = "Lenitive demonstration clinic"
TIMEZONE = "Europe/Berlin"
COUNTRY = "DE"  # whose numbers patients are given to call
STAFF = (
    ("Dr. Clara Weiss", "clinician@demo.example", Role.CLINICIAN),
    ("Pavel Horák", "pharmacist@demo.example", Role.PHARMACIST),
    ("Ana Sousa", "analyst@demo.example", Role.ANALYST),
    ("Adam Novak", "administrator@demo.example", Role.ADMINISTRATOR),
)
RELEASE_COMMENT = "Both engines agree; released for the demonstration."


@dataclass(frozen=True, slots=True)
class Story:
    """One simulated patient and how far the trial has come.

    Attributes:
        code: the patient's code.
        name: the patient's name.
        title: of the trial.
        question: of the protocol.
        candidates: catalogue ids.
        blinding: of the trial.
        blocks: of the design.
        period_days: of the design.
        washout_days: of the design.
        day_today: which day of the trial is today, 0 for a draft, more than there are for a
            trial that is over.
        level: pain without any treatment, 0-10.
        relief: points of pain each candidate takes away at steady state.
        bother: points of bother each candidate brings.
        noise: standard deviation of a day's pain.
        answered: share of evenings on which the diary is filled in.
        released: whether the result is released once it is analysed.
        looks: whether the trial may end early.
    """

    code: str
    name: str
    title: str
    question: str
    candidates: tuple[str, ...]
    blinding: Blinding
    blocks: int
    period_days: int
    washout_days: int
    day_today: int
    level: float = 6.0
    relief: tuple[float, ...] = (0.0, 0.0, 0.0)
    bother: tuple[float, ...] = (0.5, 0.5, 0.5)
    noise: float = 1.0
    answered: float = 0.92
    released: bool = False
    looks: LookSchedule = LookSchedule.AT_END


OVER = 10_000
DAYS_SINCE_THE_END = 4
"""By then no entry can come any more, in any time zone."""
STORIES = (
    Story(
        code="D-01",
        name="Dora Draft",
        title="Neuropathic pain in both feet",
        question="Does duloxetine or pregabalin ease the burning more?",
        candidates=("duloxetine", "pregabalin", "placebo"),
        blinding=Blinding.BLINDED,
        blocks=3,
        period_days=14,
        washout_days=3,
        day_today=0,
    ),
    Story(
        code="D-02",
        name="Rosa Running",
        title="Low back pain: naproxen or paracetamol",
        question="Which of the two helps my back, and is it worth the stomach ache?",
        candidates=("naproxen", "paracetamol"),
        blinding=Blinding.BLINDED,
        blocks=3,
        period_days=14,
        washout_days=4,
        day_today=20,
        relief=(2.0, 1.0),
        bother=(2.0, 0.5),
        looks=LookSchedule.EACH_BLOCK,
    ),
    Story(
        code="D-03",
        name="Wilma Waiting",
        title="Knee osteoarthritis: celecoxib against placebo",
        question="Is celecoxib better than nothing for my knee?",
        candidates=("celecoxib", "placebo"),
        blinding=Blinding.BLINDED,
        blocks=3,
        period_days=10,
        washout_days=4,
        day_today=OVER,
        relief=(1.5, 0.0),
        bother=(1.0, 0.5),
    ),
    Story(
        code="D-04",
        name="Carla Clear",
        title="Shoulder pain: ibuprofen or paracetamol",
        question="Which one should I keep at home?",
        candidates=("ibuprofen", "paracetamol"),
        blinding=Blinding.BLINDED,
        blocks=4,
        period_days=10,
        washout_days=2,
        day_today=OVER,
        level=6.5,
        relief=(3.2, 0.3),
        bother=(0.5, 0.5),
        noise=0.8,
        released=True,
    ),
    Story(
        code="D-05",
        name="Egon Equal",
        title="Heat or TENS for neck pain",
        question="Does the TENS device do more for my neck than a hot pack?",
        candidates=("heat", "tens"),
        blinding=Blinding.OPEN,
        blocks=6,
        period_days=10,
        washout_days=1,
        day_today=OVER,
        level=5.0,
        relief=(1.5, 1.5),
        bother=(0.0, 0.0),
        noise=0.7,
        answered=0.96,
        released=True,
    ),
    Story(
        code="D-06",
        name="Nina Notsure",
        title="Hand osteoarthritis: diclofenac gel or ibuprofen",
        question="Is the gel enough for my hands, or do I need the tablets?",
        candidates=("diclofenac_topical", "ibuprofen"),
        blinding=Blinding.BLINDED,
        blocks=2,
        period_days=10,
        washout_days=2,
        day_today=OVER,
        level=5.0,
        relief=(1.0, 1.7),
        bother=(0.2, 0.8),
        noise=1.9,
        answered=0.85,
        released=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at the demonstration clinic, told in the order of time."""

    at: datetime
    do: Callable[[Session], object]


def fill_demo(sessions: sessionmaker[Session], vault: Vault, now: datetime) -> None:
    """Fill an empty database with the demonstration, up to this instant.

    The finished trials still wait for their analysis: the scheduler's workers run it like
    any other, and :func:`release_demo` approves it.
    """
    with sessions.begin() as session:
        site = SiteRow(name=SITE, timezone=TIMEZONE, is_demo=True)
        session.add(site)
        session.flush()
        session.add(SafetyContactRow(site_id=site.id, country=COUNTRY))
        people = {
            role: add_account(session, SYSTEM, site, name=name, email=email, role=role, now=now)
            for name, email, role in STAFF
        }
        clinician = _actor(people[Role.CLINICIAN], Role.CLINICIAN)
        events = [event for story in STORIES for event in _tell(vault, clinician, story, now)]
        for event in sorted(events, key=lambda event: event.at):
            event.do(session)


def release_demo(sessions: sessionmaker[Session], vault: Vault, now: datetime) -> bool:
    """Approve the analyses that are ready, as the analyst would; return whether all are done."""
    wanted = {story.title for story in STORIES if story.released}
    with sessions.begin() as session:
        site = session.scalars(select(SiteRow).where(SiteRow.is_demo.is_(True))).one()
        analyst = session.scalars(
            select(AccountRow).where(
                AccountRow.site_id == site.id, AccountRow.email == "analyst@demo.example"
            )
        ).one()
        waiting = [
            trial
            for trial in trials_of_site(session, site.id)
            if trial.title in wanted
            and trial.current_state in {State.RUNNING, State.COMPLETED, State.ANALYSED}
        ]
        for trial in waiting:
            fit = latest_fit(session, trial.id, "final")
            if trial.current_state is State.ANALYSED and fit is not None:
                release_result(
                    session,
                    vault,
                    _actor(analyst, Role.ANALYST),
                    trial,
                    revision=trial.revision,
                    fit=fit.public_id,
                    comment=RELEASE_COMMENT,
                    now=now,
                )
    return not waiting


def _tell(vault: Vault, clinician: Actor, story: Story, now: datetime) -> Iterator[Event]:
    """Yield what happened to one patient, from the first visit to now."""
    zone = zone_of(TIMEZONE)
    protocol = demo_protocol(story)
    total = protocol.design.total_days
    begun = min(story.day_today, total + DAYS_SINCE_THE_END)
    first_day = local_day(now, zone) - timedelta(days=max(begun - 1, 0))
    visit = instant(first_day - timedelta(days=3), time(10, 15), zone)
    trials: list[TrialRow] = []

    def set_up(session: Session) -> None:
        patient = add_patient(
            session,
            clinician,
            code=story.code,
            name=story.name,
            email=f"{story.name.split(maxsplit=1)[0].lower()}@demo.example",
            timezone=TIMEZONE,
            locale="en",
            now=visit,
        )
        trials.append(
            create_trial(
                session, clinician, patient, title=story.title, protocol=protocol, now=visit
            )
        )

    yield Event(visit, set_up)
    if story.day_today == 0:
        return

    def freeze_and_start(session: Session) -> None:
        (trial,) = trials
        agreed = visit + timedelta(minutes=25)
        freeze_protocol(session, vault, clinician, trial, revision=trial.revision, now=agreed)
        record_consent(session, clinician, trial, given_on=local_day(agreed, zone), now=agreed)
        start_trial(
            session,
            vault,
            clinician,
            trial,
            revision=trial.revision,
            start_day=first_day,
            now=agreed,
        )
        lives.extend(simulate_diary(session, vault, trial, story))

    lives: list[Answers | None] = []
    yield Event(visit + timedelta(minutes=25), freeze_and_start)
    for number in range(min(begun, total)):
        evening = _evening(story, first_day + timedelta(days=number))
        if evening <= now:
            yield Event(evening, _report(trials, lives, number, evening))


def _report(
    trials: list[TrialRow], lives: list[Answers | None], number: int, evening: datetime
) -> Callable[[Session], object]:
    """Return the deed of one evening: the diary is filled in, or forgotten."""

    def fill_in(session: Session) -> None:
        (trial,) = trials
        answers = lives[number]
        if answers is None or trial.start_day is None:
            return
        record_entry(
            session,
            trial,
            trial.start_day + timedelta(days=number),
            answers,
            source=Source.PATIENT,
            author=Actor(
                None, trial.patient.public_id, Role.PATIENT, trial.site_id, trial.timezone
            ),
            key=str(uuid4()),
            now=evening,
        )

    return fill_in


def demo_protocol(story: Story) -> Protocol:
    """Return the protocol of a story, from the catalogue."""
    treatments = [catalogue()[key] for key in story.candidates]
    proposed = propose_days(treatments)
    return Protocol(
        question=story.question,
        candidates=tuple(
            Candidate(t.id, t.name, t.usual_dose, t.effect_half_life_days) for t in treatments
        ),
        design=Design(
            arm_labels(len(treatments)),
            story.blocks,
            max(story.period_days, proposed.washout_days + 3),
            max(story.washout_days, proposed.washout_days),
        ),
        comparator="placebo" if "placebo" in story.candidates else "",
        blinding=story.blinding,
        looks=story.looks,
        questionnaire=Questionnaire(
            union_of_side_effects(treatments, dict(side_effect_terms())),
            rescue="paracetamol 500 mg",
        ),
        severe_limit=SEVERE_LIMIT,
        frequencies=frequencies_of(union_of_side_effects(treatments, dict(side_effect_terms()))),
    )


def simulate_diary(
    session: Session, vault: Vault, trial: TrialRow, story: Story
) -> list[Answers | None]:
    """Return what the patient of a story reports on each day, None where nothing.

    Pain follows the model that is fitted: exposure with the catalogue's half-lives, AR(1)
    noise and slow wandering, rounded to whole numbers.
    """
    frozen = frozen_protocol(session, trial.id)
    assert frozen is not None  # noqa: S101  # the trial was just started
    protocol = frozen.value
    labels, design = protocol.design.arms, protocol.design
    key = allocation.sealed_arm_key(session, vault, trial)
    sequence = allocation.masked_sequence(session, vault, trial)
    arms = [labels.index(arm) for arm in sequence for _day in range(design.period_days)]
    data = trial_data(labels, arms, np.full(len(arms), np.nan))
    specification = specify(protocol, key)
    half_lives = np.array([arm.half_life_days for arm in specification.arms], dtype=float)
    exposure = exposures(targets(data), speeds(data, specification), half_lives)
    order = [story.candidates.index(key[label]) for label in labels]
    dice = np.random.default_rng(sum(map(ord, story.code + story.name)))
    relief = exposure @ np.array([story.relief[place] for place in order])
    bother = exposure @ np.array([story.bother[place] for place in order])
    pain = story.level - relief + _autoregressive(dice, len(arms), story.noise, 0.3)
    bother = bother + _autoregressive(dice, len(arms), 0.5, 0.3)
    filled_in = dice.random(len(arms)) < story.answered
    return [
        _answers(story, protocol, float(p), float(b)) if said else None
        for p, b, said in zip(pain, bother, filled_in, strict=True)
    ]


def _answers(story: Story, protocol: Protocol, pain: float, bother: float) -> Answers:
    score = int(np.clip(round(pain), 0, 10))
    bothered = int(np.clip(round(bother), 0, 10))
    items = protocol.questionnaire.side_effects
    severities = {item.key: 0 for item in items}
    if bothered and items:
        worst = items[sum(map(ord, story.code)) % len(items)].key
        severities[worst] = min(3, (bothered + 2) // 3)
    return Answers(
        pain=score,
        bother=bothered if any(severities.values()) else 0,
        side_effects=severities,
        sleep=int(np.clip(round(pain - 1), 0, 10)),
        interference=int(np.clip(round(pain - 0.5), 0, 10)),
        rescue_doses=2 if score >= 8 else 0,
        intake=Intake.ALL,
    )


def _autoregressive(dice: np.random.Generator, days: int, sd: float, phi: float) -> Floats:
    """(days,) stationary AR(1) noise with marginal standard deviation ``sd``."""
    steps = dice.normal(0.0, sd * np.sqrt(1 - phi**2), days)
    noise = np.empty(days)
    noise[0] = dice.normal(0.0, sd)
    for day in range(1, days):
        noise[day] = phi * noise[day - 1] + steps[day]
    return noise


def _evening(story: Story, day: date) -> datetime:
    """Return when this patient usually sits down with the diary."""
    minutes = random.Random(f"{story.code} {day}").randrange(0, 100)  # noqa: S311  # no secret
    return instant(day, time(19, 30), zone_of(TIMEZONE)).astimezone(UTC) + timedelta(
        minutes=minutes
    )


def _actor(account: AccountRow, role: Role) -> Actor:
    return Actor(account.id, account.public_id, role, account.site_id, TIMEZONE)

"""Every red flag is raised by what it names, and by nothing that it does not."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import PROTOCOL
from trials.domain.diary import Answers
from trials.domain.protocol import Candidate
from trials.domain.red_flags import (
    Condition,
    Fact,
    PainDay,
    Situation,
    Urgency,
    course_facts,
    for_groups,
    pattern_of,
    plain_words,
    raised,
    read_trigger,
    signs_of,
    words_in,
)
from trials.services.catalogue import catalogue, read_rows, side_effect_terms
from trials.services.red_flag_rules import groups_of, patterns, rules

DAY = date(2026, 3, 10)
LANGUAGES = ("en", "de", "fr", "es")

RAISED_BY: dict[str, tuple[dict[str, int], set[str], set[Fact]]] = {
    "RF-SUICIDE": ({"suicidal": 1}, set(), set()),
    "RF-RESP": ({"shortness_of_breath": 3}, set(), set()),
    "RF-CARDIAC": ({"chest_pain": 1}, set(), set()),
    "RF-GIBLEED": ({"black_stool": 1}, set(), set()),
    "RF-RASH": ({"rash": 1}, {"rash"}, set()),
    "RF-ANAPH": ({"swollen_face": 1}, set(), set()),
    "RF-AGRAN": ({"fever_sore_throat": 1}, set(), set()),
    "RF-LIVER": ({"yellow_skin_dark_urine": 1}, set(), set()),
    "RF-SEROTONIN": ({"tremor": 1, "sweating": 1}, {"serotonergic"}, set()),
    "RF-SEIZURE": ({"seizure": 1}, set(), set()),
    "RF-CAUDA": ({"saddle_numbness": 1}, set(), set()),
    "RF-CANCER-INFECT": ({"night_sweats": 1}, set(), set()),
    "RF-GCA": ({"jaw_pain": 1}, set(), set()),
    "RF-NEURO": ({"stroke": 1}, set(), set()),
    "RF-RETENTION": ({"urinary_hesitancy": 3}, set(), set()),
    "RF-HF": ({"oedema": 1, "shortness_of_breath": 1}, set(), set()),
    "RF-FALL": ({"fall": 1}, set(), set()),
    "RF-WITHDRAW": ({"withdrawal": 1}, set(), set()),
    "RF-PREG": ({"pregnant": 1}, set(), set()),
    "RF-PAIN9": ({}, set(), {Fact.HIGH_TWO_DAYS}),
    "RF-NODIARY": ({}, set(), {Fact.NO_DIARY}),
    "RF-OVERDOSE": ({}, set(), {Fact.TOO_MANY_DOSES}),
}
"""The least that raises each rule: signs, groups of treatments, facts of the course."""


def situation(
    signs: dict[str, int] | None = None, groups: Iterable[str] = (), facts: Iterable[Fact] = ()
) -> Situation:
    return Situation(signs or {}, frozenset(groups), frozenset(facts))


def flags(now: Situation) -> dict[str, Urgency]:
    return {flag.rule.id: flag.urgency for flag in raised(rules().values(), now)}


def test_all_22_rules_are_there_and_each_has_an_example():
    assert len(rules()) == 22
    assert set(RAISED_BY) == set(rules())


@pytest.mark.parametrize("name", RAISED_BY)
def test_a_rule_is_raised_by_the_least_it_names_and_alone(name: str):
    signs, groups, facts = RAISED_BY[name]

    assert flags(situation(signs, groups, facts)) == {name: rules()[name].urgency}


@pytest.mark.parametrize("name", RAISED_BY)
def test_a_rule_is_not_raised_when_any_part_is_missing(name: str):
    signs, groups, facts = RAISED_BY[name]
    for missing in signs:
        assert name not in flags(situation({**signs, missing: 0}, groups, facts))
        if signs[missing] == 3:
            assert name not in flags(situation({**signs, missing: 2}, groups, facts))
    for missing in groups:
        assert name not in flags(situation(signs, groups - {missing}, facts))
    for missing in facts:
        assert name not in flags(situation(signs, groups, facts - {missing}))


@pytest.mark.parametrize(
    ("signs", "groups", "expected"),
    [
        ({"cannot_breathe": 1}, (), "RF-RESP"),
        ({"slow_breathing": 1}, (), "RF-RESP"),
        ({"fainting": 1}, (), "RF-CARDIAC"),
        ({"palpitations": 1, "dizziness": 3}, (), "RF-CARDIAC"),
        ({"vomiting_blood": 1}, (), "RF-GIBLEED"),
        ({"rash": 1, "fever": 1}, (), "RF-RASH"),
        ({"rash": 1, "sores": 1}, (), "RF-RASH"),
        ({"blisters": 1}, (), "RF-RASH"),
        ({"fever": 1, "sores": 1}, (), "RF-AGRAN"),
        ({"anxiety": 1, "diarrhoea": 1}, ("serotonergic",), "RF-SEROTONIN"),
        ({"confusion": 1, "fever_sore_throat": 1}, ("serotonergic",), "RF-SEROTONIN"),
        ({"lost_control": 1}, (), "RF-CAUDA"),
        ({"both_legs_weak": 1}, (), "RF-CAUDA"),
        ({"fever": 1, "back_pain": 1}, (), "RF-CANCER-INFECT"),
        ({"night_pain": 1}, (), "RF-CANCER-INFECT"),
        ({"lost_sight": 1}, (), "RF-GCA"),
        ({"no_urine": 1}, (), "RF-RETENTION"),
        ({"overdose": 1}, (), "RF-OVERDOSE"),
    ],
)
def test_every_other_way_raises_the_rule_too(signs, groups, expected: str):
    assert expected in flags(situation(signs, groups))


@pytest.mark.parametrize(
    ("signs", "groups"),
    [
        ({"rash": 2}, ()),
        ({"palpitations": 3}, ()),
        ({"shortness_of_breath": 2}, ()),
        ({"urinary_hesitancy": 2}, ()),
        ({"tremor": 3, "sweating": 3}, ()),
        ({"sweating": 3}, ("serotonergic",)),
        ({"anxiety": 3, "confusion": 3}, ("other",)),
        ({"nausea": 3, "dry_mouth": 3, "drowsiness": 3, "low_mood": 3}, ("rash", "serotonergic")),
    ],
)
def test_ordinary_side_effects_raise_nothing(signs, groups):
    assert flags(situation(signs, groups)) == {}


def test_agitation_and_confusion_count_as_one_sign_of_serotonin():
    both = situation({"anxiety": 2, "confusion": 2}, ["serotonergic"])

    assert "RF-SEROTONIN" not in flags(both)


@pytest.mark.parametrize("worse", ["fever", "confusion"])
def test_serotonin_with_fever_or_confusion_is_immediate(worse: str):
    now = situation({"tremor": 1, "sweating": 1, worse: 1}, ["serotonergic"])

    assert flags(now)["RF-SEROTONIN"] is Urgency.IMMEDIATE


def test_the_most_urgent_comes_first_and_says_which_signs_raised_it():
    found = raised(rules().values(), situation({"fall": 1, "chest_pain": 2, "nausea": 1}))

    assert [flag.rule.id for flag in found] == ["RF-CARDIAC", "RF-FALL"]
    assert [flag.signs for flag in found] == [("chest_pain",), ("fall",)]


# ---- data ------------------------------------------------------------------------------------


def test_every_sign_can_be_reported_by_a_question_or_a_word():
    asked = set(side_effect_terms())
    written = set(patterns())
    for rule in rules().values():
        for condition in (c for a in (*rule.trigger, *rule.immediate_if) for c in a):
            for sign in (s for choice in condition.choices for s in choice):
                assert sign in asked | written, f"{rule.id}: nobody can report {sign}"


def test_every_rule_names_its_source_and_how_sure_it_is():
    for rule in rules().values():
        assert rule.source, rule.id
        assert rule.confidence in {"V", "M", "J"}, rule.id
        assert rule.text.endswith("."), rule.id


def test_suicide_is_never_an_item_of_a_list():
    assert rules()["RF-SUICIDE"].button == ""
    assert "suicidal_thoughts" not in side_effect_terms()


def test_advice_names_no_treatment_of_any_arm():
    """What a patient reads may not depend on, or hint at, what is in the box."""
    names = {t.name.split()[0].lower() for t in catalogue().values() if t.kind == "drug"}
    names.discard("paracetamol")  # what everybody has at home, in the advice about the liver
    for rule in rules().values():
        assert not names & set(plain_words(rule.text).split()), rule.id


def test_groups_name_treatments_of_the_catalogue():
    for row in read_rows("red_flag_groups.csv"):
        assert set(row["treatments"].split(";")) <= set(catalogue()), row["group"]


def test_every_language_knows_words_for_the_same_signs():
    rows = list(read_rows("red_flag_words.csv"))
    for language in LANGUAGES:
        signs = {row["sign"] for row in rows if row["language"] == language}
        assert signs == set(patterns()), language


@pytest.mark.parametrize("language", LANGUAGES)
def test_word_lists_are_written_as_notes_are_read(language: str):
    """A phrase with an accent or a capital would never be found."""
    for row in read_rows("red_flag_words.csv"):
        if row["language"] == language:
            for phrase in row["phrases"].split(";"):
                plain = phrase.replace("*", "").replace("..", " ")
                assert plain_words(plain) == " ".join(plain.split()), phrase


def test_a_trigger_that_is_written_wrong_is_refused():
    for text in ("Chest pain", "a:4", "9of a", "!nothing"):
        with pytest.raises(ValueError, match=r"."):
            read_trigger(text)


def test_a_trigger_reads_as_written():
    assert read_trigger("a; b+c:3; @g + 2 of x|y, z") == (
        (Condition((("a",),)),),
        (Condition((("b",),)), Condition((("c",),), severity=3)),
        (Condition(group="g"), Condition((("x", "y"), ("z",)), least=2)),
    )


def test_a_phone_gets_only_what_can_happen_in_its_trial_and_no_group():
    trigger = read_trigger("rash+@rash; rash+fever")

    assert for_groups(trigger, {"rash"}) == read_trigger("rash; rash+fever")
    assert for_groups(trigger, set()) == read_trigger("rash+fever")


# ---- words -----------------------------------------------------------------------------------

FOUND = [
    ("en", "I want to die", "suicidal"),
    ("en", "I can't go on any more.", "suicidal"),
    ("en", "thinking of killing...I would kill myself", "suicidal"),
    ("en", "They'd be better off without me", "suicidal"),
    ("en", "No thoughts of suicide today", "suicidal"),  # negations do not matter
    ("en", "Pain in my chest since noon", "chest_pain"),
    ("en", "tightness across the chest", "chest_pain"),
    ("en", "I fainted in the kitchen", "fainting"),
    ("en", "BLACK STOOLS!!", "black_stool"),
    ("en", "vomited a bit of blood", "vomiting_blood"),
    ("en", "my lips are swollen", "swollen_face"),
    ("en", "blisters on my arm", "blisters"),
    ("en", "I can hardly breathe", "cannot_breathe"),
    ("en", "had a fit last night", "seizure"),
    ("en", "I feel numb between my legs", "saddle_numbness"),
    ("en", "one side of my face drooped", "stroke"),
    ("en", "I cannot pee", "no_urine"),
    ("en", "I took too many of the white tablets", "overdose"),
    ("en", "I think I'm pregnant", "pregnant"),
    ("de", "Ich möchte nicht mehr leben.", "suicidal"),
    ("de", "Ich moechte am liebsten sterben", "suicidal"),
    ("de", "denke an Selbstmord", "suicidal"),
    ("de", "habe keine Suizidgedanken", "suicidal"),
    ("de", "Schmerzen in der Brust", "chest_pain"),
    ("de", "heute kurz ohnmächtig geworden", "fainting"),
    ("de", "schwarzer Stuhl", "black_stool"),
    ("de", "Meine Zunge ist geschwollen", "swollen_face"),
    ("de", "Bekomme kaum noch Luft", "cannot_breathe"),
    ("de", "Kann seit gestern nicht pinkeln", "no_urine"),
    ("de", "ich bin schwanger", "pregnant"),
    ("de", "Habe zu viele Tabletten genommen", "overdose"),
    ("de", "Bin auf der Treppe gestürzt", "fall"),
    ("fr", "J'ai envie de mourir", "suicidal"),
    ("fr", "je n'en peux plus", "suicidal"),
    ("fr", "J'ai mal à la poitrine", "chest_pain"),
    ("fr", "je me suis évanouie", "fainting"),
    ("fr", "Selles très noires ce matin", "black_stool"),
    ("fr", "J'étouffe la nuit", "cannot_breathe"),
    ("fr", "le visage est enflé", "swollen_face"),
    ("fr", "je suis enceinte", "pregnant"),
    ("fr", "une chute dans l'escalier", "fall"),
    ("es", "No quiero vivir más", "suicidal"),
    ("es", "he pensado en suicidarme", "suicidal"),
    ("es", "Me duele mucho el pecho", "chest_pain"),
    ("es", "me desmayé", "fainting"),
    ("es", "heces negras", "black_stool"),
    ("es", "no puedo respirar bien", "cannot_breathe"),
    ("es", "La lengua está hinchada", "swollen_face"),
    ("es", "estoy embarazada", "pregnant"),
    ("es", "Tomé demasiadas pastillas", "overdose"),
]


DESPAIR = [
    ("en", "I keep thinking about killing myself", "suicidal"),
    ("en", "I want to be dead", "suicidal"),
    ("en", "I just want to end it", "suicidal"),
    ("en", "I'm going to end it tonight", "suicidal"),
    ("en", "Life isn't worth living", "suicidal"),
    ("en", "life is no longer worth living", "suicidal"),
    ("en", "I don't want to be here any more", "suicidal"),
    ("en", "I do not want to be alive", "suicidal"),
    ("en", "I'd rather be dead", "suicidal"),
    ("en", "I want to just die", "suicidal"),
    ("en", "I wish I could die", "suicidal"),
    ("en", "thinking about taking my own life", "suicidal"),
    ("en", "There is nothing left to live for", "suicidal"),
    ("en", "I am tired of living", "suicidal"),
    ("en", "I can't carry on like this", "suicidal"),
    ("en", "I can't take it anymore", "suicidal"),
    ("en", "I'd hang myself", "suicidal"),
    ("en", "hope I never wake up", "suicidal"),
    ("en", "I wish I had never been born", "suicidal"),
    ("en", "I've been cutting myself again", "suicidal"),
    ("en", "thoughts of dying", "suicidal"),
    ("de", "Ich bringe mich um", "suicidal"),
    ("de", "Am liebsten bring ich mich um", "suicidal"),
    ("de", "Ich habe daran gedacht, mich umzubringen", "suicidal"),
    ("de", "Ich nehme mir das Leben", "suicidal"),
    ("de", "Ich habe überlegt, mir das Leben zu nehmen", "suicidal"),
    ("de", "Das Leben ist nicht mehr lebenswert", "suicidal"),
    ("de", "Mein Leben hat keinen Sinn mehr", "suicidal"),
    ("de", "Ich will tot sein", "suicidal"),
    ("de", "Ich wünschte, ich wäre tot", "suicidal"),
    ("de", "wollte heute nur noch sterben", "suicidal"),
    ("de", "Ich will nicht mehr da sein", "suicidal"),
    ("de", "Ich mache allem ein Ende", "suicidal"),
    ("de", "Ich will meinem Leben ein Ende setzen", "suicidal"),
    ("de", "Ich hänge mich auf", "suicidal"),
    ("de", "Ich denke oft an den Tod", "suicidal"),
    ("de", "habe mir die Pulsadern angeschaut", "suicidal"),
    ("de", "Keine Lust mehr zu leben", "suicidal"),
    ("de", "Ich tue mir etwas an", "suicidal"),
    ("de", "Ich töte mich", "suicidal"),
    ("fr", "je me tue", "suicidal"),
    ("fr", "Je vais me tuer", "suicidal"),
    ("fr", "Je vais me pendre", "suicidal"),
    ("fr", "Je veux juste mourir", "suicidal"),
    ("fr", "Je voudrais être morte", "suicidal"),
    ("fr", "Je préfère mourir", "suicidal"),
    ("fr", "La vie ne vaut plus la peine d'être vécue", "suicidal"),
    ("fr", "Ma vie n'a plus de sens", "suicidal"),
    ("fr", "Je suis fatigué de vivre", "suicidal"),
    ("fr", "J'en ai marre de vivre", "suicidal"),
    ("fr", "Je veux disparaître", "suicidal"),
    ("fr", "J'ai des idées noires", "suicidal"),
    ("fr", "Je pense à la mort", "suicidal"),
    ("fr", "je veux mettre fin à tout", "suicidal"),
    ("fr", "je veux me jeter sous un train", "suicidal"),
    ("fr", "Je ne veux plus vivre", "suicidal"),
    ("fr", "Ça ne vaut pas la peine de vivre, pas la peine d'être vécue", "suicidal"),
    ("fr", "j'espère ne pas me réveiller", "suicidal"),
    ("es", "me voy a matar", "suicidal"),
    ("es", "Quiero matarme", "suicidal"),
    ("es", "Voy a matarme", "suicidal"),
    ("es", "Me quiero morir", "suicidal"),
    ("es", "Quiero estar muerta", "suicidal"),
    ("es", "Ojalá me muera", "suicidal"),
    ("es", "Preferiría morir", "suicidal"),
    ("es", "Quiero quitarme la vida", "suicidal"),
    ("es", "Me voy a quitar la vida", "suicidal"),
    ("es", "La vida no vale la pena", "suicidal"),
    ("es", "No merece la pena vivir", "suicidal"),
    ("es", "Mi vida ya no tiene sentido", "suicidal"),
    ("es", "Estoy cansada de vivir", "suicidal"),
    ("es", "Quiero desaparecer", "suicidal"),
    ("es", "Quiero poner fin a mi vida", "suicidal"),
    ("es", "Pienso en la muerte", "suicidal"),
    ("es", "No aguanto más", "suicidal"),
    ("es", "No quiero seguir viviendo", "suicidal"),
    ("es", "quiero acabar con todo de una vez", "suicidal"),
]
"""What people write when they think of ending their life."""

HARMLESS = [
    ("en", "The pain is killing me today, but the walk helped."),
    ("en", "I want to end the day with a film."),
    ("en", "Watched a documentary about life in the sea, worth seeing."),
    ("en", "I ended up walking home."),
    ("en", "My phone died, so I am late with this."),
    ("en", "The battery was dead."),
    ("en", "I could not wake up before nine, slept deeply."),
    ("en", "I took the bus and was here early."),
    ("en", "I cut the hedge and lived to tell."),
    ("en", "Life is worth living again!"),
    ("de", "Die Schmerzen bringen mich noch ins Schwitzen."),
    ("de", "Das macht mir das Leben leichter."),
    ("de", "Meine Tante lebt nicht mehr hier, wir waren am Grab."),
    ("de", "Bin todmüde ins Bett."),
    ("de", "Der Film war zum Totlachen."),
    ("de", "Will heute früh ins Bett."),
    ("de", "Am Ende des Tages war es besser."),
    ("de", "Das Leben ist schön, viel gelacht."),
    ("fr", "Cette douleur me fatigue, mais la journée était belle."),
    ("fr", "J'étais morte de fatigue."),
    ("fr", "Je me suis réveillée tôt."),
    ("fr", "La douleur a disparu vers midi."),
    ("fr", "La promenade valait la peine."),
    ("fr", "Ma vie est plus simple maintenant."),
    ("es", "El dolor me molesta pero he paseado."),
    ("es", "Estoy muerta de sueño."),
    ("es", "Me desperté a las siete."),
    ("es", "El dolor desapareció por la tarde."),
    ("es", "Vale la pena el paseo."),
    ("es", "Terminé el libro y acabé cansada."),
    ("es", "Me tiré en el sofá a leer."),
]
"""What sounds a little like despair and is none."""


@pytest.mark.parametrize(("language", "note", "sign"), [*FOUND, *DESPAIR])
def test_what_people_write_is_found_whatever_the_language_of_the_app(
    language: str, note: str, sign: str
):
    assert sign in words_in(note, patterns())


@pytest.mark.parametrize(
    ("language", "note"),
    [
        *HARMLESS,
        ("en", "I felt fit and went for a walk with my dog."),
        ("en", "Slept well. A killer of a day at work, dead tired."),
        ("en", "Took my tablets with breakfast, cooked, watched a film."),
        ("en", "My back was stiff in the morning, better after moving."),
        ("de", "Heute war ich fit und habe im Garten gearbeitet."),
        ("de", "Kann nicht mehr schlafen, weil die Kinder laut sind. Todmüde."),
        ("de", "Der Film hat mir gefallen, das Wetter war schön."),
        ("fr", "Bonne journée, promenade avec le chien. Morte de fatigue."),
        ("es", "Un buen día, paseo con el perro. Muerta de cansancio."),
        ("es", "He dormido bien y he trabajado en el jardín."),
    ],
)
def test_an_ordinary_day_is_no_red_flag(language: str, note: str):
    signs = dict.fromkeys(words_in(note, patterns()), 1)

    assert flags(situation(signs)) == {}


def test_words_are_found_whatever_accents_capitals_and_marks():
    pattern = {"x": pattern_of(["nicht .. leben"])}

    assert words_in("NICHT mehr so LÉBEN!", pattern)
    assert words_in("nicht, leben", pattern)
    assert not words_in("nicht eins zwei drei vier leben", pattern)
    assert not words_in("nichts leben", pattern)


@given(st.text(max_size=500))
def test_no_note_breaks_the_screen(note: str):
    assert words_in(note, patterns()) <= set(patterns())


def test_a_note_adds_to_what_was_ticked_and_weakens_nothing():
    answers = Answers(pain=4, bother=2, side_effects={"rash": 3, "nausea": 0}, note="a rash")

    assert signs_of(answers, {"rash", "fever"}) == {"rash": 3, "fever": 1}


# ---- the course of pain ----------------------------------------------------------------------


def course(*pains: int | None, run_in: tuple[int, ...] = ()) -> frozenset[Fact]:
    """Return the facts on the last of these days, after a run-in."""
    first = DAY - timedelta(days=len(pains) - 1)
    start = first - timedelta(days=len(run_in))
    days = [PainDay(start + timedelta(days=n), p, in_run_in=True) for n, p in enumerate(run_in)]
    days += [
        PainDay(first + timedelta(days=n), p, in_run_in=False)
        for n, p in enumerate(pains)
        if p is not None
    ]
    return course_facts(days, DAY)


def test_pain_of_nine_counts_on_two_days_in_a_row():
    assert course(9, 9) == {Fact.HIGH_TWO_DAYS}
    assert course(10, 9) == {Fact.HIGH_TWO_DAYS}
    assert course(9) == frozenset()
    assert course(8, 9) == frozenset()
    assert course(9, None, 9) == frozenset()
    assert course(9, 9, 8) == frozenset()


def test_pain_three_points_above_the_run_in_counts_on_three_days():
    assert course(7, 7, 8, run_in=(4, 4)) == {Fact.ABOVE_RUN_IN}
    assert course(7, 6, 8, run_in=(4, 4)) == frozenset()
    assert course(7, 7, run_in=(4, 4)) == frozenset()
    assert course(7, 7, 7) == frozenset()  # without a run-in there is nothing to compare with
    assert course(7, None, 7, 7, run_in=(4, 4)) == frozenset()


def test_the_run_in_is_not_above_itself():
    assert course(run_in=(1, 1, 1, 6, 6, 6)) == frozenset()


def test_a_trial_belongs_to_the_groups_of_all_its_arms_and_its_rescue():
    without = replace(
        PROTOCOL, candidates=(PROTOCOL.candidates[0], Candidate("placebo", "Placebo"))
    )
    questionnaire = replace(PROTOCOL.questionnaire, rescue="Tramadol 50 mg")

    assert groups_of(PROTOCOL) == {"serotonergic"}  # amitriptyline, in whatever period
    assert groups_of(without) == set()
    assert groups_of(replace(without, questionnaire=questionnaire)) == {"serotonergic"}

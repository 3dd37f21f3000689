"""What was reported, how late, and from which box, as people say it."""

from flask_babel import gettext as _

from trials.domain.diary import INTAKE_REASONS, Answers, Intake, Questionnaire


def grouped(kit: str) -> str:
    """Return a box number as it is printed on the box, in groups that stay on one line."""
    return "\N{NO-BREAK SPACE}".join(part for part in (kit[:2], kit[2:5], kit[5:]) if part)


def delay(minutes: int) -> str:
    """Return how late a report came, "" if it was on time."""
    if minutes <= 0:
        return ""
    if minutes < 60:
        return str(_("%(count)s min", count=minutes))
    hours, rest = divmod(minutes, 60)
    if not rest:
        return str(_("%(hours)s h", hours=hours))
    return str(_("%(hours)s h %(minutes)s min", hours=hours, minutes=rest))


def in_words(questionnaire: Questionnaire, answers: Answers) -> tuple[tuple[str, str], ...]:
    """Return what was reported as (question, answer); what was left out is left out."""
    scores = (
        (_("Pain"), answers.pain),
        (_("Sleep disturbed"), answers.sleep),
        (_("Pain in the way"), answers.interference),
    )
    found = [(str(label), _of_ten(score)) for label, score in scores if score is not None]
    found.insert(1, (str(_("Side effects")), _side_effects(questionnaire, answers)))
    if answers.intake is not None:
        found.append((str(_("Treatment taken")), _intake(answers)))
    if answers.rescue_doses is not None and questionnaire.rescue:
        found += _rescue(questionnaire, answers)
    if answers.by_proxy:
        found.append((str(_("Filled in by")), str(_("somebody else"))))
    return tuple(found)


def _rescue(questionnaire: Questionnaire, answers: Answers) -> list[tuple[str, str]]:
    """Return the doses of each medicine; a report from before they were told apart has a sum."""
    if not answers.rescue:
        return [(questionnaire.rescue, str(_("%(count)s doses", count=answers.rescue_doses)))]
    found = []
    for use in answers.rescue:
        doses = str(_("%(count)s doses", count=use.doses))
        if use.last_at:
            doses = str(_("%(doses)s, the last at %(time)s", doses=doses, time=use.last_at))
        found.append((use.medicine, doses))
    return found


def _of_ten(score: int) -> str:
    return str(_("%(score)s of 10", score=score))


def _intake(answers: Answers) -> str:
    names = {Intake.ALL: _("as planned"), Intake.PART: _("partly"), Intake.NONE: _("not")}
    assert answers.intake is not None  # noqa: S101  # asked by the caller
    told = [str(names[answers.intake])]
    if answers.intake_reason is not None:
        told.append(str(_(INTAKE_REASONS[answers.intake_reason])))
    if answers.intake_words:
        told.append(answers.intake_words)
    return ": ".join([told[0], ", ".join(told[1:])]) if len(told) > 1 else told[0]


def _side_effects(questionnaire: Questionnaire, answers: Answers) -> str:
    severities = {1: _("mild"), 2: _("moderate"), 3: _("severe")}
    had = [
        f"{_(item.label)} ({severities[answers.side_effects[item.key]]})"
        for item in questionnaire.side_effects
        if answers.side_effects.get(item.key, 0) > 0
    ]
    had += [f"{effect.text} ({severities[effect.severity]})" for effect in answers.other_effects]
    if not had and not answers.bother:
        return str(_("none"))
    bother = str(_("bother %(score)s of 10", score=answers.bother))
    return ", ".join([*had, bother])

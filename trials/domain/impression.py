"""What a patient says at the end of a period: how it was, all in all, and which was preferred.

The seven steps are those of the Patient Global Impression of Change (Guy 1976); the wording is
ours. The patient says in own words what made the difference.
"""

from datetime import datetime, timedelta

from trials.domain.words import marked as _

OPEN_FOR = timedelta(hours=48)
"""How long the questions at the end of a period can be answered (rule D-15): later, memory and
the next period colour them."""

CHANGES: dict[int, str] = {
    1: _("Very much better"),
    2: _("Much better"),
    3: _("A little better"),
    4: _("No change"),
    5: _("A little worse"),
    6: _("Much worse"),
    7: _("Very much worse"),
}

LONGEST_WORDS = 500
NO_PREFERENCE = 0
NONE_OF_THEM = -1


def is_open(last_day_opens_at: datetime, at: datetime) -> bool:
    """Return whether the questions about a period can be answered at this instant.

    Args:
        last_day_opens_at: UTC instant at which the diary of its last day opens: before that
            evening the period has not been lived.
        at: UTC instant.
    """
    return last_day_opens_at <= at < last_day_opens_at + OPEN_FOR

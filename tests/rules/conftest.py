"""The server's clock, set to an evening of the trial."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date

import pytest
import time_machine

from tests.builders import evening
from tests.plugins.web import app, new_app, visitor

__all__ = ["app", "new_app", "visitor"]


@pytest.fixture
def at_evening() -> Callable[..., AbstractContextManager[None]]:
    """Return how to let it be an hour of a day, by the clocks of Berlin."""

    @contextmanager
    def travel(day: date, hour: int = 20) -> Iterator[None]:
        with time_machine.travel(evening(day, hour), tick=False):
            yield

    return travel

"""How the processes write their log: lines of JSON that name routes and errors, never people.

An unexpected error is written as its kind and the places it came through. Its message and the
values of variables are left out: they may hold a name, an answer or a treatment.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog


def configure_logging(level: str = "info") -> None:
    """Write log lines of this level and above to standard error.

    Args:
        level: "debug", "info", "warning" or "error"; with "debug" messages of errors are shown
            too, which only belongs on a developer's machine.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_message if level == "debug" else _places_only,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_names: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _places_only(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace an error by its kind and the places it came through."""
    error = _error_of(event.pop("exc_info", None))
    if error is not None:
        event["error"] = type(error).__qualname__
        event["places"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
    return event


def _with_message(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    error = _error_of(event.get("exc_info"))
    event = _places_only(logger, method, event)
    if error is not None:
        event["message"] = str(error)
    return event


def _error_of(exc_info: object) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exc_info()[1]
    return None

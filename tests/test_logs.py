"""Log lines are JSON, name the kind and place of an error, and nobody's data."""

import json

import structlog

from trials.logs import configure_logging


def fail(secret: str) -> None:
    raise KeyError(secret)


def logged(capsys, level: str) -> dict[str, object]:
    configure_logging(level)
    log = structlog.get_logger()
    try:
        fail("naproxen")
    except KeyError:
        log.exception("unexpected_error", route="/x")
    written: dict[str, object] = json.loads(capsys.readouterr().err)
    return written


def test_an_error_is_its_kind_and_where_it_came_through(capsys):
    line = logged(capsys, "info")

    assert (line["event"], line["level"], line["error"]) == (
        "unexpected_error",
        "error",
        "KeyError",
    )
    assert str(line["places"][-1]).endswith(" fail")  # type: ignore[index]
    assert "naproxen" not in json.dumps(line)


def test_a_developer_may_see_the_message(capsys):
    assert "naproxen" in str(logged(capsys, "debug")["message"])


def test_lines_below_the_level_are_left_out(capsys):
    configure_logging("warning")

    structlog.get_logger().info("request")

    assert capsys.readouterr().err == ""

"""Lines on standard error, read back as a collector would."""

import io
import json
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from specsched.telemetry.logging import configure_logging, get_logger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_event_level_and_a_time_in_utc(capsys: Captured) -> None:
    configure_logging()
    get_logger().info("listening", address="unix:/run/s", rows=3)
    (line,) = lines(capsys)
    time = datetime.fromisoformat(line.pop("timestamp"))
    assert time.utcoffset() == timedelta(0)
    assert line == {"event": "listening", "level": "info", "address": "unix:/run/s", "rows": 3}


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_less_severe_than_the_level_is_left_out(capsys: Captured, level: str, written: list[str]) -> None:
    configure_logging(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(get_logger(), name)("happened")
    assert [line["level"] for line in lines(capsys)] == written


def test_the_fields_of_a_process_stand_on_the_lines_of_all_its_threads(capsys: Captured) -> None:
    configure_logging(worker="worker-0")
    log = get_logger()
    log.info("here")
    engine = threading.Thread(target=log.info, args=("there",))
    engine.start()
    engine.join()
    log.info("own", worker="worker-1")
    assert [(line["event"], line["worker"]) for line in lines(capsys)] == [
        ("here", "worker-0"),
        ("there", "worker-0"),
        ("own", "worker-1"),
    ]


def test_set_up_again_the_old_fields_are_gone(capsys: Captured) -> None:
    configure_logging(worker="worker-0")
    configure_logging()
    get_logger().info("here")
    assert "worker" not in lines(capsys)[0]


def test_fields_of_a_context_stand_on_its_lines(capsys: Captured) -> None:
    configure_logging()
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        get_logger().info("inside")
    get_logger().info("outside")
    assert [line.get("request_id") for line in lines(capsys)] == ["r1", None]


def test_a_logger_made_before_the_set_up_follows_it(capsys: Captured) -> None:
    log = structlog.get_logger()
    configure_logging("warning")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_an_exception_and_any_value_stay_on_one_line(capsys: Captured) -> None:
    configure_logging()
    error = ValueError("line one\nline two")
    get_logger().error("unforeseen_error", exc_info=error, odd=object(), text="\ud800\n")
    (line,) = lines(capsys)
    assert line["exception"].endswith("ValueError: line one\nline two")
    assert line["odd"].startswith("<object object")
    assert line["text"] == "\ud800\n"


@pytest.mark.parametrize(
    ("stream", "form", "as_json"),
    [
        (io.StringIO, "auto", True),
        (Terminal, "auto", False),
        (Terminal, "json", True),
        (io.StringIO, "console", False),
    ],
)
def test_a_terminal_gets_lines_to_read_and_everything_else_json(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], form: Any, as_json: bool
) -> None:
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging(format=form)
    get_logger().error("happened", exc_info=ValueError("why"))
    assert written.getvalue().startswith("{") is as_json
    assert "happened" in written.getvalue()
    assert "why" in written.getvalue()

"""The trail is in the log, and in a file where one is named."""

import json
from datetime import UTC, datetime

from structlog.testing import capture_logs

from specsched.telemetry.audit import Action, AuditLog

ACTION = Action("boss", "ipv4:10.0.0.1:5", "SetSpeculation", "OK", {"enabled": False})


def test_a_line_says_who_what_when_and_what_came_of_it(tmp_path):
    path = tmp_path / "audit.jsonl"
    trail = AuditLog(path, lambda: datetime(2026, 1, 2, tzinfo=UTC))
    with capture_logs() as lines:
        trail.write(ACTION)
        trail.write(ACTION)
    (line, _) = [json.loads(text) for text in path.read_text().splitlines()]
    assert line == {
        "timestamp": "2026-01-02T00:00:00+00:00",
        "who": "boss",
        "peer": "ipv4:10.0.0.1:5",
        "what": "SetSpeculation",
        "result": "OK",
        "arguments": {"enabled": False},
    }
    assert path.stat().st_mode & 0o077 == 0
    assert [(each["event"], each["who"]) for each in lines] == [("audit", "boss")] * 2


def test_a_file_that_cannot_be_written_is_said_and_stops_nothing(tmp_path):
    with capture_logs() as lines:
        AuditLog(tmp_path).write(ACTION)
    assert [line["event"] for line in lines] == ["audit", "audit_file_failed"]

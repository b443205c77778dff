"""`specsched replay --from-telemetry` over files as a sink writes them."""

import json

import pytest
from typer.testing import CliRunner

from specsched.cli.main import app
from specsched.telemetry.sinks.rows import row_of
from tests.helpers.acceptance import rounds_of


def test_a_log_of_another_policy_is_told_apart_and_estimated_all_the_same(tiny_pool, tmp_path):
    config, log, out = (tmp_path / name for name in ("specsched.yaml", "acceptance-1.jsonl", "out.json"))
    config.write_text(f"pool: {{manifest: {tiny_pool}}}\n", encoding="utf-8")
    records = [*rounds_of(0, 3, first=0), *rounds_of(1, 3, first=3)]
    log.write_text("".join(json.dumps(row_of(record)) + "\n" for record in records), encoding="utf-8")
    command = ["replay", "--from-telemetry", str(log), "--config", str(config), "--draws", "10", "--json", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "its configuration was another" in done.output
    tree = json.loads(out.read_text(encoding="utf-8"))
    first, *_ = tree["tables"]["off_policy"]
    assert (first["begins_with"], first["effective_requests"]) == ("as logged", 2)
    assert first["over_plain"] == pytest.approx(3 * 0.015 / 0.03)
    assert {check["name"] for check in tree["checks"]} == {"same_seed", "same_beliefs", "same_arm"}


def test_a_folder_without_records_is_one_line(tmp_path):
    done = CliRunner().invoke(app, ["replay", "--from-telemetry", str(tmp_path)])
    assert done.exit_code == 2
    assert "no acceptance records" in done.output

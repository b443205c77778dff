"""What stands in docker/: it parses, Prometheus takes it, and it names no metric that does not exist."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from specsched.cli.security import security_of
from specsched.config.load import load_config
from specsched.telemetry.metrics import SchedulerMetrics
from specsched.telemetry.service_metrics import (
    CallMetrics,
    ConfigMetrics,
    RestartMetrics,
    SinkMetrics,
    WorkerMetrics,
)

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
PROMETHEUS = DOCKER / "prometheus"
DASHBOARD = DOCKER / "grafana" / "dashboards" / "specsched.json"
NAME = re.compile(r"specsched_[a-z_]+")


def everything():
    """A registry with all that a service registers."""
    registry = CollectorRegistry()
    SchedulerMetrics(registry, ("small",), ("chat",), 2, ("worker-0",))
    CallMetrics(registry, ("Generate",), ("OK",))
    WorkerMetrics(registry, {"a": "worker-0"})
    RestartMetrics(registry)
    SinkMetrics(registry, ("jsonl",))
    ConfigMetrics(registry, "abc")
    return registry


def series():
    """Names of all series, as PromQL has them."""
    return {sample.name for family in everything().collect() for sample in family.samples}


def expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    rules = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    yield from (target["expr"] for panel in panels for target in panel.get("targets", ()))
    yield from (rule["expr"] for group in rules for rule in group["rules"])


def test_every_metric_of_dashboard_and_rules_exists():
    known = series()
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert named - known == set()
    assert len(named) > 20


def test_rules_tests_name_series_that_exist():
    known = series()
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    named = {NAME.match(each["series"]) for test in tests for each in test["input_series"]}
    assert {match.group() for match in named if match} <= known


def test_every_alert_stands_in_the_runbook_and_no_other():
    rules = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    alerts = [rule["alert"] for group in rules for rule in group["rules"]]
    listed = re.findall(r"^\| `(\w+)` \|", (DOCKER / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert listed == alerts


def test_panels_have_places_of_their_own():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "config", "prometheus.yml"], "SUCCESS"),
        (["check", "rules", "rules.yml"], "SUCCESS"),
        (["test", "rules", "rules_test.yml"], "SUCCESS"),
    ],
)
def test_promtool_agrees(arguments, said):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package: prometheus)")
    done = subprocess.run([promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


def test_the_composed_scheduler_can_be_configured_so():
    config = load_config(DOCKER / "specsched.yaml", {})
    assert config.workers.addresses == ("worker:50081",)
    assert config.telemetry.metrics_address == "0.0.0.0:9464"
    assert security_of(config).certificates is None  # it refuses ports that are open by accident


def test_the_services_of_compose_fit_together():
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    services = compose["services"]
    (job,) = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    hosts = [target.split(":")[0] for each in job["static_configs"] for target in each["targets"]]
    assert set(hosts) <= set(services)
    for service in services.values():
        if "build" in service:
            text = (DOCKER.parent / service["build"]["dockerfile"]).read_text()
            assert "\nUSER 10001" in text
            assert "\nHEALTHCHECK" in text
            if service.get("read_only"):  # what the image writes to, and what it declares to be written to, is mounted
                made = set(re.findall(r"install -d .* (/\S+)$", text, re.MULTILINE))
                assert made <= {volume.split(":")[1] for volume in service["volumes"]}
        else:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
            assert service["healthcheck"]
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in compose["volumes"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_bases_of_images_are_pinned():
    for path in DOCKER.glob("*Dockerfile"):
        bases = re.findall(r"^ARG BASE=(\S+)$", path.read_text(), re.MULTILINE)
        assert [base for base in bases if re.search(r":\d+\.\d+\.\d+", base)] == bases != []


def test_images_install_by_the_lock_and_none_of_what_develops_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path in DOCKER.glob("*Dockerfile"):
        installs = re.findall(r"pip install (?:\S+ )*?--constraint requirements\.lock ([^\n\\]+)", path.read_text())
        assert installs, path
        assert "-r requirements.lock" not in path.read_text()
        named = {extra for line in installs for extra in re.findall(r"\.\[([a-z,]+)\]", line)}
        assert named <= {"fast,redis,telemetry"}
    printed = subprocess.run(
        [sys.executable, DOCKER / "scheduler_requirements.py"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    names = {_name(each) for each in printed}
    assert not names & {
        "torch",
        "transformers",
        *(_name(each) for group in ("dev", "kit", "fast") for each in extras[group]),
    }
    assert {_name(each) for group in ("redis", "telemetry") for each in extras[group]} <= names


def _name(requirement):
    return re.split(r"[\[<>=!~ ]", requirement)[0]

"""The house: what stands at the top, and what the lock and the metadata promise."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {
    "pyproject.toml",
    "protos",
    "specsched",
    "models",
    "tests",
    "docker",
    "Makefile",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "requirements.lock",
}


def tracked():
    """Files that the repository holds."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    return [Path(line) for line in listed.stdout.splitlines()]


def test_the_top_level_holds_what_it_should_and_nothing_else():
    visible = {path.parts[0] for path in tracked() if not path.parts[0].startswith(".")}
    assert visible <= TOP
    assert visible >= TOP


def test_what_is_tracked_stays_small():
    assert sum((ROOT / path).stat().st_size for path in tracked() if (ROOT / path).exists()) < 48 * 2**20


def test_the_lock_pins_without_index_and_local_suffix():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines), lines
    assert "torch==2.13.0" in lines


def test_the_lock_meets_every_floor():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [r for group in project["optional-dependencies"].values() for r in group]
    locked = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().split()
    }
    wanted = {re.split(r"[\[<>=!~ ]", requirement)[0].lower() for requirement in project["dependencies"] + extras}
    assert wanted - {"specsched"} <= {name.replace("_", "-") for name in locked}


def test_the_package_s_files_stay_small():
    long = {
        str(path): lines
        for path in tracked()
        if path.parts[0] == "specsched" and path.suffix == ".py" and path.parts[1] != "v1"
        if (ROOT / path).exists() and (lines := len((ROOT / path).read_text().splitlines())) > 300
    }
    assert not long


def test_every_test_folder_mirrors_a_package():
    packages = {path.parts[1] for path in tracked() if path.parts[0] == "specsched" and len(path.parts) > 2}
    folders = {path.parts[1] for path in tracked() if path.parts[0] == "tests" and len(path.parts) > 2}
    assert folders - {"helpers", "e2e", "faults", "fuzz", "house"} <= packages

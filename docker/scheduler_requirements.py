"""Print what a scheduler's image installs: the project's own requirements without those that only workers import."""

import re
import tomllib
from pathlib import Path

_WORKERS_ONLY = {"torch", "transformers"}
_EXTRAS = ("redis", "telemetry")

if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [requirement for extra in _EXTRAS for requirement in extras[extra]]
    print(*(each for each in wanted if re.split(r"[<>=]", each)[0] not in _WORKERS_ONLY), sep="\n")

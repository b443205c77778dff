import json

import pytest
from typer.testing import CliRunner

from specsched.cli.main import app

PROMPTS = {
    "legal": ("May my landlord keep the deposit", "Is this contract binding", "Who inherits the house", "May I appeal"),
    "cooking": ("How long do I boil an egg", "Knead this dough", "Season the soup with salt", "Which oil fries best"),
}
FILES = {"train": ("clients", "forum"), "test": ("clients", "letters")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's own prompts, in two classes of their own."""
    folder = tmp_path_factory.mktemp("own")
    for split, sources in FILES.items():
        records = [
            {"prompt": f"{text}, case {i}?", "category": name, "source": source}
            for source in sources
            for name, texts in PROMPTS.items()
            for i, text in enumerate(texts)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def invoke(*arguments):
    return CliRunner().invoke(app, ["classify", *map(str, arguments)])


def test_own_classes_are_trained_and_evaluated(folder, tmp_path):
    weights, report = tmp_path / "own.skops", tmp_path / "report.json"
    trained = invoke("train", "--data", folder, "--out", weights)
    assert trained.exit_code == 0, trained.output
    evaluated = invoke("evaluate", "--data", folder, "--classifier", weights, "--json", report)
    assert evaluated.exit_code == 0, evaluated.output
    found = json.loads(report.read_text())
    sources = {name: [row["source"] for row in rows] for name, rows in found["tables"].items() if name != "doubt"}
    assert sources["leave_one_out"][:2] == ["clients", "forum"]
    assert sources["other_sources"][0] == "letters"
    assert sources["own_sources"][0] == "clients"
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["classifier_accuracy_other_sources"]["value"] == 1
    assert checks["classifier_artefact_bytes"]["holds"]
    assert {"classifier_macro_f1_other_sources", "classifier_p50_seconds", "classifier_p99_seconds"} < set(checks)


def test_prompts_of_other_classes_are_refused_in_one_line(folder):
    refused = invoke("evaluate", "--data", folder)
    assert refused.exit_code == 2
    assert "knows no class cooking, legal" in refused.output

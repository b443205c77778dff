"""Task arithmetic on tiny models, by the command."""

import pytest
import torch
from typer.testing import CliRunner

from specsched.cli.main import app
from specsched.modelkit.draft import DraftShape, build_draft
from specsched.modelkit.export import export
from specsched.modelkit.language_model import load_language_model


@pytest.fixture
def models(target_folder, tmp_path):
    """Three drafts of one form, and one of another."""
    target = load_language_model(target_folder)
    for seed, name in enumerate(("general", "math", "former")):
        draft = build_draft(target, DraftShape(width=16, mlp=24), seed=0).network
        torch.manual_seed(seed)
        with torch.no_grad():
            for weight in draft.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        export(draft, target_folder, tmp_path / name)
    export(build_draft(target, DraftShape(width=24, mlp=24), seed=0).network, target_folder, tmp_path / "wide")
    return tmp_path


def merged(folder, plus, minus, *more):
    names = ["--from", str(folder / "general"), "--plus", str(folder / plus), "--minus", str(folder / minus)]
    return CliRunner().invoke(app, ["models", "merge", *names, "--out", str(folder / "merged"), *more])


def weights(folder):
    return load_language_model(folder).network.state_dict()


@pytest.mark.parametrize("scale", [0.5, -1.0])
def test_what_a_model_has_beyond_another_is_added(models, scale):
    done = merged(models, "math", "former", "--scale", str(scale))
    assert done.exit_code == 0, done.output
    general, math, former = (weights(models / name) for name in ("general", "math", "former"))
    for name, found in weights(models / "merged").items():
        wanted = general[name] + scale * (math[name] - former[name])
        torch.testing.assert_close(found, wanted, rtol=2**-8, atol=1e-6)  # written in bfloat16


def test_models_of_another_form_are_refused_in_one_line(models):
    done = merged(models, "wide", "former")
    assert done.exit_code == 2
    assert "is of another form than" in done.output.replace("\n", " ")

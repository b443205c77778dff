from dataclasses import replace

import pytest
import torch

from specsched.errors import SetupError
from specsched.modelkit.checkpoint import FILE
from specsched.modelkit.language_model import load_language_model
from specsched.modelkit.repeats import repeated_documents
from specsched.modelkit.tokens import load_documents
from specsched.modelkit.train import Stage, Trainer, TrainSettings

SETTINGS = TrainSettings(
    tokens=64 * 24,
    batch_tokens=64,
    micro_tokens=32,
    stages=(Stage(0.5, 16), Stage(1.0, 32)),
    repeats=0.2,
    guided=0.3,
    mixed_precision=False,
    evaluate_every=5,
    save_every=3,
)


@pytest.fixture
def trainer_in(target_folder, corpus, tmp_path):
    def make(name: str, settings: TrainSettings = SETTINGS) -> Trainer:
        data = [
            load_documents(corpus, split, target_folder / "tokenizer.json", tmp_path / "tokens")
            for split in ("train", "valid")
        ]
        repeats = repeated_documents(corpus, target_folder / "tokenizer.json", 500, seed=0)
        network = load_language_model(target_folder).network
        return Trainer(network, data[0], data[1], settings, tmp_path / name, repeats=repeats)

    return make


def quiet(_progress: object) -> None:
    pass


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(trainer_in):
    undisturbed = trainer_in("whole")
    undisturbed.run(quiet)
    trainer_in("cut").run(quiet, stop_after=4)
    torch.manual_seed(99)
    resumed = trainer_in("cut")
    resumed.run(quiet)
    theirs = undisturbed.model.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in resumed.model.state_dict().items())


def test_a_kill_while_saving_leaves_the_old_checkpoint(trainer_in, tmp_path):
    trainer_in("cut").run(quiet, stop_after=3)
    (tmp_path / "cut" / f"{FILE}.part").write_bytes(b"half a file")
    steps = []
    trainer_in("cut").run(lambda progress: steps.append(progress.step), stop_after=5)
    assert steps[0] == 4


def test_another_run_s_checkpoint_is_refused(trainer_in):
    trainer_in("cut").run(quiet, stop_after=1)
    with pytest.raises(SetupError, match="other settings"):
        trainer_in("cut", replace(SETTINGS, seed=5)).run(quiet)


def test_the_held_out_loss_falls(trainer_in):
    trainer = trainer_in("whole")
    before = trainer.evaluate()
    trainer.run(quiet)
    after = trainer.evaluate()
    assert set(after.valid) == {"chat", "math"}
    assert after.loss < before.loss - 0.3

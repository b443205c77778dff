"""From a corpus to a model folder: tokenizer, network, training, export."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from specsched.modelkit.corpus import END, PAD
from specsched.modelkit.export import export
from specsched.modelkit.optimizer import OptimizerSettings
from specsched.modelkit.plots import plot_loss
from specsched.modelkit.precision import fast_bfloat16
from specsched.modelkit.repeats import repeated_documents
from specsched.modelkit.tokenizer import save_tokenizer, train_tokenizer
from specsched.modelkit.tokens import load_documents
from specsched.modelkit.train import Progress, Stage, Trainer, TrainSettings

_WINDOW = 512
_LONG_WINDOWS_FROM = 0.94


@dataclass(frozen=True, slots=True)
class NewModel:
    """A Llama to begin with."""

    vocabulary: int = 4_096
    width: int = 384
    layers: int = 6
    context: int = 2_048
    head_size: int = 64

    @property
    def heads(self) -> int:
        """Attention heads of the usual size."""
        return max(1, self.width // self.head_size)

    @property
    def key_value_heads(self) -> int:
        """A third of the heads where that divides them."""
        return self.heads // 3 if self.heads % 3 == 0 else self.heads

    @property
    def mlp(self) -> int:
        """8/3 of the width, in steps of 64."""
        return max(64, round(self.width * 8 / 3 / 64) * 64)


@dataclass(frozen=True, slots=True)
class Pretraining:
    """One run of `models train`."""

    corpus: Path
    out: Path
    start: Path | None
    new: NewModel
    tokens: int
    batch_tokens: int = 6_144
    repeats: float = 0.0
    """Share of windows that teach copying."""
    seed: int = 0
    device: str = "cpu"

    @property
    def settings(self) -> TrainSettings:
        """Short windows first, the whole context at last."""
        short = Stage(_LONG_WINDOWS_FROM, min(_WINDOW, self.new.context))
        return TrainSettings(
            tokens=self.tokens,
            batch_tokens=self.batch_tokens,
            micro_tokens=min(self.batch_tokens, 2_048),
            stages=(short, Stage(1.0, self.new.context)),
            optimizer=OptimizerSettings(muon=fast_bfloat16(self.device)),
            repeats=self.repeats,
            seed=self.seed,
            mixed_precision=fast_bfloat16(self.device),
        )


def pretrain(job: Pretraining, report: Callable[[Progress], None]) -> Path:
    """Train, going on from the folder's checkpoint where there is one; returns the model folder."""
    tokenizer = _tokenizer_folder(job)
    data = [load_documents(job.corpus, s, tokenizer / "tokenizer.json", job.out / "tokens") for s in ("train", "valid")]
    repeats = repeated_documents(job.corpus, tokenizer / "tokenizer.json", round(job.repeats * job.tokens), job.seed)
    trainer = Trainer(_network(job), data[0], data[1], job.settings, job.out, job.device, repeats)
    log = job.out / "log.jsonl"
    with log.open("a", encoding="utf-8") as lines:

        def write(progress: Progress) -> None:
            lines.write(json.dumps(asdict(progress)) + "\n")
            lines.flush()
            report(progress)

        trainer.run(write)
        write(trainer.evaluate())
    export(trainer.model, tokenizer, job.out / "model")
    plot_loss(log, job.out / "loss.png")
    return job.out / "model"


def _tokenizer_folder(job: Pretraining) -> Path:
    if job.start is not None:
        return job.start
    folder = job.out / "tokenizer"
    if not (folder / "chat_template.jinja").is_file():  # written last
        save_tokenizer(train_tokenizer(job.corpus, job.new.vocabulary), folder)
    return folder


def _network(job: Pretraining) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415  # seconds to import

    from specsched.modelkit.language_model import load_language_model  # noqa: PLC0415  # as above

    if job.start is not None:
        return load_language_model(job.start).network
    torch.manual_seed(job.seed)
    special = _special_ids(job.out / "tokenizer")
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=job.new.vocabulary,
            hidden_size=job.new.width,
            intermediate_size=job.new.mlp,
            num_hidden_layers=job.new.layers,
            num_attention_heads=job.new.heads,
            num_key_value_heads=job.new.key_value_heads,
            head_dim=job.new.head_size,
            max_position_embeddings=job.new.context,
            rms_norm_eps=1e-6,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=special[END],
            pad_token_id=special[PAD],
        )
    )


def _special_ids(folder: Path) -> dict[str, int]:
    tree = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return {token["content"]: token["id"] for token in tree["added_tokens"]}

"""A pool on disk: a tiny random target, a draft that is right often, one tokenizer."""

from pathlib import Path

from tests.helpers.text import save_tokenizer
from tests.helpers.tiny import perturbed, tiny_network

VOCABULARY = 320


def save_pool(folder: Path, seed: int = 0, max_positions: int | None = None) -> Path:
    """Write models and manifest; returns the manifest."""
    target = tiny_network("llama", vocab=VOCABULARY, spread=0.5, seed=seed, max_positions=max_positions)
    for name, network in (("target", target), ("draft", perturbed(target, 0.02))):
        network.save_pretrained(folder / name)
        save_tokenizer(folder / name)
    manifest = folder / "pool.yaml"
    manifest.write_text(
        "target: {id: tiny, path: target, dtype: float32}\n"
        "drafts: [{id: draft, kind: model, path: draft}, {id: ngram, kind: ngram}]\n"
    )
    return manifest

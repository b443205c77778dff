"""Where an engine's drafts come from: the manifest's, loaded at start while memory lasts, and by name later."""

from collections.abc import Callable
from dataclasses import dataclass

from specsched.engine.drafts import Drafts, LoadedDraft, unknown_draft
from specsched.engine.identity import info_on_disk, model_info
from specsched.engine.memory import needed_bytes
from specsched.engine.network import load_network
from specsched.engine.placement import Placement
from specsched.engine.proposers.composite import CompositeProposer
from specsched.engine.proposers.ngram import NgramProposer
from specsched.pool.compatibility import check_vocabulary
from specsched.pool.manifest import ModelSpec, Pool, load_pool
from specsched.pool.weights import verify_weights
from specsched.records import NO_DRAFT, ModelInfo

Progress = Callable[[str], None]
"""Takes one line per stage of loading."""


@dataclass(frozen=True, slots=True)
class DraftSource:
    """Loads drafts for one target."""

    pool: Pool
    """What the engine was loaded from; its target stands."""
    placement: Placement
    vocab_size: int
    """The target's."""

    def all_that_fit(self, room: int, progress: Progress) -> Drafts:
        """Load drafts in the manifest's order while memory lasts; the others come when they would earn their place.

        Args:
            room: Bytes; no limit where the settings have none.
            progress: Told what is loaded next.
        """
        settings = self.placement.settings
        resident: list[LoadedDraft] = []
        evicted: list[ModelInfo] = []
        sizes: dict[str, int] = {}
        left = room
        for spec in self.pool.drafts:
            if spec.kind == NO_DRAFT:  # plain decoding is always available
                continue
            weights = verify_weights(spec) if settings.memory_bytes and spec.path is not None else None
            sizes[spec.id] = needed_bytes(spec, weights, settings.kv_capacity_tokens) if weights is not None else 0
            if weights is None or sizes[spec.id] <= left:
                progress(f"loading draft {spec.id}")
                resident.append(self._load(spec))
                left -= sizes[spec.id]
            else:
                evicted.append(info_on_disk(spec, weights))
        limit = max(1, room) if settings.memory_bytes else 0
        return Drafts(resident, self.load, evicted=evicted, limit_bytes=limit, sizes=sizes if limit else None)

    def load(self, name: str) -> LoadedDraft:
        """Load a draft as the manifest names it now.

        Args:
            name: The draft's id.

        Raises:
            InvalidRequest: the manifest names no such draft.
            PoolError: it cannot be read, run or paired with the target.
        """
        spec = next((draft for draft in load_pool(self.pool.manifest).drafts if draft.id == name), None)
        if spec is None or spec.kind == NO_DRAFT:
            raise unknown_draft(name)
        return self._load(spec)

    def _load(self, spec: ModelSpec) -> LoadedDraft:
        if spec.kind == "ngram":
            return LoadedDraft(ModelInfo(spec.id, "ngram"), NgramProposer(spec.id))
        assert spec.path is not None, "draft models have a path"
        assert self.pool.target.path is not None, "targets have a path"
        weights = verify_weights(spec)
        check_vocabulary(self.pool.target.path, spec.path)
        computes = f"{weights.sha256} {spec.dtype} {spec.quantization}"
        network = load_network(spec, self.placement.device)
        model = self.placement.model(network, spec.id, vocab_size=self.vocab_size, weights=computes)
        proposer = self.placement.style.proposer(spec.id, model, spec.stop_below_share)
        if not spec.copy_match_tokens:
            return LoadedDraft(model_info(spec, "model", model, weights), proposer)
        composite = CompositeProposer(spec.id, [NgramProposer(spec.id, spec.copy_match_tokens), proposer])
        return LoadedDraft(model_info(spec, "composite", model, weights), composite)

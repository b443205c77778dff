"""Models that cost nothing run through the same rounds as real ones."""

import torch

from specsched.engine.drafts import Drafts, LoadedDraft
from specsched.engine.engine import Engine
from specsched.engine.null_model import NullModel
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.settings import EngineSettings
from specsched.records import CostGrid, ModelInfo, WorkerInfo
from tests.helpers.tiny import always, job, run


def test_as_draft_and_target_it_agrees_with_itself():
    target, draft = (NullModel(torch.tensor([0.0, 0.0, 5.0, 0.0]), 2, 4, 64) for _ in range(2))
    drafts = Drafts([LoadedDraft(ModelInfo("d", "model"), DraftModelProposer("d", draft))])
    info = WorkerInfo("w", ModelInfo("t", "target"), drafts.infos(), 4, 64, 2, 256, (), "null", CostGrid(0, (), ()))
    controller = always("d", 3)
    engine = Engine(info, target, drafts, controller, EngineSettings(max_rows=2))
    out = run(engine, [job([1], request_id=name, max_tokens=9) for name in ("a", "b")])
    assert {name: each.tokens for name, each in out.items()} == {"a": [2] * 9, "b": [2] * 9}
    assert [record.num_accepted for record in controller.observed["a"]] == [3, 3, 0]

"""The demo's own work, over scripted workers: every class, both ways, one line each."""

from specsched.bench.demo import run_pairs, summarise
from specsched.classify.base import PROMPT_CLASSES
from tests.helpers.service import scripted_service


async def test_every_class_is_asked_in_turn_and_summed_up(tmp_path):
    async with scripted_service(tmp_path) as served:
        pairs = [pair async for pair in run_pairs(served.client, 2, 12)]
    assert [pair.prompt.prompt_class for pair in pairs] == [*PROMPT_CLASSES, *PROMPT_CLASSES]
    assert all(pair.same for pair in pairs)
    assert all(pair.plain.speculation.num_spec_steps == 0 for pair in pairs)
    rows = summarise(pairs)
    assert [row.prompt_class for row in rows] == list(PROMPT_CLASSES)
    assert {(row.draft_model, row.gamma, row.acceptance_length) for row in rows} == {("draft", 2, 3.0)}
    assert all(row.tokens_per_second > 0 < row.speedup for row in rows)

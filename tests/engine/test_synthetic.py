"""Made-up acceptance follows its rates, ends as it should, and says what it is."""

import pytest

from specsched.engine.load import load_engine
from specsched.engine.settings import EngineSettings
from specsched.pool.manifest import load_pool
from tests.helpers.pools import save_pool
from tests.helpers.tiny import ScriptedController, always, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network()
DRAFT = perturbed(TARGET, 3.0)


def test_acceptance_follows_the_rates_whatever_the_draft_says():
    controller = always("d", 3)
    engine = engine_of(
        TARGET, {"d": DRAFT}, controller, settings=EngineSettings(synthetic_acceptance=(0.8, 0.5), max_rows=8)
    )
    out = run(engine, [job([i], request_id=str(i), noise_seed=i, max_tokens=120) for i in range(16)])
    assert {len(each.tokens) for each in out.values()} == {120}
    rounds = [r for of_row in controller.observed.values() for r in of_row if r.gamma == 3 and not r.censored]
    reached = [sum(r.num_accepted >= n for r in rounds) for n in range(4)]
    assert reached[1] / reached[0] == pytest.approx(0.8, abs=0.05)
    assert reached[2] / reached[1] == pytest.approx(0.5, abs=0.07)
    assert reached[3] / reached[2] == pytest.approx(0.5, abs=0.09), "positions beyond follow the last rate"
    engine.check_integrity()


def test_a_worker_whose_acceptance_is_made_up_says_so(tmp_path):
    pool = load_pool(save_pool(tmp_path))
    settings = EngineSettings(profile_seconds=0, synthetic_acceptance=(0.7,))
    info = load_engine(pool, settings, lambda _costs: ScriptedController()).describe()
    assert info.synthetic
    assert info.numerics_id.startswith("synthetic-")
    plain = load_engine(pool, EngineSettings(profile_seconds=0), lambda _costs: ScriptedController()).describe()
    assert not plain.synthetic
    assert info.numerics_id == f"synthetic-{plain.numerics_id}"

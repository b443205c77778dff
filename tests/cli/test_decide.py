"""What `specsched decide` says of the guard."""

import pytest

from specsched.cli import decide
from specsched.records import GuardBudget


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (None, "tenant (default) on worker-0 has decoded nothing there yet"),
        (2.04, "tenant (default) on worker-0 may lose 2.0 tokens against plain decoding"),
        (-1.6, "tenant (default) on worker-0 may lose nothing: it is 1.6 tokens behind plain decoding"),
    ],
)
def test_a_guard_that_is_behind_is_told_so(tokens, said):
    assert decide._told(GuardBudget("worker-0", "", tokens)) == said

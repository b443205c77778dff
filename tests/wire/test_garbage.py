import gc
from collections.abc import Iterator

import pytest

from specsched.wire.garbage import spare_what_is_loaded


@pytest.fixture
def as_before() -> Iterator[None]:
    """Hand the collector back as it was."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("as_before")
def test_full_collections_walk_only_what_came_after_loading() -> None:
    loaded = [[number] for number in range(10_000)]
    spare_what_is_loaded()

    walked = {id(each) for each in gc.get_objects()}
    assert not any(id(each) in walked for each in loaded)
    assert len(walked) < len(loaded)

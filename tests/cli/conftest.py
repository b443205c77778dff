import pytest

from tests.helpers.pools import save_pool


@pytest.fixture(scope="session")
def tiny_pool(tmp_path_factory):
    return save_pool(tmp_path_factory.mktemp("pool"))

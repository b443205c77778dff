import pytest
import structlog

from tests.helpers.pools import save_pool


@pytest.fixture(scope="session")
def tiny_pool(tmp_path_factory):
    return save_pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(autouse=True)
def logging_as_before():
    """A command sets logging up for its process, on a standard error that ends with the test."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()

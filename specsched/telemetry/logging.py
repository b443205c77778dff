"""structlog to standard error: JSON lines for machines, colours for a terminal. Prompt text never passes here."""

import logging
import sys
from typing import Any, Literal

import structlog

Format = Literal["auto", "json", "console"]


def configure_logging(level: str = "info", format: Format = "auto", **bound: Any) -> None:  # noqa: A002 - the config's name
    """Set up logging for this process.

    Args:
        level: Least severe level that is written.
        format: auto takes the console renderer on a terminal and JSON elsewhere.
        bound: Fields that every line of this process carries.
    """
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            lambda _logger, _method, event: {**bound, **event},  # contextvars would stay on this thread
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger; events are snake_case nouns, values are fields."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger

"""Data that every command falls back on."""

from pathlib import Path


def own_prompts() -> Path:
    """The project's own benchmark prompts."""
    import specsched.bench

    return Path(next(iter(specsched.bench.__path__))) / "prompts"

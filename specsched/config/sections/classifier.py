"""`classifier:` — prompt classification."""

from pydantic import Field

from specsched.config.sections.base import Section


class Classifier(Section):
    """Prompt classification."""

    enabled: bool = Field(default=True, description="Whether prompts are classified; off: every class equally likely.")

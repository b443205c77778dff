"""`classifier:` — prompt classification."""

from pydantic import Field

from specsched.config.sections.base import Section


class Classifier(Section):
    """Prompt classification."""

    enabled: bool = Field(default=True, description="Whether prompts are classified; off: every class equally likely.")
    online_correction: bool = Field(
        default=False,
        description="Whether class labels that callers report correct the classifier, within bounds. Corrections live "
        "in memory: a restart undoes them all. What should stay belongs into the data of `specsched classify train`.",
    )

"""Records that cross package borders. Frozen, slotted, free of imports from above.

Vocabulary (see ARCHITECTURE.md): *target*, *draft*, *proposer*, *gamma*, *round*, *accepted*, *recovered*,
*bonus*, *arm*, *plan*, *prompt class*, *hazard*, *goodput*, *acceptance length*.

Units stand in names (``_seconds``, ``_tokens``). Times are intervals of a monotonic clock, never of the wall.
"""

from specsched.records.answer import Completion, SpeculationMetrics, TextChunk, Timings, Usage
from specsched.records.caller import ANYBODY, MAX_PRIORITY, Caller, Credential, Quota, Role
from specsched.records.decision import (
    NO_DRAFT,
    ArmScore,
    Beta,
    Candidate,
    ClassProbabilities,
    Decision,
    GuardBudget,
    Plan,
)
from specsched.records.job import DraftSwitches, Job
from specsched.records.logged import AcceptanceRecord, CapturedCompletion, DecisionRecord
from specsched.records.request import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    ChatMessage,
    ChatPrompt,
    Output,
    Prompt,
    Request,
    Sampling,
    SpeculationHint,
    Stopping,
    TextPrompt,
    TokenPrompt,
)
from specsched.records.round import Chunk, Counterfactual, FinishReason, RoundRecord, TokenLogprob
from specsched.records.worker import SYNTHETIC_PREFIX, CostGrid, CostPoint, DraftCost, ModelInfo, WorkerInfo, WorkerLoad

__all__ = [
    "ANYBODY",
    "DEFAULT_MAX_TOKENS",
    "DEFAULT_TEMPERATURE",
    "MAX_PRIORITY",
    "NO_DRAFT",
    "SYNTHETIC_PREFIX",
    "AcceptanceRecord",
    "ArmScore",
    "Beta",
    "Caller",
    "Candidate",
    "CapturedCompletion",
    "ChatMessage",
    "ChatPrompt",
    "Chunk",
    "ClassProbabilities",
    "Completion",
    "CostGrid",
    "CostPoint",
    "Counterfactual",
    "Credential",
    "Decision",
    "DecisionRecord",
    "DraftCost",
    "DraftSwitches",
    "FinishReason",
    "GuardBudget",
    "Job",
    "ModelInfo",
    "Output",
    "Plan",
    "Prompt",
    "Quota",
    "Request",
    "Role",
    "RoundRecord",
    "Sampling",
    "SpeculationHint",
    "SpeculationMetrics",
    "Stopping",
    "TextChunk",
    "TextPrompt",
    "Timings",
    "TokenLogprob",
    "TokenPrompt",
    "Usage",
    "WorkerInfo",
    "WorkerLoad",
]

"""What workers say of themselves."""

from dataclasses import replace

from specsched.records import CostGrid, CostPoint, DraftCost, ModelInfo, WorkerInfo, WorkerLoad
from specsched.v1 import common_pb2, worker_pb2


def describe_to_proto(info: WorkerInfo, load: WorkerLoad) -> worker_pb2.DescribeResponse:
    """Convert what a worker says of itself."""
    return worker_pb2.DescribeResponse(
        worker_id=info.worker_id,
        target=model_to_proto(info.target),
        drafts=[model_to_proto(draft) for draft in info.drafts],
        vocab_size=info.vocab_size,
        max_context_tokens=info.max_context_tokens,
        max_rows=info.max_rows,
        kv_capacity_tokens=info.kv_capacity_tokens,
        eos_token_ids=info.eos_token_ids,
        numerics_id=info.numerics_id,
        costs=grid_to_proto(info.costs),
        load=load_to_proto(load),
        guard_budget_tokens=load.guard_budgets,
    )


def info_from_proto(message: worker_pb2.DescribeResponse) -> WorkerInfo:
    """Convert it back."""
    return WorkerInfo(
        worker_id=message.worker_id,
        target=model_from_proto(message.target),
        drafts=tuple(model_from_proto(draft) for draft in message.drafts),
        vocab_size=message.vocab_size,
        max_context_tokens=message.max_context_tokens,
        max_rows=message.max_rows,
        kv_capacity_tokens=message.kv_capacity_tokens,
        eos_token_ids=tuple(message.eos_token_ids),
        numerics_id=message.numerics_id,
        costs=grid_from_proto(message.costs),
    )


def reported_from_proto(message: worker_pb2.DescribeResponse) -> WorkerLoad:
    """Convert what a worker says of its load, with what callers are not told."""
    return replace(load_from_proto(message.load), guard_budgets=dict(message.guard_budget_tokens))


def model_to_proto(model: ModelInfo) -> common_pb2.ModelInfo:
    """Convert a model's description."""
    return common_pb2.ModelInfo(
        id=model.id,
        kind=model.kind,
        parameters=model.parameters,
        memory_bytes=model.memory_bytes,
        dtype=model.dtype,
        quantization=model.quantization,
        version=model.version,
        state=model.state,
        residency=model.residency,
    )


def load_to_proto(load: WorkerLoad) -> common_pb2.WorkerLoad:
    """Convert a worker's load."""
    return common_pb2.WorkerLoad(
        worker_id=load.worker_id,
        running_rows=load.running_rows,
        waiting_rows=load.waiting_rows,
        outstanding_tokens=load.outstanding_tokens,
        kv_used_tokens=load.kv_used_tokens,
        kv_capacity_tokens=load.kv_capacity_tokens,
        kv_cached_tokens=load.kv_cached_tokens,
        guard_budget_tokens=load.guard_budget_tokens,
        guard_vetoes=load.guard_vetoes,
        profile_wanted=load.profile_wanted,
    )


def load_from_proto(message: common_pb2.WorkerLoad) -> WorkerLoad:
    """Convert it back. A worker of an older version says nothing: zeros."""
    return WorkerLoad(
        worker_id=message.worker_id,
        running_rows=message.running_rows,
        waiting_rows=message.waiting_rows,
        outstanding_tokens=message.outstanding_tokens,
        kv_used_tokens=message.kv_used_tokens,
        kv_capacity_tokens=message.kv_capacity_tokens,
        kv_cached_tokens=message.kv_cached_tokens,
        guard_budget_tokens=message.guard_budget_tokens,
        guard_vetoes=message.guard_vetoes,
        profile_wanted=message.profile_wanted,
    )


def model_from_proto(message: common_pb2.ModelInfo) -> ModelInfo:
    """Convert it back."""
    return ModelInfo(
        id=message.id,
        kind=message.kind,
        parameters=message.parameters,
        memory_bytes=message.memory_bytes,
        dtype=message.dtype,
        quantization=message.quantization,
        version=message.version,
        state=message.state,
        residency=message.residency or "resident",
    )


def grid_to_proto(grid: CostGrid) -> worker_pb2.CostGrid:
    """Convert what rounds cost."""
    return worker_pb2.CostGrid(
        version=grid.version,
        verify=[_point_to_proto(point) for point in grid.verify],
        drafts=[
            worker_pb2.DraftCost(
                draft_model=draft.draft_model,
                overhead_seconds=draft.overhead_seconds,
                steps=[_point_to_proto(point) for point in draft.steps],
                prefill_seconds_per_token=draft.prefill_seconds_per_token,
            )
            for draft in grid.drafts
        ],
    )


def grid_from_proto(message: worker_pb2.CostGrid) -> CostGrid:
    """Convert it back."""
    return CostGrid(
        version=message.version,
        verify=tuple(_point_from_proto(point) for point in message.verify),
        drafts=tuple(
            DraftCost(
                draft_model=draft.draft_model,
                overhead_seconds=draft.overhead_seconds,
                steps=tuple(_point_from_proto(point) for point in draft.steps),
                prefill_seconds_per_token=draft.prefill_seconds_per_token,
            )
            for draft in message.drafts
        ),
    )


def _point_to_proto(point: CostPoint) -> worker_pb2.CostPoint:
    return worker_pb2.CostPoint(positions=point.positions, context_tokens=point.context_tokens, seconds=point.seconds)


def _point_from_proto(message: worker_pb2.CostPoint) -> CostPoint:
    return CostPoint(message.positions, message.context_tokens, message.seconds)

"""GenerateRequest and DecideRequest → Request.

Here the contract alone is checked; what depends on the pool (vocabulary, context, drafts) is the scheduler's.
"""

import uuid
from collections.abc import Sequence

from specsched.errors import InvalidRequest, PermissionDenied
from specsched.records import ANYBODY, Caller, Request
from specsched.v1 import scheduler_pb2
from specsched.wire.fields import AnyRequest, hint_of, output_of, prompt_of, stopping_of
from specsched.wire.sampling import sampling_from_proto
from specsched.wire.validation import violations


def request_from_proto(
    message: AnyRequest,
    prompt_classes: Sequence[str],
    deadline_seconds: float | None = None,
    caller: Caller = ANYBODY,
) -> Request:
    """Convert a call into a record.

    Args:
        message: The call.
        prompt_classes: Classes that a caller may name.
        deadline_seconds: Time that the caller leaves, None without a deadline.
        caller: Who calls: its tenants are those that the call may choose among, its priority bounds the call's.

    Raises:
        PermissionDenied: the call names a tenant that is not the caller's.
        InvalidRequest: every violation, by its field's path.
    """
    tenant = caller.tenant(message.tenant)
    if tenant is None:
        raise PermissionDenied
    found = list(violations(message, prompt_classes))
    if found:
        raise InvalidRequest(found)
    generate = message if isinstance(message, scheduler_pb2.GenerateRequest) else scheduler_pb2.GenerateRequest()
    return Request(
        request_id=message.request_id or uuid.uuid4().hex,
        prompt=prompt_of(message),
        sampling=sampling_from_proto(message.sampling),
        stopping=stopping_of(message),
        output=output_of(generate),
        speculation=hint_of(message.speculation),
        prompt_class=message.prompt_class or None,
        tenant=tenant,
        priority=min(generate.priority, caller.max_priority),
        deadline_seconds=deadline_seconds,
        caller=caller,
    )

"""An asyncio client of the operators' port: records in, records out, errors of `specsched.errors`."""

from dataclasses import dataclass
from typing import Any, Self

import grpc

from specsched.client.channel import NOBODY, Access
from specsched.config.changes import Change, ConfigVersion
from specsched.policy.table import ArmCell
from specsched.records import ModelInfo
from specsched.v1 import admin_pb2, admin_pb2_grpc
from specsched.wire.admin import STATES, cell_from_proto, change_from_proto, version_from_proto
from specsched.wire.status import error_of
from specsched.wire.worker import model_from_proto


@dataclass(frozen=True, slots=True)
class ConfigView:
    """The configuration in force."""

    yaml: str
    """Secrets left out."""
    config_sha: str
    history: tuple[ConfigVersion, ...]
    """The last ones that were in force, the present one first."""


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """What the policy knows."""

    policy: str
    policy_version: str
    cells: tuple[ArmCell, ...]


@dataclass(frozen=True, slots=True)
class ClassifierRollback:
    """What became of corrections of the classifier."""

    rolled_back: bool
    """Whether there was one."""
    version: str
    """In force now; empty where labels correct none."""


@dataclass(frozen=True, slots=True)
class DraftList:
    """The drafts, each with its state and residency."""

    drafts: tuple[ModelInfo, ...]
    speculation_enabled: bool


class AdminClient:
    """Calls the operators' port of one service. Use as an async context manager.

    Every method raises what the server raised: `InvalidRequest` with every violation, `Unavailable`,
    `Unauthenticated`, `PermissionDenied`, or `CallFailed`.
    """

    def __init__(self, address: str, *, access: Access = NOBODY, timeout_seconds: float = 30.0) -> None:
        """Name a port: host:port or unix:PATH. Nothing is sent yet.

        Args:
            address: The operators' port.
            access: Credentials.
            timeout_seconds: Of every call but `load_draft`, which takes as long as loading does.
        """
        self.address = address
        self._access = access
        self._timeout = timeout_seconds
        self._channel = access.aio_channel(address)
        self._stub: Any = admin_pb2_grpc.AdminServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the channel."""
        await self._channel.close()

    async def config(self) -> ConfigView:
        """Return the configuration in force, and those before it."""
        answer = await self._call(self._stub.GetConfig, admin_pb2.GetConfigRequest())
        return ConfigView(answer.yaml, answer.config_sha, tuple(map(version_from_proto, answer.history)))

    async def reload_config(self, yaml: str | None = None, *, validate_only: bool = False) -> tuple[Change, ...]:
        """Have the service's file read again, or a text taken in its place; returns what changed, or would."""
        request = admin_pb2.ReloadConfigRequest(yaml=yaml, validate_only=validate_only)
        return tuple(map(change_from_proto, (await self._call(self._stub.ReloadConfig, request)).changes))

    async def rollback_config(self, config_sha: str | None = None) -> tuple[Change, ...]:
        """Go back to a configuration that was in force, the one before when none is named."""
        request = admin_pb2.RollbackConfigRequest(config_sha=config_sha)
        return tuple(map(change_from_proto, (await self._call(self._stub.RollbackConfig, request)).changes))

    async def set_speculation(self, *, enabled: bool) -> None:
        """Switch speculation off for all at the next round, or on again."""
        await self._call(self._stub.SetSpeculation, admin_pb2.SetSpeculationRequest(enabled=enabled))

    async def policy(self) -> PolicyTable:
        """Return the table of arms."""
        answer = await self._call(self._stub.GetPolicy, admin_pb2.GetPolicyRequest())
        return PolicyTable(answer.policy, answer.policy_version, tuple(map(cell_from_proto, answer.cells)))

    async def reset_policy(self, *, prompt_class: str | None = None, draft_model: str | None = None) -> int:
        """Forget what is known of a class, a draft, or both; returns how many cells that was."""
        request = admin_pb2.ResetPolicyRequest(prompt_class=prompt_class, draft_model=draft_model)
        return int((await self._call(self._stub.ResetPolicy, request)).cells)

    async def export_policy(self) -> str:
        """Return all evidence, as JSON."""
        return str((await self._call(self._stub.ExportPolicy, admin_pb2.ExportPolicyRequest())).json)

    async def import_policy(self, json: str, *, replace: bool = False) -> int:
        """Take evidence up, beside what is known or in its place; returns the number of cells."""
        request = admin_pb2.ImportPolicyRequest(json=json, replace=replace)
        return int((await self._call(self._stub.ImportPolicy, request)).cells)

    async def drafts(self) -> DraftList:
        """Return the drafts."""
        answer = await self._call(self._stub.ListDrafts, admin_pb2.ListDraftsRequest())
        return DraftList(tuple(map(model_from_proto, answer.drafts)), answer.speculation_enabled)

    async def set_draft_state(self, draft_model: str, state: str) -> None:
        """Make a draft active, draining or disabled, on every worker."""
        number = STATES.get(state, admin_pb2.DRAFT_STATE_UNSPECIFIED)
        await self._call(
            self._stub.SetDraftState, admin_pb2.SetDraftStateRequest(draft_model=draft_model, state=number)
        )

    async def load_draft(self, draft_model: str) -> None:
        """Have every worker load a draft of its manifest."""
        request = admin_pb2.LoadDraftRequest(draft_model=draft_model)
        await self._call(self._stub.LoadDraft, request, timeout_seconds=None)

    async def unload_draft(self, draft_model: str) -> None:
        """Have every worker free a draft's memory."""
        await self._call(self._stub.UnloadDraft, admin_pb2.UnloadDraftRequest(draft_model=draft_model))

    async def rollback_classifier(self, *, everything: bool = False) -> ClassifierRollback:
        """Take the last correction that callers' labels brought about back, or all of them."""
        request = admin_pb2.RollbackClassifierRequest(all=everything)
        answer = await self._call(self._stub.RollbackClassifier, request)
        return ClassifierRollback(answer.rolled_back, answer.version)

    async def _call(self, method: Any, request: Any, timeout_seconds: float | None = 0.0) -> Any:
        """Make a call; 0 seconds stand for the client's own."""
        timeout = self._timeout if timeout_seconds == 0.0 else timeout_seconds
        try:
            return await method(request, timeout=timeout, metadata=self._access.metadata)
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error

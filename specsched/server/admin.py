"""AdminService: the wire on one side, configuration and scheduler on the other."""

import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from specsched.config.changes import ConfigVersion, as_yaml_lines, shown
from specsched.config.reload import Reloader
from specsched.errors import ConfigError, InvalidRequest, Violation
from specsched.policy.exchange import cells_from_json, cells_to_json
from specsched.scheduler.board import DraftState
from specsched.scheduler.control import Control
from specsched.v1 import admin_pb2
from specsched.wire.admin import cell_to_proto, change_to_proto, given, state_name, version_to_proto
from specsched.wire.rpc import Context
from specsched.wire.worker import model_to_proto

T = TypeVar("T")


class AdminServicer:
    """Answers operators. Methods raise; `wire.rpc` turns what they raise into status."""

    def __init__(self, reloader: Reloader, control: Control, clock: Callable[[], float] = time.monotonic) -> None:
        self._reloader = reloader
        self._control = control
        self._clock = clock

    async def GetConfig(  # noqa: N802 - the RPC's name
        self, _message: admin_pb2.GetConfigRequest, _context: Context
    ) -> admin_pb2.GetConfigResponse:
        """Show the configuration in force and those before it."""
        now, config = self._clock(), self._reloader.config
        history = [ConfigVersion(k.config.sha, k.origin.value, now - k.since) for k in self._reloader.history]
        return admin_pb2.GetConfigResponse(
            yaml=as_yaml_lines(shown(config)), config_sha=config.sha, history=[version_to_proto(v) for v in history]
        )

    async def ReloadConfig(  # noqa: N802
        self, message: admin_pb2.ReloadConfigRequest, _context: Context
    ) -> admin_pb2.ReloadConfigResponse:
        """Take a new configuration, or only check it."""
        reload = self._reloader.reload(given(message, "yaml"), validate_only=message.validate_only)
        changes = await _blamed("yaml", reload)
        sha = self._reloader.config.sha
        return admin_pb2.ReloadConfigResponse(changes=map(change_to_proto, changes), config_sha=sha)

    async def RollbackConfig(  # noqa: N802
        self, message: admin_pb2.RollbackConfigRequest, _context: Context
    ) -> admin_pb2.RollbackConfigResponse:
        """Go back."""
        changes = await _blamed("config_sha", self._reloader.rollback(given(message, "config_sha")))
        sha = self._reloader.config.sha
        return admin_pb2.RollbackConfigResponse(changes=map(change_to_proto, changes), config_sha=sha)

    async def SetSpeculation(  # noqa: N802
        self, message: admin_pb2.SetSpeculationRequest, _context: Context
    ) -> admin_pb2.SetSpeculationResponse:
        """Turn the switch above all drafts."""
        await self._control.set_speculation(enabled=message.enabled)
        return admin_pb2.SetSpeculationResponse()

    async def GetPolicy(  # noqa: N802
        self, _message: admin_pb2.GetPolicyRequest, _context: Context
    ) -> admin_pb2.GetPolicyResponse:
        """Show the table of arms."""
        view = await self._control.policy()
        return admin_pb2.GetPolicyResponse(
            policy=view.policy, policy_version=view.version, cells=map(cell_to_proto, view.rows)
        )

    async def ResetPolicy(  # noqa: N802
        self, message: admin_pb2.ResetPolicyRequest, _context: Context
    ) -> admin_pb2.ResetPolicyResponse:
        """Forget."""
        cells = self._control.forget(given(message, "prompt_class"), given(message, "draft_model"))
        return admin_pb2.ResetPolicyResponse(cells=cells)

    async def ExportPolicy(  # noqa: N802
        self, _message: admin_pb2.ExportPolicyRequest, _context: Context
    ) -> admin_pb2.ExportPolicyResponse:
        """Give all evidence."""
        return admin_pb2.ExportPolicyResponse(json=cells_to_json(self._control.learnt()))

    async def ImportPolicy(  # noqa: N802
        self, message: admin_pb2.ImportPolicyRequest, _context: Context
    ) -> admin_pb2.ImportPolicyResponse:
        """Take evidence up."""
        try:
            cells = cells_from_json(message.json)
        except ValueError as error:
            raise InvalidRequest([Violation("json", str(error))]) from error
        self._control.learn(cells, replace_all=message.replace)
        return admin_pb2.ImportPolicyResponse(cells=len(cells))

    async def ListDrafts(  # noqa: N802
        self, _message: admin_pb2.ListDraftsRequest, _context: Context
    ) -> admin_pb2.ListDraftsResponse:
        """Show the drafts."""
        drafts = map(model_to_proto, self._control.drafts())
        return admin_pb2.ListDraftsResponse(drafts=drafts, speculation_enabled=self._control.speculation)

    async def SetDraftState(  # noqa: N802
        self, message: admin_pb2.SetDraftStateRequest, _context: Context
    ) -> admin_pb2.SetDraftStateResponse:
        """Let a draft be used, or not."""
        state = state_name(message.state)
        await self._control.set_draft_state(message.draft_model, DraftState(state) if state else None)
        return admin_pb2.SetDraftStateResponse()

    async def LoadDraft(  # noqa: N802
        self, message: admin_pb2.LoadDraftRequest, _context: Context
    ) -> admin_pb2.LoadDraftResponse:
        """Load a draft into the workers."""
        await self._control.load_draft(message.draft_model)
        return admin_pb2.LoadDraftResponse()

    async def UnloadDraft(  # noqa: N802
        self, message: admin_pb2.UnloadDraftRequest, _context: Context
    ) -> admin_pb2.UnloadDraftResponse:
        """Free a draft's memory in the workers."""
        await self._control.unload_draft(message.draft_model)
        return admin_pb2.UnloadDraftResponse()

    async def RollbackClassifier(  # noqa: N802
        self, message: admin_pb2.RollbackClassifierRequest, _context: Context
    ) -> admin_pb2.RollbackClassifierResponse:
        """Take corrections back."""
        feedback = self._control.feedback
        rolled_back = feedback.roll_back(everything=message.all)
        return admin_pb2.RollbackClassifierResponse(rolled_back=rolled_back, version=feedback.version)


async def _blamed(field: str, work: Coroutine[Any, Any, T]) -> T:
    """A bad configuration that comes with a call is the caller's to mend."""
    try:
        return await work
    except ConfigError as error:
        raise InvalidRequest(error.violations or [Violation(field, str(error))], str(error)) from error

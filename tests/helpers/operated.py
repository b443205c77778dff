"""A scripted service with an operators' port, wired as `serve` wires it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from specsched.cli.reloading import live_parts
from specsched.cli.wiring import make_snapshot
from specsched.client.admin import AdminClient
from specsched.config.load import Source
from specsched.config.reload import Reloader, ReloadObserver
from specsched.pool.manifest import ModelSpec, Pool
from specsched.scheduler.control import Control
from specsched.scheduler.scheduler import Scheduler
from specsched.server.admin import AdminServicer
from specsched.server.process import ADMIN
from specsched.wire.serving import GrpcServer
from tests.helpers.service import Served, scripted_service

POOL = Pool(
    manifest=Path("pool.yaml"),
    target=ModelSpec("target", "model", Path("target")),
    drafts=(ModelSpec("draft", "model", Path("draft")), ModelSpec("ngram", "ngram", None)),
    classifier=None,
)
CONFIG = "policy: {kind: fixed, draft_model: draft, gamma: 2}\n"


@dataclass
class Operated:
    """The service, its operators' port and its file."""

    served: Served
    admin: AdminClient
    file: Path
    reloader: Reloader
    told: list = field(default_factory=list)


def operated(
    scheduler: Scheduler, file: Path, config: str = CONFIG, observe: ReloadObserver = lambda _result, _sha: None
) -> tuple[AdminServicer, Reloader]:
    """What operators reach a scheduler by, which begins with this configuration."""
    file.write_text(config)
    source = Source(file, {}, {})
    settings = source.read()
    scheduler.steering.adopt(make_snapshot(settings, POOL, scheduler.known_classes))
    reloader = Reloader(source, settings, live_parts(scheduler, POOL, settings), observe)
    return AdminServicer(reloader, Control(scheduler, [draft.id for draft in POOL.drafts])), reloader


@asynccontextmanager
async def operated_service(folder: Path, **fields) -> AsyncIterator[Operated]:
    """Start everything; it serves once entered."""
    file, told, made = folder / "specsched.yaml", [], []

    def operators(scheduler):
        admin, reloader = operated(scheduler, file, observe=lambda result, _sha: told.append(result))
        made.append(reloader)
        server = GrpcServer(f"unix:{folder}/a.sock", max_message_bytes=2**20)
        server.add(ADMIN, admin)
        return [server]

    async with (
        scripted_service(folder, beside=operators, **fields) as served,
        AdminClient(f"unix:{folder}/a.sock") as admin,
    ):
        yield Operated(served, admin, file, made[0], told)

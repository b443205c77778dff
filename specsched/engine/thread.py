"""The engine's thread: it alone touches the engine; everybody else sends it commands."""

import asyncio
import itertools
import queue
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from specsched.engine.base import EngineCore
from specsched.engine.mailbag import Mailbag
from specsched.engine.outbox import Outbox
from specsched.errors import Unavailable, WorkerLost
from specsched.records import Chunk, Job, WorkerInfo, WorkerLoad

T = TypeVar("T")
Command = Callable[[EngineCore], None]


class EngineThread:
    """Steps an engine while there is work, sleeps on its commands while there is none."""

    def __init__(self, make_engine: Callable[[], EngineCore]) -> None:
        """Take what makes the engine; it is called on the thread, so models load off the event loop."""
        self._make_engine = make_engine
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._loaded: Future[WorkerInfo] = Future()
        self._ended: Future[None] = Future()
        self._outboxes: dict[str, Outbox] = {}
        self._asked: set[Future[Any]] = set()
        self._numbers = itertools.count()
        self._empty = asyncio.Event()
        self._stopping = False
        self._draining = False

    async def start(self) -> WorkerInfo:
        """Start the thread and wait until the models are loaded; raises what loading raised."""
        self._bag = Mailbag[Chunk | Exception](asyncio.get_running_loop())
        self._thread.start()
        return await asyncio.wrap_future(self._loaded)

    @property
    def info(self) -> WorkerInfo:
        """What the engine said of itself when it was loaded; raises Unavailable before."""
        if not self._loaded.done() or self._loaded.exception() is not None:
            raise Unavailable("the models are not loaded", retry_after_seconds=1.0)
        return self._loaded.result()

    async def ended(self) -> None:
        """Wait until the thread has ended; raises what ended it, if that was an error."""
        await asyncio.shield(asyncio.wrap_future(self._ended))

    async def stop(self) -> None:
        """End the thread after the step that is under way; loading is not waited for."""
        self._stopping = True
        self._post(lambda _engine: None)
        if self._loaded.done() and self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def drain(self) -> None:
        """Refuse new jobs; return when no row is left."""
        self._draining = True
        if self._outboxes:
            await self._empty.wait()

    async def set_draft_state(self, draft_model: str, *, active: bool) -> None:
        """Use, or stop using, a draft from the next round on."""
        await self._ask(lambda engine: engine.set_draft_state(draft_model, active=active))

    async def describe(self) -> WorkerInfo:
        """Ask the engine what it says of itself now."""
        return await self._ask(lambda engine: engine.describe())

    async def load(self) -> WorkerLoad:
        """Ask the engine how busy it is now."""
        return await self._ask(lambda engine: engine.load())

    async def load_draft(self, draft_model: str) -> WorkerInfo:
        """Load a draft beside the running rows; return when rounds may use it.

        Raises:
            InvalidRequest: the manifest has no such draft.
            PoolError: it cannot be loaded.
        """
        loading = await self._ask(lambda engine: engine.load_draft(draft_model))
        await asyncio.shield(asyncio.wrap_future(loading))
        return await self.describe()

    async def unload_draft(self, draft_model: str) -> WorkerInfo:
        """Free a draft's memory before the next round; raises InvalidRequest."""
        await self._ask(lambda engine: engine.unload_draft(draft_model))
        return await self.describe()

    async def profile(self) -> bool:
        """Have the engine measure its costs anew; it gives way to the first job. Returns whether it did."""
        return await self._ask(lambda engine: engine.profile(lambda: bool(self._outboxes) or self._stopping))

    async def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Run a job; closing the generator early cancels its row before the next round.

        Raises:
            InvalidRequest: refused by the engine.
            Unavailable: draining.
            JobFailed: the engine gave this row up.
            WorkerLost: the engine died.
        """
        if self._draining:
            raise Unavailable(f"{self.info.worker_id} is draining", retry_after_seconds=1.0)
        name = f"{job.request_id}#{next(self._numbers)}"  # a call that was just cancelled may still have its row
        outbox = Outbox(
            self._bag,
            pause=lambda: self._post(lambda engine: engine.pause(name)),
            resume=lambda: self._post(lambda engine: engine.resume(name)),
        )
        self._outboxes[name] = outbox
        self._empty.clear()
        try:  # from before the submit: whoever leaves while it waits for the step under way leaves no row behind
            await self._ask(lambda engine: engine.submit(replace(job, request_id=name), outbox.put))
            async for chunk in outbox.chunks():
                yield chunk
        finally:
            del self._outboxes[name]
            if not self._outboxes:
                self._empty.set()
            self._post(lambda engine: engine.cancel(name))

    # ------------------------------------------------------------------------------------------- on the thread

    def _run(self) -> None:
        try:
            engine = self._make_engine()
            self._loaded.set_result(engine.describe())
            self._serve(engine)
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            self._fail(error)
        else:
            self._ended.set_result(None)
        for answer in list(self._asked):
            answer.set_exception(WorkerLost("the engine has ended"))

    def _serve(self, engine: EngineCore) -> None:
        busy = False
        with engine.computing():
            while not self._stopping:
                self._obey(engine, wait=not busy)
                busy = engine.step()

    def _obey(self, engine: EngineCore, *, wait: bool) -> None:
        """Run the commands that are there; with `wait`, sleep until there is one."""
        try:
            while True:
                self._commands.get(block=wait)(engine)
                wait = False
        except queue.Empty:
            return

    def _fail(self, error: Exception) -> None:
        if not self._loaded.done():
            self._loaded.set_exception(error)
        for outbox in list(self._outboxes.values()):
            outbox.put(WorkerLost(f"the engine died: {type(error).__name__}"))
        self._ended.set_exception(error)

    # --------------------------------------------------------------------------------------- on other threads

    def _post(self, command: Command) -> None:
        self._commands.put(command)

    async def _ask(self, question: Callable[[EngineCore], T]) -> T:
        """Run something on the engine's thread and wait for what it returns or raises."""
        answer: Future[T] = Future()
        self._asked.add(answer)
        answer.add_done_callback(self._asked.discard)

        def command(engine: EngineCore) -> None:
            try:
                answer.set_result(question(engine))
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                answer.set_exception(error)

        self._post(command)
        if self._ended.done():
            raise WorkerLost("the engine has ended")
        return await asyncio.shield(asyncio.wrap_future(answer))

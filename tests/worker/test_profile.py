"""A worker measures its costs anew when it is asked to, and the scheduler goes by them."""

import os
from contextlib import aclosing

import pytest

from specsched.dispatch.grpc import GrpcDispatcher
from specsched.errors import Unavailable
from specsched.records import Job, Plan, Sampling
from specsched.worker.launcher import Launcher
from tests.helpers.service import ROOT, scripted_command


async def test_costs_are_measured_anew_between_jobs_and_not_beside_them():
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    async with (
        Launcher(1, scripted_command(0.01), env) as launcher,
        GrpcDispatcher().connect(launcher.addresses) as dispatcher,
    ):
        await dispatcher.ready()
        worker = dispatcher.workers()[0].worker_id
        before = dispatcher.workers()[0].costs.version
        job = Job("r", (20, 21), Sampling(temperature=0.0), Plan(), 0, max_tokens=500)
        async with aclosing(dispatcher.execute(job)) as chunks:
            await anext(chunks)
            assert not await dispatcher.profile(worker)
            assert dispatcher.workers()[0].costs.version == before
        while not await dispatcher.profile(worker):  # until the row that was left is gone
            pass
        assert dispatcher.workers()[0].costs.version == before + 1
        with pytest.raises(Unavailable):
            await dispatcher.profile("nobody")

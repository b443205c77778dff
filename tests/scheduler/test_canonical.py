"""The one line that a request leaves in the log."""

from contextlib import aclosing
from dataclasses import replace

from structlog.testing import capture_logs

from specsched.dispatch.fake import FakeDispatcher
from specsched.records import Chunk, FinishReason, RoundRecord, TextPrompt
from tests.helpers.service import ask, scheduler_over

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_a_request_leaves_one_line_with_tenant_trace_and_worker_and_never_its_text():
    def script(_job):
        yield Chunk((9, 9, 9), (), RoundRecord("draft", 2, 2, 1, 0.1, 0.2), FinishReason.LENGTH, worker_id="worker-1")

    request = replace(
        ask("r", tenant="acme"), prompt=TextPrompt("secret"), trace_parent=f"00-{TRACE}-b7ad6b7169203331-01"
    )
    with capture_logs() as logs:
        async with aclosing(scheduler_over(FakeDispatcher(script)).generate(request)) as answers:
            assert [answer async for answer in answers]
    (line,) = logs
    assert line["event"] == "request_complete"
    assert (line["request_id"], line["tenant"], line["trace_id"], line["worker"]) == ("r", "acme", TRACE, "worker-1")
    assert (line["draft_model"], line["gamma"], line["finish_reason"]) == ("draft", 2, "length")
    assert "secret" not in str(logs)

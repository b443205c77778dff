"""Text that tenants agreed to have kept: theirs alone, redacted, private, and gone in time."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.config.load import load_config
from specsched.errors import ConfigError
from specsched.records import CapturedCompletion
from specsched.telemetry.capture.consent import Consent
from specsched.telemetry.capture.redaction import Redactor
from specsched.telemetry.capture.writer import CaptureWriter
from specsched.telemetry.sinks.fake import FakeSink

HOUR = 3600.0


def captured(tenant="acme", prompt="hello", completion="you"):
    return CapturedCompletion(tenant, prompt, completion, "chat", "small", 0.75)


def lines(folder):
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to jane.doe+x@mail.example.co.uk now", "write to [email] now"),
        ("call +49 (30) 1234-5678 or 030/1234567", "call [phone] or [phone]"),
        ("card 4111 1111 1111 1111 ok", "card [card] ok"),
        ("key sk-proj_abcdefghijklmnop and AKIAIOSFODNN7EXAMPLE", "key [token] and [token]"),
        ("jwt eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSM", "jwt [token]"),
        ("hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "hash [token]"),
        ("case ABC-123 closed", "case [redacted] closed"),
        ("in 2024, 3.14159 and 1,000,000 of x[12:34]", "in 2024, 3.14159 and 1,000,000 of x[12:34]"),
        ("def internationalization_of_everything(): pass", "def internationalization_of_everything(): pass"),
    ],
)
def test_what_looks_personal_or_secret_is_taken_out(text, left):
    assert Redactor([r"ABC-\d+"]).redact(text) == left


@given(st.emails(domains=st.sampled_from(["example.org", "mail.example.co.uk"])))
def test_common_addresses_leave_no_domain(address):
    assert "@" not in Redactor().redact(f"to {address}")


def test_only_those_who_agreed_are_kept():
    sink = FakeSink[CapturedCompletion]()
    consent = Consent(["acme", "default"], sink)
    for tenant in ("acme", "other", "", "default"):
        consent.put(captured(tenant))
    assert [item.tenant for item in sink.items] == ["acme", "", "default"]


def test_lines_are_redacted_and_private(tmp_path):
    folder = tmp_path / "capture"
    writer = CaptureWriter(folder, Redactor(), HOUR)
    writer.write([captured(prompt="I am a@b.example", completion="hi a@b.example")])
    writer.close()
    assert lines(folder) == [
        {
            "prompt": "I am [email]",
            "completion": "hi [email]",
            "prompt_class": "chat",
            "draft": "small",
            "acceptance": 0.75,
            "tenant": "acme",
        }
    ]
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_no_text_lives_longer_than_its_time(tmp_path):
    now, written = [1_000_000.0], {}
    writer = CaptureWriter(tmp_path, Redactor(), HOUR, wall_clock=lambda: now[0])
    for number in range(200):
        now[0] += 60.0
        written[str(number)] = now[0]
        writer.write([captured(prompt=f"n{number}")])
        for path in tmp_path.iterdir():
            if path.stat().st_mtime > 2_000_000:  # written just now, by the machine's clock
                os.utime(path, (now[0], now[0]))
        writer.tend()
        ages = [now[0] - written[line["prompt"][1:]] for line in lines(tmp_path)]
        assert max(ages, default=0.0) <= HOUR
    writer.close()
    assert len(ages) > 45  # and most of it lives most of that time
    now[0] += HOUR
    CaptureWriter(tmp_path, Redactor(), HOUR, wall_clock=lambda: now[0]).tend()  # the next run cleans up after this one
    assert lines(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("telemetry: {capture: {directory: /x}}", "tenants: name those that agreed"),
        ("telemetry: {capture: {redact: ['(']}}", r"'\(' is no regular expression"),
        ("telemetry: {capture: {tenant: [a]}}", "unknown key, did you mean tenants"),
        ("telemetry: {otlp_endpoint: 'collector:4317'}", "otlp_endpoint: String should match pattern"),
    ],
)
def test_a_wrong_configuration_is_told_by_field(tmp_path, text, told):
    path = tmp_path / "specsched.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_config(path, {})


def test_nothing_is_captured_by_default():
    assert load_config(None, {}).telemetry.capture.directory is None

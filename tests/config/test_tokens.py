"""The file of tokens: what it may say, and that an error never quotes it."""

import hashlib
import json

import pytest

from specsched.config.tokens import load_credentials
from specsched.errors import ConfigError
from specsched.records import Quota, Role

SECRET = "a-token-nobody-guesses"


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "tokens.yaml"
        path.write_text(content)
        return path

    return write


def test_an_entry_says_who_may_do_what(written):
    path = written(
        f"tokens:\n- name: backend\n  token: {SECRET}\n  roles: [generate, telemetry]\n  tenants: [search, ads]\n"
        "  max_priority: 3\n  quota: {max_requests: 5, tokens_per_minute: 1000}\n"
    )
    (credential,) = load_credentials(path)
    assert credential.sha256 == hashlib.sha256(SECRET.encode()).digest()
    assert credential.caller.roles == {Role.GENERATE, Role.TELEMETRY}
    assert (credential.caller.tenants, credential.caller.max_priority) == (("search", "ads"), 3)
    assert credential.caller.quota == Quota(5, None, 1000.0)


def test_json_and_digests_will_do_and_the_name_is_the_tenant(written):
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    (credential,) = load_credentials(written(json.dumps({"tokens": [{"name": "b", "sha256": digest}]})))
    assert credential.sha256.hex() == digest
    assert (credential.caller.tenants, credential.caller.roles) == (("b",), {Role.GENERATE})


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("[{name: a, token: short}]", "tokens.0: the token has fewer than 16 characters"),
        ("[{name: a}]", "tokens.0: give either token or sha256"),
        (f"[{{name: a, token: {SECRET}, sha256: {'a' * 64}}}]", "give either token or sha256"),
        ("[{name: a, sha256: 00ff}]", "tokens.0.sha256: String should match"),
        (f"[{{name: a, token: {SECRET}, roles: [root]}}]", "tokens.0.roles.0: Input should be 'generate', 'admin'"),
        (f"[{{name: a, token: {SECRET}, roles: []}}]", "tokens.0.roles"),
        (f"[{{name: a, token: {SECRET}, tenants: ['']}}]", "tokens.0.tenants: expected names"),
        (f"[{{name: a, token: {SECRET}, max_priority: 11}}]", "tokens.0.max_priority"),
        (f"[{{name: a, token: {SECRET}, quota: {{requests: 1}}}}]", "tokens.0.quota.requests"),
        (f"[{{name: a, token: {SECRET}}}, {{name: b, token: {SECRET}}}]", "two entries have the same token"),
        (f"[{{name: a, token: {SECRET}}}, {{name: a, token: {SECRET}2}}]", "two entries have the same name"),
        (f"{SECRET}", "tokens: Input should be a valid"),
        (f"[{SECRET}", "no valid YAML"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_never_quotes_a_token(written, entries, said):
    path = written(f"tokens: {entries}\n")
    with pytest.raises(ConfigError) as caught:
        load_credentials(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "short" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_credentials(tmp_path / "none")

"""What a configuration opens, and what it refuses to open."""

import pytest
import trustme

from specsched.cli.security import security_of, worker_certificates
from specsched.config.load import load_config
from specsched.errors import ConfigError
from tests.helpers.certificates import issue

TOKENS = "tokens: [{name: a, token: a-token-nobody-guesses, roles: [admin]}]"


@pytest.fixture
def configured(tmp_path):
    issue(tmp_path, "server", trustme.CA())
    (tmp_path / "tokens.yaml").write_text(TOKENS)

    def load(text):
        (tmp_path / "specsched.yaml").write_text(text)
        return load_config(tmp_path / "specsched.yaml", {})

    return load


TLS = "tls_certificate_file: server.pem, tls_key_file: server.key"


def test_loopback_needs_nothing(configured):
    security = security_of(configured(""))
    assert (security.guard, security.certificates, security.rotations) == (None, None, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "server: {address: '0.0.0.0:0'}",
            "server.tls_key_file and server.tokens_file",
        ),
        (f"server: {{address: '0.0.0.0:0', {TLS}}}", "give server.tokens_file, or say server.insecure: true"),
        ("server: {address: '0.0.0.0:0', tokens_file: tokens.yaml}", "give server.tls_certificate_file"),
        ("admin: {address: '10.0.0.1:50072'}", "admin.address: 10.0.0.1:50072 can be reached"),
        ("server: {tokens_file: none.yaml}", "none.yaml: No such file"),
        ("server: {tls_key_file: server.key}", "belong together"),
        (f"server: {{{TLS}, tls_ca_file: server.key}}", "no certificate of an authority"),
        ("server: {tls_certificate_file: tokens.yaml, tls_key_file: server.key}", "no certificate with its key"),
    ],
)
def test_what_others_could_reach_is_refused_until_somebody_says_so(configured, text, said):
    with pytest.raises(ConfigError) as caught:
        security_of(configured(text))
    assert said in str(caught.value)


def test_with_tls_and_tokens_any_address_will_do(configured):
    security = security_of(configured(f"server: {{address: '0.0.0.0:0', tokens_file: tokens.yaml, {TLS}}}"))
    assert security.guard is not None
    assert security.certificates is not None
    assert len(security.rotations) == 2


def test_who_says_insecure_has_it(configured):
    assert security_of(configured("server: {address: '0.0.0.0:0', insecure: true}")).guard is None


def test_a_worker_that_others_reach_asks_for_certificates(configured):
    assert worker_certificates(configured(""), "unix:/tmp/w") is None
    with pytest.raises(ConfigError, match=r"workers\.tls_ca_file, or say workers\.insecure"):
        worker_certificates(configured(f"workers: {{{TLS}}}"), "0.0.0.0:50080")
    assert worker_certificates(configured("workers: {insecure: true}"), "0.0.0.0:50080") is None

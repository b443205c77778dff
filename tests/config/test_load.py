"""What an operator writes: file, environment, options, and one line for all that is wrong with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from specsched.config.load import load_config
from specsched.config.sections.policy import Kind
from specsched.config.tree import Config
from specsched.errors import ConfigError


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "specsched.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path | None, env: Mapping[str, str] | None = None, overrides: Any = None) -> str:
    with pytest.raises(ConfigError) as refused:
        load_config(path, env or {}, overrides)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_without_a_file_everything_has_its_default() -> None:
    assert load_config(None, {}) == Config()


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "server:\n", "server: {}\npolicy:\n"])
def test_what_is_left_empty_has_its_default(tmp_path: Path, text: str) -> None:
    assert load_config(write(tmp_path, text), {}) == Config()


def test_the_file_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "server:\n  address: unix:/run/s\n  drain_seconds: 1.5\nworkers: {addresses: ['a:1', 'b:2']}\n"
        "policy: {kind: fixed, draft_model: small, gamma: 3}\n",
    )
    config = load_config(path, {})
    assert (config.server.address, config.server.drain_seconds) == ("unix:/run/s", 1.5)
    assert config.workers.addresses == ("a:1", "b:2")
    assert (config.policy.kind, config.policy.draft_model, config.policy.gamma) == ("fixed", "small", 3)
    assert config.admission == Config().admission


def test_a_manifests_path_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    path = write(tmp_path, "pool: {manifest: models/pool.yaml}\n")
    assert load_config(path, {}).pool.manifest == str(tmp_path.resolve() / "models" / "pool.yaml")
    assert load_config(path, {"SPECSCHED__POOL__MANIFEST": "other.yaml"}).pool.manifest == "other.yaml"
    assert load_config(path, {}, {("pool", "manifest"): "given.yaml"}).pool.manifest == "given.yaml"
    assert load_config(write(tmp_path, "pool: {manifest: /pools/p.yaml}\n"), {}).pool.manifest == "/pools/p.yaml"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server:\n  adress: x\n", "2: server.adress: unknown key, did you mean address?"),
        ("log: {}\n\nsevrer:\n  address: x\n", "3: sevrer: unknown key, did you mean server?"),
        ("log:\n  level: loud\n", "2: log.level: Input should be 'debug', 'info', 'warning' or 'error'"),
        ("policy:\n  seed: 1\n  gamma: many\n", "3: policy.gamma: Input should be a valid integer"),
        ("policy: {gamma: 65}", "1: policy.gamma: Input should be less than or equal to 64"),
        ("server:\n  drain_seconds: -1\n", "2: server.drain_seconds: Input should be greater than or equal to 0"),
        ("server:\n  drain_seconds: .nan\n", "2: server.drain_seconds: Input should be a finite number"),
        ("server:\n  drain_seconds: .inf\n", "2: server.drain_seconds: Input should be a finite number"),
        ("policy:\n  gamma: yes\n", "2: policy.gamma: Input should not be yes or no"),
        ("policy:\n  batch_table: {1: on}\n", "2: policy.batch_table: Input should not be yes or no"),
        ("workers: {profile_seconds: off}\n", "1: workers.profile_seconds: Input should not be yes or no"),
        ("server:\n  address: 5\n", "2: server.address: Input should be a valid string"),
        ("workers:\n  addresses:\n    - a:1\n    - 2\n", "2: workers.addresses.1: Input should be a valid string"),
        ("workers:\n  addresses: a:1\n", "2: workers.addresses: Input should be a valid tuple"),
        ("log: {}\nserver: 3\n", "2: server: Input should be a valid dictionary"),
        ("server: []\n", "1: server: Input should be a valid dictionary"),
        ("server:\n  5: x\n", "2: server.5: Keys should be strings"),
    ],
)
def test_a_wrong_value_is_told_with_file_line_and_field(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    assert refusal(path).startswith(f"{path}:{told}")


def test_all_that_is_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    *kinds, last = get_args(Kind)
    path = write(tmp_path, "policy:\n  gamma: 65\n  kind: odd\nspeed: 3\nlog: {level: loud}\n")
    assert sorted(refusal(path).split("; ")) == [
        f"{path}:2: policy.gamma: Input should be less than or equal to 64",
        f"{path}:3: policy.kind: Input should be {', '.join(map(repr, kinds))} or {last!r}",
        f"{path}:4: speed: unknown key, known are {', '.join(Config.model_fields)}",
        f"{path}:5: log.level: Input should be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("server: {}\npolicy: [\n", ":3: no valid YAML"),
        ("a: b: c\n", ":1: no valid YAML"),
        ("\tserver: {}\n", ":1: no valid YAML"),
        ("--- {}\n--- {}\n", ":2: no valid YAML"),
        ("? [a]\n: 1\n", ":1: no valid YAML"),
        ("x: !!python/object/apply:os.system [true]\n", ":1: no valid YAML"),
        ("server: {address: \0}\n", ": no valid YAML"),
        ("server: {address: 2024-12-99}\n", ": no valid YAML"),
        ("policy: {seed: " + "9" * 5_000 + "}\n", ": no valid YAML"),
        ("[" * 1_500, ": no valid YAML"),
        (b"server: {address: \xff}\n", ": no UTF-8 text"),
        ("- server\n", ": expected sections such as `server:` and `policy:`"),
        ("server", ": expected sections such as `server:` and `policy:`"),
        ("5: {a: b}\n", ":1: 5: Keys should be strings"),
    ],
    ids=range(14),
)
def test_a_file_that_is_no_configuration_is_told_in_one_line(tmp_path: Path, content: str | bytes, told: str) -> None:
    path = write(tmp_path, content)
    assert refusal(path) == f"{path}{told}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == f"{tmp_path}/none.yaml: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory"


def test_the_environment_overrides_the_file_and_arguments_override_both(tmp_path: Path) -> None:
    path = write(tmp_path, "policy: {gamma: 2, max_gamma: 2, seed: 2}\n")
    env = {"SPECSCHED__POLICY__MAX_GAMMA": "3", "SPECSCHED__POLICY__SEED": "3", "PATH": "/bin"}
    policy = load_config(path, env, {("policy", "seed"): 4}).policy
    assert (policy.gamma, policy.max_gamma, policy.seed) == (2, 3, 4)


def test_the_environment_speaks_yaml() -> None:
    env = {
        "SPECSCHED__SERVER__REFLECTION": "false",
        "SPECSCHED__WORKERS__ADDRESSES": "[a:1, b:2]",
        "SPECSCHED__LOG__LEVEL": "debug",
        "SPECSCHED__SERVER__ADDRESS": "127.0.0.1:50099",
    }
    config = load_config(None, env)
    assert config.server.reflection is False
    assert config.workers.addresses == ("a:1", "b:2")
    assert (config.log.level, config.server.address) == ("debug", "127.0.0.1:50099")


def test_an_argument_that_is_not_given_leaves_file_and_environment_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "log: {level: error}\n")
    env = {"SPECSCHED__SERVER__ADDRESS": "127.0.0.1:50099"}
    config = load_config(path, env, {("log", "level"): None, ("server", "address"): None})
    assert (config.log.level, config.server.address) == ("error", "127.0.0.1:50099")


def test_an_empty_variable_is_not_given(tmp_path: Path) -> None:
    path = write(tmp_path, "log: {level: error}\n")
    assert load_config(path, {"SPECSCHED__LOG__LEVEL": ""}).log.level == "error"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SPECSCHED__POLICY__GAMMA", "65", "policy.gamma: Input should be less than or equal to 64"),
        ("SPECSCHED__POLICY__GAMA", "5", "policy.gama: unknown key, did you mean gamma?"),
        ("SPECSCHED__POLCY__GAMMA", "5", "polcy: unknown key, did you mean policy?"),
        ("SPECSCHED__POLICY__GAMMA", "[", "no valid YAML"),
        ("SPECSCHED__POLICY__GAMMA", "2024-12-99", "no valid YAML"),
        ("SPECSCHED__POLICY", "5", "expected SPECSCHED__SECTION__FIELD"),
        ("SPECSCHED__", "5", "expected SPECSCHED__SECTION__FIELD"),
    ],
)
def test_a_wrong_variable_is_named_and_no_line_of_the_file_is_blamed(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    path = write(tmp_path, "policy:\n  gamma: 5\n")
    assert refusal(path, {name: value}) == f"environment variable {name}: {told}"


def test_a_wrong_argument_is_told_by_its_field(tmp_path: Path) -> None:
    path = write(tmp_path, "policy:\n  gamma: 5\n")
    told = "policy.gamma: Input should be less than or equal to 64"
    assert refusal(path, {"SPECSCHED__POLICY__GAMMA": "66"}, {("policy", "gamma"): 65}) == told


def test_a_section_that_is_none_is_the_files_own_fault(tmp_path: Path) -> None:
    path = write(tmp_path, "policy: 5\n")
    assert refusal(path, {"SPECSCHED__POLICY__GAMMA": "5"}).startswith(f"{path}:1: policy: ")


def test_equal_values_have_equal_digests_and_other_values_have_others(tmp_path: Path) -> None:
    same = load_config(write(tmp_path, "policy:\n  gamma: 4  # the default\n"), {})
    assert same.sha == Config().sha
    assert len(same.sha) == 12
    changed = [
        load_config(None, {}, change).sha
        for change in (
            {("policy", "gamma"): 5},
            {("policy", "seed"): 5},
            {("log", "level"): "debug"},
            {("server", "reflection"): False},
            {("workers", "addresses"): ("a:1",)},
        )
    ]
    assert len({*changed, same.sha}) == 6


def test_the_tree_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().policy.gamma = 5  # type: ignore[misc]


def test_every_field_says_what_it_means_and_which_unit_it_has() -> None:
    sections = [field.annotation for field in Config.model_fields.values()]
    fields = [*Config.model_fields.items(), *(item for each in sections for item in each.model_fields.items())]
    assert [name for name, field in fields if not field.description] == []
    units = ("_seconds", "_tokens", "_counts", "_share", "_factor", "_deviations")
    assert [name for name, field in fields if field.annotation is float and not name.endswith(units)] == []

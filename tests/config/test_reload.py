"""A reload happens as a whole or not at all, and says what is wrong."""

import asyncio

import pytest

from specsched.config.load import Source
from specsched.config.reload import KEPT, Reloader, Result
from specsched.config.watch import contents
from specsched.errors import ConfigError, Violation
from specsched.wire.rotation import Rotation


class Service:
    """A file, a part that notes what is put in force, and the reloader over both."""

    def __init__(self, folder, text="policy: {gamma: 1}\n"):
        self.path = folder / "specsched.yaml"
        self.path.write_text(text)
        self.source = Source(self.path, {}, {})
        self.in_force, self.told = [], []
        self.broken = ()
        parts = (self.part, self.objector)
        self.reloader = Reloader(self.source, self.source.read(), parts, lambda *told: self.told.append(told))

    def part(self, config):
        return lambda: self.in_force.append(config.policy.gamma)

    def objector(self, _config):
        if self.broken:
            raise ConfigError("said together", self.broken)
        return lambda: None

    async def refused(self, text=None):
        """What a reload is refused for, by field; nothing may have changed."""
        before = self.reloader.config, list(self.in_force), self.reloader.history
        with pytest.raises(ConfigError) as caught:
            await self.reloader.reload(text)
        assert (self.reloader.config, self.in_force, self.reloader.history) == before
        return {violation.field: violation.description for violation in caught.value.violations}


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


async def test_a_new_file_is_put_in_force_and_told(service):
    service.path.write_text("policy: {gamma: 2}\n")
    (change,) = await service.reloader.reload()
    assert (change.field, change.before, change.after) == ("policy.gamma", "1", "2")
    assert service.in_force == [2]
    assert service.told == [(Result.APPLIED, service.source.read().sha)]


async def test_files_beside_the_configuration_are_read_again_with_it(service, tmp_path):
    tokens, read = tmp_path / "tokens.yaml", []

    def take():
        if not (text := tokens.read_text()):
            raise ConfigError("no tokens")
        return lambda: read.append(text)

    tokens.write_text("one")
    reloader = Reloader(
        service.source, service.reloader.config, (), beside=[Rotation("server.tokens_file", [tokens], take)]
    )
    assert await reloader.reload() == ()
    tokens.write_text("second")
    assert [change.field for change in await reloader.reload(validate_only=True)] == ["server.tokens_file"]
    assert read == []
    assert [change.field for change in await reloader.reload()] == ["server.tokens_file"]
    assert await reloader.reload() == ()
    tokens.write_text("")
    with pytest.raises(ConfigError) as caught:
        await reloader.reload("policy: {gamma: 2}")
    assert [violation.field for violation in caught.value.violations] == ["server.tokens_file"]
    assert read == ["second"]
    assert len(reloader.history) == 1


async def test_an_unchanged_file_changes_nothing(service):
    assert await service.reloader.reload() == ()
    assert service.in_force == []
    assert service.told == [(Result.UNCHANGED, service.reloader.config.sha)]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("policy: {gamma: 65}\npolicy_: 1", {"policy.gamma", "policy_"}),
        ("policy: [", set()),
        ("server: {drain_seconds: 1}\nworkers: {count: 2}", {"server.drain_seconds", "workers.count"}),
    ],
)
async def test_a_bad_file_changes_nothing_and_every_field_is_named(service, text, fields):
    service.path.write_text(text)
    assert set(await service.refused()) == fields
    assert service.told == [(Result.REFUSED, service.reloader.config.sha)]


async def test_a_text_is_told_by_its_lines(service):
    said = await service.refused("policy:\n  gamma: 65\n")
    assert said == {"policy.gamma": "Input should be less than or equal to 64 (given:2)"}


async def test_what_needs_a_restart_is_refused_beside_what_a_part_objects_to(service):
    service.broken = (Violation("policy.draft_model", "is not in the pool"),)
    said = await service.refused("workers: {count: 2}\npolicy: {gamma: 3}")
    assert "restart" in said["workers.count"]
    assert said["policy.draft_model"] == "is not in the pool"


async def test_validating_changes_nothing_and_is_not_counted(service):
    (change,) = await service.reloader.reload("policy: {gamma: 7}", validate_only=True)
    assert change.after == "7"
    with pytest.raises(ConfigError):
        await service.reloader.reload("policy: {gamma: 70}", validate_only=True)
    assert (service.in_force, service.told, len(service.reloader.history)) == ([], [], 1)


async def test_going_back_takes_the_one_before_or_the_one_that_is_named(service):
    first = service.reloader.config.sha
    for gamma in (2, 3):
        await service.reloader.reload(f"policy: {{gamma: {gamma}}}")
    await service.reloader.rollback()
    await service.reloader.rollback(first)
    assert service.in_force == [2, 3, 2, 1]
    assert service.reloader.config.sha == first
    assert [kept.origin.value for kept in service.reloader.history] == ["rollback", "rollback", "call", "call", "start"]
    with pytest.raises(ConfigError, match="'nothing' is none of"):
        await service.reloader.rollback("nothing")


async def test_there_is_no_way_back_from_the_first(service):
    with pytest.raises(ConfigError, match="no configuration was in force before"):
        await service.reloader.rollback()


async def test_only_the_last_ones_are_kept(service):
    for gamma in range(2, 2 * KEPT):
        await service.reloader.reload(f"policy: {{gamma: {gamma}}}")
    assert [kept.config.policy.gamma for kept in service.reloader.history] == list(range(2 * KEPT - 1, KEPT - 1, -1))


async def test_reloads_at_the_same_time_come_one_after_the_other(service):
    await asyncio.gather(*(service.reloader.reload(f"policy: {{gamma: {2 + i}}}") for i in range(8)))
    assert sorted(service.in_force) == list(range(2, 10))
    assert service.reloader.config.policy.gamma == service.in_force[-1]


async def changed(path, change):
    """The file's content after a change, as a watch tells it."""
    watch = contents(path)
    following = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0.3)
    change()
    try:
        return await asyncio.wait_for(following, 10.0)
    finally:
        await watch.aclose()


async def test_a_file_that_is_written_or_replaced_is_noticed(tmp_path):
    path = tmp_path / "specsched.yaml"
    path.write_text("a")
    assert await changed(path, lambda: path.write_text("b")) == b"b"
    (tmp_path / "new").write_text("c")
    assert await changed(path, lambda: (tmp_path / "new").replace(path)) == b"c"


async def test_links_that_are_swapped_as_kubernetes_does_are_noticed(tmp_path):
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "specsched.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "specsched.yaml"
    path.symlink_to("..data/specsched.yaml")

    def swap():
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    assert await changed(path, swap) == b"2"


def test_relative_paths_stay_where_the_link_is(tmp_path):
    (tmp_path / "..1").mkdir()
    (tmp_path / "..1" / "specsched.yaml").write_text("pool: {manifest: pool.yaml}")
    path = tmp_path / "specsched.yaml"
    path.symlink_to("..1/specsched.yaml")
    assert Source(path, {}, {}).read().pool.manifest == str(tmp_path.resolve() / "pool.yaml")

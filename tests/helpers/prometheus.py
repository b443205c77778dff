"""A real Prometheus beside a test: scrapes it, and answers what it saw."""

import asyncio
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.helpers.metered import free_address
from tests.helpers.service import ROOT

CONFIG = ROOT / "docker" / "prometheus"


class Prometheus:
    """Its HTTP API."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def ask(self, path: str, **parameters: str):
        """Ask the API, version 1."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        answer = await asyncio.to_thread(_read, url)
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of every sample of an expression, now."""
        data = await self.ask("query", query=expression)
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    async def until(self, expression: str, seconds: float = 15.0) -> list[tuple[dict[str, str], float]]:
        """Wait until an expression has samples."""
        async with asyncio.timeout(seconds):
            while not (found := await self.query(expression)):
                await asyncio.sleep(0.1)
        return found


def _read(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


@asynccontextmanager
async def prometheus(folder: Path, target: str, interval: str = "250ms") -> AsyncIterator[Prometheus]:
    """Run one with the configuration that docker/ ships, of which only target and interval differ."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian package: prometheus)")
    config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    config["rule_files"] = [str(CONFIG / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = free_address()
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
        "--log.level=error",
    )
    try:
        api = Prometheus(address)
        async with asyncio.timeout(20):
            while True:
                try:
                    await api.query("up")
                    break
                except (OSError, ValueError):
                    await asyncio.sleep(0.05)
        yield api
    finally:
        process.terminate()
        await process.wait()

"""What a killed service leaves is cleared away by the next one; what a living one uses is not."""

import subprocess
import sys

from specsched.worker.run_folder import RunFolder

_HOLDS_ONE = """
import sys, time, pathlib
from specsched.worker.run_folder import RunFolder
print(RunFolder(pathlib.Path(sys.argv[1])).__enter__(), flush=True)
time.sleep(60)
"""


def test_it_is_gone_at_the_end_with_all_that_is_in_it(tmp_path):
    with RunFolder(tmp_path) as folder:
        (folder / "worker-0.sock").touch()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.iterdir())


def test_the_next_service_removes_what_a_killed_one_left_and_nothing_else(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", _HOLDS_ONE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    left = tmp_path / killed.stdout.readline().strip()
    (tmp_path / "specsched-of-somebody").mkdir()
    with RunFolder(tmp_path) as first, RunFolder(tmp_path) as second:
        assert first != second
        assert first.exists()
        assert left.exists()
        killed.kill()
        killed.communicate()
        with RunFolder(tmp_path):
            assert not left.exists()
            assert first.exists()
            assert second.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["specsched-of-somebody"]

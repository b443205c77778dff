"""A running service's own folder: sockets of its workers, the configuration that it started with."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "specsched-run-"


class RunFolder:
    """A folder that nobody else may enter, gone at the end. What killed services left is removed by the next one.

    Its process holds a lock on it, which ends with the process however that ends, and which containers that share a
    folder for temporary files see as well: a process id means nothing to them.
    """

    def __init__(self, within: Path | None = None) -> None:
        """Plan it, in the system's folder for temporary files where none is given."""
        self._within = within or Path(tempfile.gettempdir())

    def __enter__(self) -> Path:
        """Make it, and clear away those of services that are dead."""
        for left in self._within.glob(f"{_PREFIX}*"):
            _remove_if_dead(left)
        # Under a name that no other service looks at, until it is locked.
        made = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=self._within))
        lock = _lock(made)
        assert lock is not None, "nobody else knows of it"
        self._lock = lock
        self._path = made.rename(made.with_name(made.name.removeprefix(".")))
        return self._path

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._lock)


def _remove_if_dead(folder: Path) -> None:
    lock = _lock(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return what holds the lock until it is closed; None where the folder is another user's, or in use."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(opened).st_uid == os.geteuid():
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return opened
    except OSError:
        pass
    os.close(opened)
    return None

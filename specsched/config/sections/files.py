"""Files of records that a service keeps writing: where, how large, how many."""

from pydantic import Field

from specsched.config.sections.base import Section


class Files(Section):
    """Files of records; nothing is written without a directory."""

    directory: str | None = Field(default=None, description="Folder of the files, made when missing; unset: none.")
    max_file_bytes: int = Field(default=64 * 2**20, ge=1024, description="Size at which the next file is begun.")
    max_file_seconds: float = Field(default=3600.0, gt=0, description="Age at which the next file is begun.")
    keep_files: int = Field(default=48, ge=1, description="Newest files that are kept; older ones are deleted.")
    flush_seconds: float = Field(default=1.0, gt=0, description="Longest time that a record waits to be written.")
    queue_records: int = Field(
        default=16_384, ge=1, description="Records that may wait to be written; more are dropped and counted."
    )

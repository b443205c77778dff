"""TLS files of a port, shared by the sections that have one."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from specsched.config.sections.base import Section


class TlsSection(Section):
    """Certificate, key, and whom the other side's certificate must come from."""

    tls_certificate_file: Path | None = Field(default=None, description="PEM chain, own certificate first.")
    tls_key_file: Path | None = Field(default=None, description="PEM key of the certificate, unencrypted.")
    tls_ca_file: Path | None = Field(
        default=None,
        description="PEM authorities; the other side has to show a certificate of theirs (mTLS).",
    )
    insecure: bool = Field(
        default=False, description="Serve other machines without TLS, or without asking who calls. Say so to have it."
    )

    @model_validator(mode="after")
    def _files_belong_together(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise PydanticCustomError("tls", "tls_certificate_file and tls_key_file belong together")
        if self.tls_ca_file is not None and self.tls_certificate_file is None:
            raise PydanticCustomError("tls", "tls_ca_file needs tls_certificate_file and tls_key_file")
        return self

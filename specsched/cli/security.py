"""Who may call, and over what: guards and certificates as the configuration has them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from specsched.config.sections.tls import TlsSection
from specsched.config.tree import Config
from specsched.errors import ConfigError
from specsched.wire.address import is_local
from specsched.wire.rotation import Rotation
from specsched.wire.tls import ChannelCertificates, ServerCertificates, TlsFiles

if TYPE_CHECKING:
    from specsched.server.auth import TokenGuard


@dataclass(frozen=True, slots=True)
class Security:
    """Of the scheduler's ports: public and operators'."""

    guard: "TokenGuard | None"
    certificates: ServerCertificates | None
    rotations: tuple[Rotation, ...]
    worker_certificates: ChannelCertificates | None
    """What this scheduler shows its workers at TCP addresses."""


def security_of(config: Config) -> Security:
    """Read tokens and certificates; refuse ports that others reach without them.

    Raises:
        ConfigError: a file cannot be used, or a port would be open.
    """
    section, guard, rotations = config.server, None, []
    certificates = certificates_of(section)
    if certificates is not None:
        rotations.append(Rotation("server.tls_certificate_file", certificates.files.all, certificates.read))
    if section.tokens_file is not None:
        guard = _guard(section.tokens_file)
        rotations.append(Rotation("server.tokens_file", (section.tokens_file,), guard.read))
    for field, address in (("server.address", section.address), ("admin.address", config.admin.address)):
        if address is not None and not section.insecure:
            _check_exposure(field, address, encrypted=certificates is not None, guarded=guard is not None)
    files = _files(config.workers)
    shown = None if files is None else ChannelCertificates(files)
    if shown is not None:
        rotations.append(Rotation("workers.tls_certificate_file", shown.files.all, shown.read))
    return Security(guard, certificates, tuple(rotations), shown)


def certificates_of(section: TlsSection) -> ServerCertificates | None:
    """Read a port's certificates; None where it has none."""
    files = _files(section)
    return None if files is None else ServerCertificates(files)


def worker_certificates(config: Config, address: str) -> ServerCertificates | None:
    """Read what a worker shows at an address.

    Raises:
        ConfigError: a file cannot be used, or others would reach it without having to show a certificate.
    """
    section = config.workers
    if not is_local(address) and not section.insecure and section.tls_ca_file is None:
        raise ConfigError(
            f"{address} can be reached from other machines: give workers.tls_certificate_file, workers.tls_key_file and"
            " workers.tls_ca_file, or say workers.insecure: true"
        )
    return None if address.startswith("unix:") else certificates_of(section)


def _guard(path: Path) -> "TokenGuard":
    from specsched.config.tokens import load_credentials
    from specsched.server.auth import TokenGuard

    return TokenGuard(lambda: load_credentials(path))


def _files(section: TlsSection) -> TlsFiles | None:
    if section.tls_certificate_file is None or section.tls_key_file is None:
        return None
    return TlsFiles(section.tls_certificate_file, section.tls_key_file, section.tls_ca_file)


def _check_exposure(field: str, address: str, *, encrypted: bool, guarded: bool) -> None:
    if is_local(address) or (encrypted and guarded):
        return
    missing = [
        *(() if encrypted else ("server.tls_certificate_file and server.tls_key_file",)),
        *(() if guarded else ("server.tokens_file",)),
    ]
    raise ConfigError(
        f"{field}: {address} can be reached from other machines: give {' and '.join(missing)}, or say"
        " server.insecure: true"
    )

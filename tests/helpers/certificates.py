"""Certificates on disk, of authorities that live as long as a test."""

from pathlib import Path

import trustme

from specsched.wire.tls import TlsFiles


def issue(folder: Path, name: str, authority: trustme.CA, host: str = "localhost") -> TlsFiles:
    """Write a certificate, its key, and the certificate of its authority."""
    issued, files = authority.issue_cert(host), TlsFiles(*(folder / f"{name}.{end}" for end in ("pem", "key", "ca")))
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    authority.cert_pem.write_to_path(files.ca)
    return files

"""Certificates of an authority of the tests' own, as files that servers and clients read."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


class Authority:
    """`ca`: what clients are to trust. `server`: key (PKCS #8, as Java wants it) and chain of
    127.0.0.1 alone, in one file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        own = trustme.CA()
        self.ca = folder / "ca.pem"
        own.cert_pem.write_to_path(self.ca)
        issued = own.issue_cert("127.0.0.1")
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
        self.server = folder / "server.pem"
        self.server.write_bytes(pem + chain)

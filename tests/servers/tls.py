"""A certificate for loopback, made by the JDK's own keytool."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.java import Jdk

KEYSTORE, CERTIFICATE = "server.p12", "ca.pem"
PASSWORD = "changeit"
SUBJECT = "CN=memgrid test server"
ADDRESSES = "ip:127.0.0.1,ip:127.0.0.2,ip:127.0.0.3,dns:localhost"


def make_keystore(jdk: Jdk, folder: Path) -> tuple[Path, Path]:
    """A PKCS12 keystore with one self-signed key, and its certificate in PEM for clients to trust.

    The keystore is a truststore of the same certificate, too. Raises CalledProcessError.
    """
    keystore, certificate = folder / KEYSTORE, folder / CERTIFICATE
    if certificate.exists():
        return keystore, certificate
    store = ["-keystore", str(keystore), "-storetype", "PKCS12", "-storepass", PASSWORD]
    key = ["-alias", "server", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", SUBJECT]
    extensions = ["-validity", "3650", "-ext", f"san={ADDRESSES}", "-ext", "bc=ca:true"]
    for arguments in (
        ["-genkeypair", *key, *extensions],
        ["-exportcert", "-alias", "server", "-rfc", "-file", str(certificate)],
        ["-importcert", "-alias", "trusted", "-noprompt", "-file", str(certificate)],
    ):
        subprocess.run([jdk.tool("keytool"), *arguments, *store], check=True, capture_output=True)
    return keystore, certificate

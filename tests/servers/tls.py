"""A certificate for loopback, made by the JDK's own keytool."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.java import Jdk

PASSWORD = "changeit"
SUBJECT = "CN=memgrid test server"
ADDRESSES = "ip:127.0.0.1,ip:127.0.0.2,ip:127.0.0.3,dns:localhost"


def make_keystore(jdk: Jdk, folder: Path) -> tuple[Path, Path]:
    """A PKCS12 keystore with one self-signed key, and its certificate in PEM for clients to trust."""
    keystore, certificate = folder / "server.p12", folder / "ca.pem"
    if not certificate.exists():
        common = ["-keystore", str(keystore), "-storepass", PASSWORD, "-alias", "server"]
        key = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-storetype", "PKCS12"]
        subject = ["-dname", SUBJECT, "-validity", "3650", "-ext", f"san={ADDRESSES}", "-ext", "bc=ca:true"]
        for arguments in (
            [*key, *subject, *common],
            ["-exportcert", "-rfc", "-file", str(certificate), *common],
        ):
            subprocess.run([jdk.tool("keytool"), *arguments], check=True, capture_output=True)
    return keystore, certificate

"""Secrets of tenants at rest: AES-256-GCM, bound to whose they are."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from memgrid.errors import InvalidInput, Unavailable

_NONCE: Final = 12
_VERSION: Final = b"1"


class SecretBox:
    """Encrypts with a key made of `secret` (the setting `secrets_key`); without one it refuses."""

    def __init__(self, secret: str | None) -> None:
        self._cipher: AESGCM | None = None
        if secret is not None:
            # The setting is a random key already: HKDF only gives it the length, and a purpose.
            derived = HKDF(SHA256(), 32, salt=None, info=b"memgrid tenant secrets 1").derive(secret.encode())
            self._cipher = AESGCM(derived)

    def seal(self, text: str, owner: str) -> str:
        """The text encrypted; it opens only for the same `owner`. Raises InvalidInput without a key."""
        if self._cipher is None:
            raise InvalidInput(
                "this memgrid stores no secrets: it has no key to encrypt them with",
                field="llm.api_key",
                remedy="set MEMGRID_SECRETS_KEY to 32 random characters or more",
            )
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, text.encode(), _VERSION + owner.encode())
        return base64.b64encode(_VERSION + nonce + sealed).decode()

    def open(self, sealed: str, owner: str) -> str:
        """The text again. Raises Unavailable where the key is another, or the value is not this owner's."""
        try:
            raw = base64.b64decode(sealed.encode(), validate=True)
            if self._cipher is None or raw[:1] != _VERSION:
                raise InvalidTag
            start = 1 + _NONCE
            return self._cipher.decrypt(raw[1:start], raw[start:], _VERSION + owner.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise Unavailable(
                "a stored API key cannot be decrypted",
                remedy="set MEMGRID_SECRETS_KEY to what it was, or store the API key again",
            ) from error

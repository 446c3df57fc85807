"""Secrets at rest."""

from __future__ import annotations

import base64

import pytest

from cluster.secret_box import SecretBox
from memgrid.errors import InvalidInput, Unavailable

KEY = "0123456789abcdef0123456789abcdef"


def test_a_secret_comes_back_for_its_owner_only() -> None:
    box = SecretBox(KEY)
    sealed = box.seal("sk-秘密", "acme")
    assert "sk-秘密".encode() not in base64.b64decode(sealed)
    assert sealed != box.seal("sk-秘密", "acme")
    assert SecretBox(KEY).open(sealed, "acme") == "sk-秘密"
    for other, owner in ((box, "acme\0vip"), (SecretBox(KEY[::-1]), "acme"), (SecretBox(None), "acme")):
        with pytest.raises(Unavailable, match="cannot be decrypted"):
            other.open(sealed, owner)


def test_without_a_key_nothing_is_stored() -> None:
    with pytest.raises(InvalidInput, match="no key") as refused:
        SecretBox(None).seal("sk", "acme")
    assert "MEMGRID_SECRETS_KEY" in (refused.value.remedy or "")


def test_what_was_changed_or_is_none_does_not_open() -> None:
    box = SecretBox(KEY)
    raw = bytearray(base64.b64decode(box.seal("sk", "acme")))
    raw[-1] ^= 1
    for broken in (base64.b64encode(raw).decode(), "", "!!", base64.b64encode(b"2" + bytes(40)).decode()):
        with pytest.raises(Unavailable):
            box.open(broken, "acme")

from __future__ import annotations

import pytest

from penstock.security import without_login


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
        ("http://me:secret@host:4200/api", "http://host:4200/api"),
        ("https://me:s@cret@host/api?x=a@b", "https://host/api?x=a@b"),
        ("nonsense", "nonsense"),
    ],
)
def test_user_and_password_are_left_out_of_an_address_that_is_shown(address: str, shown: str) -> None:
    assert without_login(address) == shown

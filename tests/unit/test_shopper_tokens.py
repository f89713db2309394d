"""Tokens by which shoppers show who they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.errors import SettingsError
from endcap.serving.shopper_tokens import ShopperTokens

SECRET = "a-secret-of-the-tests-alone"  # noqa: S105


@given(
    st.text(min_size=1, max_size=256).filter(lambda s: s.encode("utf-8", "ignore").decode() == s)
)
def test_a_token_names_the_shopper_that_it_was_made_for(user: str) -> None:
    tokens = ShopperTokens(SECRET)
    assert tokens.user_of(tokens.make(user)) == user


@given(st.text(max_size=400))
def test_what_somebody_makes_up_is_no_token(text: str) -> None:
    assert ShopperTokens(SECRET).user_of(text) is None


@given(st.integers(min_value=0), st.sampled_from("abcXYZ019-_."))
def test_a_token_that_was_changed_anywhere_is_none(at: int, letter: str) -> None:
    tokens = ShopperTokens(SECRET, clock=lambda: 1000.0)
    good = tokens.make("1364")
    at %= len(good)
    bad = good[:at] + letter + good[at + 1 :]
    assert tokens.user_of(bad) == ("1364" if bad == good else None)


def test_a_token_expires() -> None:
    now = [1000.0]
    tokens = ShopperTokens(SECRET, 60, lambda: now[0])
    token = tokens.make("1364")
    now[0] = 1059.0
    assert tokens.user_of(token) == "1364"
    now[0] = 1060.0
    assert tokens.user_of(token) is None


def test_a_token_of_another_secret_is_none() -> None:
    assert ShopperTokens(SECRET).user_of(ShopperTokens("another-secret-than-it").make("1")) is None


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 16"):
        ShopperTokens("short")

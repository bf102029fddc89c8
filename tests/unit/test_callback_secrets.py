import pytest
from pydantic import SecretStr

from config import Account
from web.callbacksecrets import BadSecret, CallbackSecrets

ONE, TWO = "the-secret-of-account-one", "the-secret-of-account-two"


def accounts(**secrets: str | None) -> dict[str, Account]:
    return {
        alias: Account(
            user_id=alias,
            password=SecretStr("x"),
            callback_secret=None if secret is None else SecretStr(secret),
        )
        for alias, secret in secrets.items()
    }


def test_a_secret_names_its_account_and_nothing_near_it_does() -> None:
    secrets = CallbackSecrets(accounts(one=ONE, none=None, two=TWO))
    assert secrets.account_of(ONE) == "one"
    assert secrets.account_of(TWO) == "two"
    for wrong in ("", ONE[:-1], ONE + "x", ONE.upper(), ONE + "\x00", "密鑰", "\ud800", "x" * 100_000):
        assert secrets.account_of(wrong) is None


def test_every_account_is_compared_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = CallbackSecrets(accounts(one=ONE, three="the-secret-of-account-three", two=TWO))
    compared: list[int] = []

    def counting(ours: bytes, given: bytes) -> bool:
        compared.append(len(given))
        assert len(ours) == len(given)
        return ours == given

    monkeypatch.setattr("web.callbacksecrets.hmac.compare_digest", counting)
    for given in (ONE, TWO, "wrong", ""):
        secrets.account_of(given)
        assert len(compared) == 3
        compared.clear()


def test_without_secrets_there_is_no_address() -> None:
    secrets = CallbackSecrets(accounts(one=None))
    assert not secrets
    assert secrets.account_of("") is None


@pytest.mark.parametrize(
    "secret", ["", "short", "has a blank in its middle", "a/slash/in/the/middle", "密" * 20]
)
def test_a_secret_that_is_short_or_no_part_of_an_address_is_refused(secret: str) -> None:
    with pytest.raises(BadSecret) as caught:
        CallbackSecrets(accounts(one=secret))
    assert (caught.value.reason, caught.value.alias) == ("secret_form", "one")
    assert not secret or secret not in str(caught.value)


def test_two_accounts_with_one_secret_are_refused() -> None:
    with pytest.raises(BadSecret) as caught:
        CallbackSecrets(accounts(one=ONE, two=ONE))
    assert (caught.value.reason, caught.value.alias) == ("secret_shared", "two")
    assert ONE not in str(caught.value)

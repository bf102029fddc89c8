"""Which account a callback is for: the last part of its address says it, and nothing tells a guess how near it was."""

import hashlib
import hmac
import re
from collections.abc import Mapping

from config import Account

#: Letters that stand in an address as they are, and enough of them.
_FORM = re.compile(r"[A-Za-z0-9_-]{16,256}")


class BadSecret(Exception):
    """A callback secret that will not do. `reason` is secret_form or secret_shared, `alias` the account's."""

    def __init__(self, reason: str, alias: str) -> None:
        super().__init__(f"the callback_secret of {alias}: {reason}")
        self.reason = reason
        self.alias = alias


class CallbackSecrets:
    """The callback secrets of all accounts that have one. Raises BadSecret."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._digests: list[tuple[str, bytes]] = []
        for alias, account in sorted(accounts.items()):
            if account.callback_secret is None:
                continue
            secret = account.callback_secret.get_secret_value()
            if _FORM.fullmatch(secret) is None:
                raise BadSecret("secret_form", alias)
            if self.account_of(secret) is not None:
                raise BadSecret("secret_shared", alias)
            self._digests.append((alias, _digest(secret)))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def account_of(self, secret: str) -> str | None:
        """The alias of the account with this secret, or None. Takes as long whatever is given, and whoever has it."""
        given = _digest(secret)
        found = None
        for alias, digest in self._digests:
            # To the end: leaving at the first that fits would tell which it was.
            if hmac.compare_digest(digest, given):
                found = alias
        return found


def _digest(secret: str) -> bytes:
    # Of one length, because comparing tells whether lengths differ.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()

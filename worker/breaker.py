"""The breaker: whether an account may be logged in to with the password that the settings have now. Pure."""

import hashlib

from every8d.errors import Every8dError
from worker.ledger.accounts import AccountRow


class BreakerOpenError(Every8dError):
    """The gateway refused this account's login before; another try could lock the account."""

    def __init__(self, alias: str, code: int | None, *, locked: bool) -> None:
        self.alias, self.code, self.locked = alias, code, locked
        advice = (
            "ask the vendor to unlock it, then run `every8d accounts unblock`"
            if locked
            else "put the right password into the settings"
        )
        super().__init__(f"account {alias} is blocked since the gateway refused its login ({code}): {advice}")


def fingerprint(password: str, salt: str) -> str:
    """A password's fingerprint: says whether it is another one, and gives nobody the password."""
    digest = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**13, r=8, p=1, dklen=32)
    return digest.hex()


def check(row: AccountRow, current: str) -> None:
    """Raises BreakerOpenError where a login with the password of this fingerprint must not be tried."""
    if row.breaker == "locked" or (row.breaker == "open" and row.fingerprint == current):
        raise BreakerOpenError(row.alias, row.breaker_code, locked=row.breaker == "locked")

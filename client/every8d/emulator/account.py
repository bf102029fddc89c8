"""An account of the emulated gateway: its password, its credit, its one session key (specification 1.1)."""

import secrets
from decimal import Decimal
from typing import Literal

from every8d.emulator.clock import taipei_day

#: After this many refused logins in a row an account is locked (-999).
BAD_LOGINS = 10

SecondLogin = Literal["voids", "keeps", "same"]


class Account:
    """One login. Its repr names the account, never the password or a key."""

    __slots__ = ("_keys", "abroad", "bad_logins", "credit", "locked", "password", "user_id")

    def __init__(self, user_id: str, password: str, credit: Decimal, *, abroad: bool = False) -> None:
        self.user_id = user_id
        self.password = password
        self.credit = credit
        self.abroad = abroad
        self.bad_logins = 0
        self.locked = False
        self._keys: dict[str, int] = {}  # key -> the Taipei day in which it is valid

    def __repr__(self) -> str:
        return f"Account({self.user_id!r}, password='***', credit={self.credit})"

    def log_in(self, password: str, now: float, second_login: SecondLogin) -> tuple[int, str]:
        """(0, session key), or (-101 or -999, ""). A good login forgets the bad ones before it."""
        if self.locked:
            return -999, ""
        if password != self.password:
            self.bad_logins += 1
            if self.bad_logins >= BAD_LOGINS:
                self.lock()
            return -101, ""
        self.bad_logins = 0
        today = taipei_day(now)
        self._keys = {key: day for key, day in self._keys.items() if day == today}
        if second_login == "same" and self._keys:
            return 0, next(iter(self._keys))
        if second_login == "voids":
            self._keys.clear()
        key = secrets.token_hex(16)
        self._keys[key] = today
        return 0, key

    def holds(self, key: str, now: float) -> bool:
        """Whether the key is this account's and its day has not ended."""
        return self._keys.get(key) == taipei_day(now)

    def close(self, key: str, now: float) -> bool:
        """Give up the key; with it goes the session of every system that shares it."""
        held = self.holds(key, now)
        self._keys.pop(key, None)
        return held

    def void_keys(self) -> None:
        """Forget every key, as another system's closeConnection does."""
        self._keys.clear()

    def lock(self) -> None:
        """Lock the account and end its session."""
        self.locked = True
        self._keys.clear()

    def unlock(self) -> None:
        """What the vendor's service desk does."""
        self.locked = False
        self.bad_logins = 0

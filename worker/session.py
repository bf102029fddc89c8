"""One SessionKey for all workers of an account: kept in Redis, fetched under a lock, dropped only by who saw it fail.

The gateway has one session key for each account, and a second login may void the first. So however many workers start
at once, one of them logs in, and the others wait for its key.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from config import Account
from every8d.errors import AccountFault, Busy, Every8dError, GatewayError
from every8d.gateway import Gateway
from every8d.times import TAIPEI
from worker import breaker, points
from worker.gateways import Gateways
from worker.ledger import accounts
from worker.ledger.database import Database
from worker.scripts import Scripts, run

if TYPE_CHECKING:
    from redis import Redis

#: At most one login in so long for an account, whatever other systems do to its session.
LOGIN_PACE_MS = 2_000
#: The lock outlives the slowest login by this.
LOCK_MARGIN_S = 15.0
#: A key is not used in the last moments of its day: the call could arrive on the next.
MIDNIGHT_MARGIN_S = 5.0
#: How long a worker waits for another's login before its messages wait instead.
WAIT_S = 10.0


class SessionUnavailableError(Every8dError):
    """There is no session key for now; nothing was sent. `wait_s` is when it is worth asking again.

    `down`: the gateway could not be asked, or was too busy; the lane should wait longer each time.
    """

    def __init__(self, alias: str, why: str, wait_s: float, *, down: bool = False) -> None:
        self.alias, self.wait_s, self.down = alias, wait_s, down
        super().__init__(f"no session for account {alias}: {why}")


class Sessions:
    """The session keys of all accounts. Thread-safe. `clock` gives the time as an aware datetime."""

    def __init__(
        self,
        redis: "Redis",
        scripts: Scripts,
        database: Database,
        gateways: Gateways,
        clock: Callable[[], datetime] = lambda: datetime.now(TAIPEI),
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._database = database
        self._gateways = gateways
        self._clock = clock
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._refusing = threading.Lock()

    def key(self, alias: str) -> str:
        """The account's session key, from Redis or by the one login.

        Raises BreakerOpenError (the login was refused before), SessionUnavailableError (busy, unreachable, contended).
        """
        until = time.monotonic() + WAIT_S
        while True:
            if found := self._redis.get(_key(alias)):
                return _text(found)
            if found := self._login_under_lock(alias):
                return found
            if time.monotonic() > until:
                raise SessionUnavailableError(alias, "another worker's login takes long", 1.0)
            time.sleep(0.01 + secrets.randbelow(20) / 1000)

    def present(self, alias: str) -> bool:
        """Whether there is a key now; makes none."""
        return bool(self._redis.exists(_key(alias)))

    def made_ms(self, alias: str) -> int:
        """When the last key was made, in milliseconds since 1970; 0 where that is not known."""
        return int(_text(self._redis.get(_made(alias)) or 0))

    def gone(self, alias: str, session_key: str) -> None:
        """The gateway does not know this key: forget it, unless somebody has stored a newer one."""
        run(self._scripts.delete_if_equal, [_key(alias)], session_key)

    def close(self, alias: str) -> bool:
        """closeConnection, under the lock, so that no worker logs in meanwhile. False where there was no key."""
        account = self._gateways.account(alias)
        token = secrets.token_hex(16)
        lock_ms = int((account.call_deadline_s + LOCK_MARGIN_S) * 1000)
        if not self._redis.set(_lock(alias), token, nx=True, px=lock_ms):
            raise SessionUnavailableError(alias, "a login is under way", 1.0)
        try:
            found = self._redis.get(_key(alias))
            if not found:
                return False
            # The key goes first: nobody may begin a call with it while it is being closed.
            self.gone(alias, _text(found))
            with points.call("closeConnection"):
                return self._gateways.gateway(alias).close_connection(_text(found))
        finally:
            run(self._scripts.delete_if_equal, [_lock(alias)], token)

    def refused(self, alias: str, fault: AccountFault) -> None:
        """Opens the breaker: the gateway refused the account itself, at a login or at any other call."""
        with self._refusing:
            account, row = self._gateways.account(alias), accounts.account_row(self._database, alias)
            current = self._fingerprint(account, row.salt)
            known = row.breaker == "locked" or (row.breaker == "open" and not fault.locked)
            # Calls that were in flight together are refused together: that is one refusal of this password.
            if not known or row.fingerprint != current:
                accounts.login_refused(self._database, alias, fault.code or 0, current, locked=fault.locked)

    def check(self, alias: str, row: accounts.AccountRow) -> None:
        """Raises BreakerOpenError where the account's login was refused with the password of the settings."""
        if row.breaker != "closed":
            breaker.check(row, self._fingerprint(self._gateways.account(alias), row.salt))

    def _login_under_lock(self, alias: str) -> str | None:
        account = self._gateways.account(alias)
        token = secrets.token_hex(16)
        lock_ms = int((account.call_deadline_s * 3 + LOCK_MARGIN_S) * 1000)
        if not self._redis.set(_lock(alias), token, nx=True, px=lock_ms):
            return None
        try:
            if found := self._redis.get(_key(alias)):
                return _text(found)
            row = accounts.account_row(self._database, alias)
            self.check(alias, row)
            if not self._redis.set(f"every8d:login:{alias}", "1", nx=True, px=LOGIN_PACE_MS):
                # One event for each spell of contention is enough.
                if self._redis.set(f"every8d:contended:{alias}", "1", nx=True, ex=60):
                    accounts.contended(self._database, alias)
                raise SessionUnavailableError(alias, "another system contends for it", LOGIN_PACE_MS / 1000)
            session_key = self._login(alias, row)
            stored = run(
                self._scripts.session_store, [_lock(alias), _key(alias)], token, session_key, self._life_ms()
            )
            if not stored:
                return None
            self._redis.set(_made(alias), int(self._clock().timestamp() * 1000), ex=86_400)
            return session_key
        finally:
            run(self._scripts.delete_if_equal, [_lock(alias)], token)

    def _login(self, alias: str, row: accounts.AccountRow) -> str:
        gateway = self._gateways.gateway(alias)
        tries = Retrying(
            retry=retry_if_exception_type(Busy),
            stop=stop_after_attempt(3),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        try:
            may_log_in = accounts.begin_login(self._database, alias)
        except SQLAlchemyError:
            # Nothing was asked of the gateway, so the pace of logins need not hold the next one up.
            self._redis.delete(f"every8d:login:{alias}")
            raise
        if not may_log_in:
            raise breaker.BreakerOpenError(alias, None, locked=True)
        try:
            session_key: str = tries(lambda: _log_in(gateway))
        except AccountFault as fault:
            self.refused(alias, fault)
            accounts.end_login(self._database, alias)
            raise breaker.BreakerOpenError(alias, fault.code, locked=fault.locked) from None
        except GatewayError as error:
            # A login sends nothing, so even an unknown outcome may be tried again.
            # No session was made, so the pace of logins need not hold the next one up.
            self._redis.delete(f"every8d:login:{alias}")
            accounts.end_login(self._database, alias)
            raise SessionUnavailableError(alias, str(error), 2.0, down=True) from None
        with contextlib.suppress(SQLAlchemyError):
            # A key that cannot be noted is a key all the same.
            if row.breaker != "closed" or row.refusals:
                accounts.login_accepted(self._database, alias)
            accounts.end_login(self._database, alias)
        return session_key

    def _fingerprint(self, account: Account, salt: str) -> str:
        password = account.password.get_secret_value()
        if (password, salt) not in self._fingerprints:
            self._fingerprints[password, salt] = breaker.fingerprint(password, salt)
        return self._fingerprints[password, salt]

    def _life_ms(self) -> int:
        """Until shortly before the Taipei midnight, when the gateway forgets every key."""
        now = self._clock().astimezone(TAIPEI)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        left_s = (midnight - now).total_seconds()
        # In the last moments themselves there is nothing better, and a login for each call would be worse.
        return max(1, int((left_s - MIDNIGHT_MARGIN_S if left_s > MIDNIGHT_MARGIN_S else left_s) * 1000))


def _log_in(gateway: Gateway) -> str:
    with points.call("getConnection"):
        return gateway.get_connection()


def _key(alias: str) -> str:
    return f"every8d:session:{alias}"


def _lock(alias: str) -> str:
    return f"every8d:session-lock:{alias}"


def _made(alias: str) -> str:
    return f"every8d:session-made:{alias}"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

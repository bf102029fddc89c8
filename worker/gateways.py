"""The gateway clients of a process: one for each account, made when first used, shared by its threads."""

import threading

from config import Account, Settings
from every8d.gateway import Gateway


class Gateways:
    """Gateways by account alias."""

    def __init__(self, settings: Settings, *, concurrency: int = 32) -> None:
        self._settings = settings
        self._concurrency = concurrency
        self._made: dict[str, Gateway] = {}
        self._lock = threading.Lock()

    def account(self, alias: str) -> Account:
        """The settings of an account. Raises KeyError for an alias that they do not have."""
        return self._settings.accounts[alias]

    def gateway(self, alias: str) -> Gateway:
        """The client of an account."""
        with self._lock:
            if alias not in self._made:
                account = self.account(alias)
                self._made[alias] = Gateway(
                    account.user_id,
                    account.password.get_secret_value(),
                    url=account.url,
                    soap=account.soap,
                    deadline_s=account.call_deadline_s,
                    connect_timeout_s=account.connect_timeout_s,
                    # A pool smaller than the threads would connect anew for most calls.
                    pool_size=self._concurrency,
                    proxy=account.proxy,
                    ca_file=str(account.ca_file) if account.ca_file else None,
                )
            return self._made[alias]

    def close(self) -> None:
        """Closes every client's sockets."""
        with self._lock:
            for gateway in self._made.values():
                gateway.close()
            self._made.clear()

"""Callbacks: where accounts count on them, there is a secret, and somebody listens."""

from collections.abc import Iterable, Mapping

from config import Account, Settings
from worker.doctor import probe
from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem, warning

CHECK = "callbacks"

#: Below every secret's address, and none itself: it is answered by 404, and counts as no wrong secret.
_PATH = "/callbacks/every8d/"
_NOT_FOUND = 404
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told from others, not bound


def judge(accounts: Mapping[str, Account], status: int | None, address: str) -> list[Finding]:
    """`status` is what the web process answers at an address without a secret; None: nobody answers."""
    counting = [alias for alias, one in accounts.items() if one.callbacks]
    found = [
        problem(CHECK, "secret_none", account=alias)
        for alias in counting
        if accounts[alias].callback_secret is None
    ]
    if status != _NOT_FOUND:
        kind = "web_silent" if status is None else "web_other"
        # Without `callbacks` it is being set up: polling brings everything.
        found.append((problem if counting else warning)(CHECK, kind, address=address))
    return found or [ok(CHECK, "web_listening", address=address)]


def look(deployment: Deployment) -> Iterable[Finding]:
    """Asks the web process, at the address that was given, or where the settings have it."""
    accounts = deployment.settings.accounts
    if not any(one.callbacks or one.callback_secret for one in accounts.values()):
        return [ok(CHECK, "callbacks_unused")]
    base = deployment.web_url or _own(deployment.settings)
    answer = probe.get(base, _PATH)
    return judge(accounts, answer.status if answer else None, probe.told(base))


def _own(settings: Settings) -> str:
    return probe.place(_EVERYWHERE.get(settings.web_host, settings.web_host), settings.web_port)

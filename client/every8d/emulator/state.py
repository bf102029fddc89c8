"""Everything that one emulator remembers; a reset makes a new one of the same options."""

from collections.abc import Callable  # noqa: TC003 - so that the annotations can be resolved
from dataclasses import dataclass, field
from decimal import Decimal

from every8d.emulator.account import Account
from every8d.emulator.batch import Batch
from every8d.emulator.clock import Clock
from every8d.emulator.faults import FaultBook
from every8d.emulator.life import Habits
from every8d.emulator.stats import Stats
from every8d.emulator.switches import Switches

DEFAULT_USER = "demo"
DEFAULT_PASSWORD = "demo"  # noqa: S105 - the emulator's published default, no secret
DEFAULT_CREDIT = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """Where delivery reports go, and in which dress the vendor's console has put them."""

    url: str
    method: str = "GET"  # or POST
    charset: str = "utf-8"  # or big5
    retry_s: float = 1.0  # between attempts, by the machine's clock
    retries: int = 10  # after the first attempt

    def __post_init__(self) -> None:
        if self.method not in {"GET", "POST"} or self.charset not in {"utf-8", "big5"}:
            raise ValueError("a callback goes by GET or POST, in utf-8 or big5")
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("a callback goes to an http or https address")


@dataclass(frozen=True, slots=True)
class Options:
    """How an emulator starts, and starts again after a reset."""

    credit: Decimal = DEFAULT_CREDIT
    abroad: bool = False
    latency_ms: float = 0.0
    habits: Habits = field(default_factory=Habits)
    callback: CallbackTarget | None = None


class State:
    """Accounts, batches, switches, faults, statistics, and the clock they all live by."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = Clock()
        self.latency_ms = options.latency_ms
        self.habits = options.habits
        self.callback = options.callback
        self.switches = Switches()
        self.faults = FaultBook()
        self.stats = Stats()
        self.accounts: dict[str, Account] = {}
        #: In the order in which they were accepted.
        self.batches: dict[str, Batch] = {}
        self._key_owner: dict[str, Account] = {}
        self._shuffles = 0
        #: Told of each accepted batch, in the order of acceptance.
        self.on_accept: Callable[[Batch], None] | None = None
        self.add_account(Account(DEFAULT_USER, DEFAULT_PASSWORD, options.credit, abroad=options.abroad))

    def add_account(self, account: Account) -> None:
        """Open an account, or replace the one of that name."""
        self.accounts[account.user_id] = account

    def account_of(self, key: str | None) -> Account | None:
        """The account whose valid session key this is."""
        if not key:
            return None
        now = self.clock.now()
        account = self._key_owner.get(key)
        if account is not None and self.accounts.get(account.user_id) is account and account.holds(key, now):
            return account
        self._key_owner.pop(key, None)
        return None

    def remember_key(self, key: str, account: Account) -> None:
        """Note whose key it is: a call carries nothing else."""
        self._key_owner[key] = account

    def keep(self, batch: Batch) -> None:
        """A batch has been accepted."""
        self.batches[batch.batch_id] = batch
        self.stats.accept(len(batch))
        if self.on_accept is not None:
            self.on_accept(batch)

    def batch_of(self, account: Account, batch_id: str) -> Batch | None:
        """The account's batch of that id, in either case of letters."""
        batch = self.batches.get(batch_id.strip().lower())
        return batch if batch is not None and batch.user_id == account.user_id else None

    def next_shuffle(self) -> int:
        """A number that is another for each status page fetched."""
        self._shuffles += 1
        return self._shuffles

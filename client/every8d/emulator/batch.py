"""A batch: what one accepted send call became. Columns, not objects, keep 100,000s of messages light.

A message is its position in the batch, from 0; the gateway's running number (MR) is that plus one.
"""

from array import array  # noqa: TC003 - so that the annotations can be resolved
from collections.abc import Sequence  # noqa: TC003 - the same

from every8d.emulator import life


class Batch:
    """The messages of one accepted call.

    `due` and `cost` hold one value for the whole batch where all messages share it; `dues` and `costs` are
    the columns where they do not. Times are seconds since the epoch by the emulator's clock, except
    `received`, which is the machine's clock when the call arrived.
    """

    __slots__ = (
        "accepted", "batch_id", "cost", "costs", "due", "dues", "emails", "kept", "magic", "names", "numbers",
        "received", "subject", "text", "texts", "user_id", "validity_s",
    )  # fmt: skip

    def __init__(
        self,
        *,
        batch_id: str,
        user_id: str,
        subject: str,
        received: float,
        accepted: float,
        due: float,
        validity_s: float,
        numbers: "array[int]",
        cost: int,
        text: str = "",
    ) -> None:
        self.batch_id = batch_id
        self.user_id = user_id
        self.subject = subject
        self.received = received
        self.accepted = accepted
        self.due = due
        self.validity_s = validity_s
        self.numbers = numbers
        self.cost = cost
        self.text = text
        self.texts: Sequence[str] | None = None
        self.names: Sequence[str] | None = None
        self.emails: Sequence[str] | None = None
        self.costs: array[int] | None = None
        self.dues: array[float] | None = None
        #: Messages that the gateway kept back, by position: 301, 303 or 500.
        self.kept: dict[int, int] = {}
        #: Messages to magic numbers, by position.
        self.magic: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def text_of(self, position: int) -> str:
        """The text that this message carries."""
        return self.text if self.texts is None else self.texts[position]

    def due_of(self, position: int) -> float:
        """When this message goes out, or went."""
        return self.due if self.dues is None else self.dues[position]

    def cost_of(self, position: int) -> int:
        """Points charged for this message; nothing for one that was kept back."""
        if position in self.kept:
            return 0
        return self.cost if self.costs is None else self.costs[position]

    def changes_of(self, position: int, habits: life.Habits) -> list[tuple[float, int]]:
        """The life of a message that went, or will go, to the network."""
        number = self.numbers[position]
        return life.changes(number, self.magic.get(position), self.due_of(position), self.validity_s, habits)

    def status_of(self, position: int, now: float, habits: life.Habits) -> int:
        """The delivery status at `now`."""
        kept = self.kept.get(position)
        if kept is not None:
            return kept
        due = self.due_of(position)
        if now < due:
            return life.BOOKED
        if position not in self.magic and not habits.fail_permille:
            return life.ordinary_status(self.numbers[position], due, now, habits)
        return life.status_at(self.changes_of(position, habits), now)

    def replies_of(self, position: int, habits: life.Habits) -> list[life.Reply]:
        """The texts that come back for this message, whenever that is."""
        if position in self.kept:
            return []
        number, magic = self.numbers[position], self.magic.get(position)
        if magic is None and not habits.reply_permille:
            return []
        return life.replies(number, magic, self.changes_of(position, habits), habits)

    def was_sent(self, position: int, now: float) -> bool:
        """Whether the message has gone to the network."""
        return position not in self.kept and self.due_of(position) <= now

    def erase(self, now: float) -> tuple[int, int]:
        """Cancel what is still booked; the number of messages and their points (specification 4.2)."""
        count = points = 0
        for position in range(len(self.numbers)):
            if position not in self.kept and self.due_of(position) > now:
                count += 1
                points += self.cost_of(position)
                self.kept[position] = life.CANCELLED
        return count, points

"""How the demo is shown: moving bars on a terminal, plain lines anywhere else."""

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from worker.system.demo import Story

#: Between two lines about the same part, where nothing moves.
PLAIN_S = 2.0


class DemoView:
    """Shows a story as it goes. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._told = 0
        self._next_line = 0.0

    def changed(self, story: Story) -> None:
        """Draws the story as it is now."""
        for sentence in story.news[self._told :]:
            self._console.print(sentence, highlight=False)
        self._told = len(story.news)
        if self._live:
            self._live.update(progress(story))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + PLAIN_S
            for part in story.parts:
                self._console.print(
                    f"{part.title}: {part.settled()} of {part.receipt.count} final ({_words(part.status)})",
                    highlight=False,
                )

    def __enter__(self) -> "DemoView":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()


def progress(story: Story) -> RenderableType:
    """The bars, with the counts by status, and the credit."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for part in story.parts:
        count = part.receipt.count
        bar = ProgressBar(total=count, completed=part.settled(), width=30)
        table.add_row(part.title, bar, f"{part.settled():,} / {count:,}", _words(part.status))
    credit = "" if story.credit is None else f"credit {story.credit:,.2f} points   "
    return Group(table, f"{credit}{time.monotonic() - story.began:.0f} s")


def summary(story: Story) -> RenderableType:
    """The table at the end."""
    table = Table(title="What became of it", title_justify="left")
    for title in ("Request", "Lane", "Messages", "Points", "Became"):
        table.add_column(title, justify="right" if title in ("Messages", "Points") else "left")
    for part in story.parts:
        cost = part.status.cost if part.status else 0
        row = (part.title, part.receipt.lane, f"{part.receipt.count:,}", f"{cost:,.2f}", _words(part.status))
        table.add_row(*row)
    count = story.gateway
    said = (
        f"The gateway's own count: {count['sent']:,} texts in {count['batches']} batches, {count['doubled']} doubled; "
        f"{count['logins']} login for all workers, {count['calls']} calls."
    )
    return Group(table, said)


def _words(status: object) -> str:
    counts: dict[str, int] = dict(getattr(status, "messages", {}))
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)

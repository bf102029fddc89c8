"""A counter that moves while a file is read or published, where a person watches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from every8d.command.invocation import Invocation


@contextmanager
def counting(invocation: Invocation, title: str) -> Iterator[Callable[[int], None] | None]:
    """Yields what to call with the number of rows done, or None where nobody watches."""
    if not invocation.a_person_watches:
        yield None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=invocation.err, transient=True) as progress:
        task = progress.add_task(invocation.say(title), total=None)
        yield lambda rows: progress.update(task, completed=rows)

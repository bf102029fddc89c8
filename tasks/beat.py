"""What beat calls. Each looks at the ledger's state, so running twice, late or not at all is harmless."""

from celery import shared_task

from worker import cancel, funds, housekeeping, matching, reconciler, runtime


@shared_task(name="every8d.sweep_due")
def sweep_due() -> None:
    """Rings for lanes in which something is due."""
    housekeeping.sweep_due(runtime.engine())


@shared_task(name="every8d.sweep_polls")
def sweep_polls() -> None:
    """Rings for accounts with a batch to poll."""
    housekeeping.sweep_polls(runtime.engine())


@shared_task(name="every8d.sweep_leases")
def sweep_leases() -> None:
    """Finds chunks whose worker is gone."""
    housekeeping.sweep_leases(runtime.engine())


@shared_task(name="every8d.sweep_staged")
def sweep_staged() -> None:
    """Gives up requests whose seal did not come."""
    housekeeping.sweep_staged(runtime.engine())


@shared_task(name="every8d.sweep_erasures")
def sweep_erasures() -> None:
    """Erases bookings that could not be erased at once."""
    cancel.sweep_erasures(runtime.engine())


@shared_task(name="every8d.sweep_inbox")
def sweep_inbox() -> None:
    """Matches callbacks that were stored."""
    matching.match(runtime.engine())


@shared_task(name="every8d.sweep_funds")
def sweep_funds() -> None:
    """Lets messages and requests go that were held for want of credit."""
    funds.sweep(runtime.engine())


@shared_task(name="every8d.check_credit")
def check_credit() -> None:
    """Asks for each account's credit."""
    housekeeping.check_credit(runtime.engine())


@shared_task(name="every8d.reconcile")
def reconcile() -> None:
    """Settles unknown chunks where the credit, or a setting, says what becomes of them."""
    reconciler.sweep(runtime.engine())


@shared_task(name="every8d.close_idle_session")
def close_idle_session() -> None:
    """Closes sessions that nobody has used for long, where the settings ask for it."""
    housekeeping.close_idle_session(runtime.engine())

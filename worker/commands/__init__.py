"""The commands that this distribution adds to `every8d`; each file is one command, imported when it is
called.
"""

import click

from every8d.command.lazy import LazyCommand

commands: list[click.Command] = [
    LazyCommand(
        "up", "worker.commands.up:up", "Run a whole system on this machine.", "every8d-worker[embedded]"
    ),
    LazyCommand(
        "demo", "worker.commands.demo:demo", "Show the main job, for real.", "every8d-worker[embedded]"
    ),
    LazyCommand("worker", "worker.commands.worker:worker", "Run the Celery worker of a lane."),
    LazyCommand("migrate", "worker.commands.migrate:migrate", "Create or upgrade the ledger."),
    LazyCommand("beat", "worker.commands.beat:beat", "Run beat, which keeps the sweeps going."),
    LazyCommand("web", "web.command:web", "Receive the gateway's callbacks.", "every8d-worker[web]"),
    LazyCommand("messages", "worker.commands.messages:messages", "The messages of a request, one by one."),
    LazyCommand("replies", "worker.commands.replies:replies", "Texts that people sent back."),
    LazyCommand("credit", "worker.commands.credit:credit", "The points that each account has left."),
    LazyCommand("accounts", "worker.commands.accounts:accounts", "Accounts, their sessions and breakers."),
    LazyCommand(
        "callbacks", "worker.commands.callbacks:callbacks", "The gateway's reports that fit nothing."
    ),
    LazyCommand("unknown", "worker.commands.unknown:unknown", "Gateway calls whose outcome is not known."),
    LazyCommand(
        "pause", "worker.commands.pause:pause", "Stop an account, a lane or a request; show what is stopped."
    ),
    LazyCommand("resume", "worker.commands.pause:resume", "Let go on what is paused."),
    LazyCommand("doctor", "worker.commands.doctor:doctor", "Check this deployment against known traps."),
    LazyCommand("dead", "worker.commands.dead:dead", "Task bodies that could not be read."),
    LazyCommand("events", "worker.commands.events:events", "What the system noticed."),
]

"""The real `every8d` as somebody types it beside a running system."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.system import System
from tests.support.waiting import wait_for

EVERY8D = str(Path(sys.executable).with_name("every8d"))
TEXT = "您的包裹已到門市"


@dataclass
class Console:
    """Somebody who types commands beside a running system, and the numbers that were used so far."""

    system: System
    numbers: list[str] = field(default_factory=list)
    _places: Iterator[int] = field(default_factory=lambda: count(80_000_000))

    def number(self) -> str:
        """A mobile number that nobody has used."""
        self.numbers.append(f"09{next(self._places)}")
        return self.numbers[-1]

    def run(self, *arguments: str, stdin: bytes | None = None, **environment: str) -> tuple[int, str, str]:
        """The exit code, standard output and standard error of a command."""
        done = subprocess.run(
            [EVERY8D, *arguments],
            env={**os.environ, "COLUMNS": "200", "LC_ALL": "C.UTF-8", **environment},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
            timeout=60,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return done.returncode, out, err

    def ask(self, *arguments: str, code: int = 0, stdin: bytes | None = None, **environment: str) -> Any:
        """The one object that --json prints, of a command that must end with `code`."""
        exit_code, out, err = self.run(*arguments, "--json", stdin=stdin, **environment)
        assert exit_code == code, out + err
        answer = json.loads(out)
        assert (answer["ok"], answer["exit"]) == (code == 0, code)
        return answer

    def sent(self, *numbers: str, until: str = "delivered", **options: Any) -> str:
        """A request of a program beside us, once all of its messages are in this state. Returns its id."""
        to = numbers or (self.number(),)
        request = str(self.system.producer.send(to, TEXT, confirm=True, **options).request_id)
        self.until(until, request)
        return request

    def until(self, state: str, request: str) -> None:
        """Returns when all messages of the request are in this state."""
        producer = self.system.producer
        wait_for(
            lambda: (now := producer.status(request)).count > 0 and now.messages[state] == now.count,
            what=state,
        )

    def texts(self, number: str) -> list[str]:
        """What the gateway has sent to this number."""
        return [one["text"] for one in self.system.control.sent(number=e164(number), text=True)]


def e164(number: str) -> str:
    return "+886" + number.removeprefix("0")

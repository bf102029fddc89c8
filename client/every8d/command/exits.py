"""Exit codes of `every8d`, for scripts, and the error that carries one."""

from __future__ import annotations

from typing import Any, Final

DONE: Final = 0
#: The system said no: refused, failed, not found. Asking again changes nothing.
NO: Final = 1
#: Wrong usage or bad input. Nothing was sent.
BAD_INPUT: Final = 2
#: Not confirmed: it may or may not have been accepted. Repeating with the same --key is safe.
NOT_KNOWN: Final = 3
#: Broker, gateway or ledger cannot be reached. Of a `send` the error tells the --key that makes repeating it safe.
NOT_REACHED: Final = 4
#: Ctrl-C, as shells have it.
INTERRUPTED: Final = 130

EPILOG = """\b
Exit codes:
  0  done
  1  the system said no (refused, failed, not found)
  2  wrong usage or bad input; nothing was sent
  3  not confirmed: it may or may not have been accepted;
     repeating it with the same --key is safe
  4  broker, gateway or ledger not reachable
  130  interrupted
"""


class Problem(Exception):
    """What a command ends with when it is not done: an exit code, a sentence, and what to do.

    `kind` is one word for scripts, `more` what --json adds. Texts hold no number, text or credential.
    """

    def __init__(self, exit_code: int, kind: str, message: str, advice: str = "", /, **more: Any) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.kind = kind
        self.message = message
        self.advice = advice
        self.more = more

    def as_json(self) -> dict[str, Any]:
        """The one object that --json prints."""
        error = {"kind": self.kind, "message": self.message, "advice": self.advice}
        return {"ok": False, "exit": self.exit_code, "error": error, **self.more}

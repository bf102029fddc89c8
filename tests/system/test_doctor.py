"""`every8d doctor` beside a running system: exit code 0 while all of it runs, 1 with what to do when it does not."""

import pytest

from tests.support.console import Console
from tests.support.system import running
from tests.support.waiting import wait_for


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("db", ["sqlite", "postgres"])
def test_a_healthy_system_and_what_is_left_of_it(db: str) -> None:
    with running(db, warm=False) as system:
        console = Console(system)

        def lanes() -> list[str]:
            code, _, _ = console.run("doctor", "--json", "--wait", "5")
            return ["healthy"] if code == 0 else []

        wait_for(lanes, within_s=90, what="every worker and beat")
        answer = console.ask("doctor", "--wait", "5")
        assert {one["verdict"] for one in answer["findings"]} <= {"ok", "warning"}
        assert not any(one["advice"] for one in answer["findings"] if one["verdict"] == "ok")

        system.supervisor.stop(30.0)
        wait_for(lambda: console.run("doctor", "--wait", "1")[0] == 1, within_s=60, what="that it is noticed")
        wait_for(
            lambda: "beat" in wrong(console),
            within_s=60,
            what="the end of beat's lock, which it did not renew",
        )
        assert wrong(console) == {"lanes", "beat"}
        for lang, words in (("en", "run every8d worker --lane otp"), ("zh", "請執行 every8d beat")):
            code, out, err = console.run("doctor", "--lang", lang, "--wait", "1")
            assert (code, words in out) == (1, True), out + err


def wrong(console: Console) -> set[str]:
    """The checks that found a problem."""
    answer = console.ask("doctor", "--wait", "1", code=1)
    return {one["check"] for one in answer["findings"] if one["verdict"] in ("problem", "unseen")}

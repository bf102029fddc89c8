"""When `every8d up` runs the process for callbacks, and who gets to know the secret."""

from pydantic import SecretStr

from config import Account, Settings
from worker.system import processes
from worker.system.system import System

ADDRESS = processes.CallbackAddress(8099)


def system(**account: object) -> System:
    settings = Settings(
        web_port=8765,
        accounts={"default": Account(user_id="u", password=SecretStr("p"), **account)},  # type: ignore[arg-type]
    )
    return System(settings, lambda _name, _line: None)


def test_accounts_without_a_secret_need_no_process() -> None:
    with system() as one:
        assert not one.hears_callbacks
        assert "callbacks" not in one.addresses()


def test_the_address_is_shown_without_the_secret() -> None:
    with system(callback_secret=SecretStr("the-secret-of-this-account")) as one:
        assert one.hears_callbacks
        assert one.addresses()["callbacks"] == "http://127.0.0.1:8765/callbacks/every8d/***"


def test_the_emulator_and_the_workers_get_the_address_by_their_environment() -> None:
    spec = processes.emulator(8021, {"A": "b"}, ("--credit", "1"), callbacks=ADDRESS)
    assert spec.env is not None
    assert spec.env["EMULATOR_CALLBACK_URL"] == f"http://127.0.0.1:8099/callbacks/every8d/{ADDRESS.secret}"
    assert spec.env["A"] == "b"
    assert ADDRESS.secret not in repr(spec) + repr(spec.command) + repr(ADDRESS)
    env = processes.child_environment(Settings(), gateway_url="http://x/", callbacks=ADDRESS)
    assert env["EVERY8D_ACCOUNTS__DEFAULT__CALLBACK_SECRET"] == ADDRESS.secret
    assert (env["EVERY8D_WEB_PORT"], env["EVERY8D_ACCOUNTS__DEFAULT__CALLBACKS"]) == ("8099", "true")
    assert ADDRESS.secret not in repr(processes.web(env))


def test_each_system_has_a_secret_of_its_own() -> None:
    assert processes.CallbackAddress(1).secret != processes.CallbackAddress(1).secret
    assert len(ADDRESS.secret) >= 16

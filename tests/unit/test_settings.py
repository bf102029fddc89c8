"""Settings: where they come from, what is said of wrong ones, and what is never said."""

import os
import traceback
from pathlib import Path

import pytest

from config import Settings, SettingsError, load
from config.account import EMULATOR_URL, GATEWAY_URL
from config.settings import SOCKET_PATH_MAX, redis_address, socket_path

SECRET = "s3cret-w0rd"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings at all, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("EVERY8D_")]:
        monkeypatch.delenv(name)


def env(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"EVERY8D_{name}", value)


def account(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    env(monkeypatch, **{f"ACCOUNTS__SHOP__{name}": value for name, value in values.items()})


def wrong() -> dict[str, str]:
    with pytest.raises(SettingsError) as error:
        load()
    assert SECRET not in "".join(traceback.format_exception(error.value))
    return dict(error.value.problems)


def test_with_no_settings_all_is_embedded(tmp_path: Path) -> None:
    settings = load()
    assert settings.data_dir == tmp_path / ".every8d"
    assert settings.broker_url == f"redis+socket://{tmp_path}/.every8d/valkey.sock"
    assert settings.redis_url == f"unix://{tmp_path}/.every8d/valkey.sock"
    assert settings.database_url == f"sqlite:///{tmp_path}/.every8d/ledger.db"
    assert settings.account("default").url == EMULATOR_URL
    assert (settings.embedded_broker, settings.embedded_gateway) == (True, True)


def test_each_embedded_part_is_replaced_by_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    env(monkeypatch, BROKER_URL="redis://r:6379/1", DATABASE_URL="postgresql://d/e")
    account(monkeypatch, USER_ID="u", PASSWORD="p")
    settings = load()
    assert (settings.redis_url, settings.database_url) == ("redis://r:6379/1", "postgresql://d/e")
    assert (list(settings.accounts), settings.account("shop").url) == (["shop"], GATEWAY_URL)
    assert (settings.embedded_broker, settings.embedded_gateway) == (False, False)


def test_an_account_comes_from_the_environment_with_all_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    account(
        monkeypatch,
        USER_ID="u",
        PASSWORD=SECRET,
        CHUNK_SIZE="2500",
        MAX_CALLS_IN_FLIGHT__OTP="3",
        INTERNATIONAL="true",
        CALLBACKS="1",
    )
    shop = load().account("shop")
    assert (shop.user_id, shop.password.get_secret_value(), shop.chunk_size) == ("u", SECRET, 2500)
    assert (shop.international, shop.first_poll_after_s) == (True, 300.0)
    assert [shop.calls_in_flight(lane) for lane in ("otp", "normal", "bulk", "poll")] == [3, 4, 4, 4]


def test_the_environment_wins_over_dotenv_and_dotenv_over_toml(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "every8d.toml"
    file.write_text(
        'slice_s = 1\nlook_interval_s = 1\nlog_level = "ERROR"\n'
        '[accounts.shop]\nuser_id = "toml"\npassword = "p"\nchunk_size = 7\n'
    )
    (tmp_path / ".env").write_text("EVERY8D_SLICE_S=2\nEVERY8D_LOOK_INTERVAL_S=2\nOTHER_PROGRAM=x\n")
    env(monkeypatch, CONFIG=str(file), SLICE_S="3")
    account(monkeypatch, USER_ID="env")
    settings = load()
    assert (settings.slice_s, settings.look_interval_s, settings.log_level) == (3, 2, "ERROR")
    assert (settings.account("shop").user_id, settings.account("shop").chunk_size) == ("env", 7)


def test_several_accounts_come_from_one_file_and_aliases_are_lower_case(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "every8d.toml"
    file.write_text(
        "\n".join(f'[accounts.{alias}]\nuser_id = "{alias}"\npassword = "p"' for alias in ("Shop", "bank"))
    )
    env(monkeypatch, CONFIG=str(file))
    assert {alias: one.user_id for alias, one in load().accounts.items()} == {"shop": "Shop", "bank": "bank"}


def test_a_password_comes_from_a_file_without_its_line_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET} \n")
    account(monkeypatch, USER_ID="u", PASSWORD_FILE="secret")
    assert load().account("shop").password.get_secret_value() == f"{SECRET} "


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe\xff"])
def test_a_password_file_that_gives_no_password_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    account(monkeypatch, USER_ID="u", PASSWORD_FILE="secret")
    assert list(wrong()) == ["EVERY8D_ACCOUNTS__SHOP"]


def test_all_that_is_wrong_is_one_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EVERY8D_SLICES=1\n")
    env(monkeypatch, DATABSE_URL=f"postgresql://u:{SECRET}@d/e", SLICE_S="0", LOG_LEVEL="LOUD")
    account(monkeypatch, PASSWORD=SECRET, URL="ftp://x", CHUNK_SIZE="many", COLOUR="red", SOAP=SECRET)
    found = wrong()
    assert set(found) == {
        "EVERY8D_DATABSE_URL",
        "EVERY8D_SLICES",
        "EVERY8D_SLICE_S",
        "EVERY8D_LOG_LEVEL",
        *(f"EVERY8D_ACCOUNTS__SHOP__{name}" for name in ("USER_ID", "URL", "CHUNK_SIZE", "COLOUR", "SOAP")),
    }
    assert found["EVERY8D_DATABSE_URL"] == "no such setting"
    lines = str(SettingsError(list(found.items()))).splitlines()
    columns = {line.index(found[name]) for line, name in zip(lines[1:], found, strict=True)}
    assert (len(lines), len(columns)) == (len(found) + 1, 1)


def test_a_misspelt_name_in_the_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "every8d.toml").write_text("slices = 1\n")
    env(monkeypatch, CONFIG="every8d.toml")
    assert wrong() == {"EVERY8D_SLICES": "no such setting"}


def test_an_account_without_a_password_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    account(monkeypatch, USER_ID="u")
    assert wrong() == {"EVERY8D_ACCOUNTS__SHOP": "a password or a password_file is needed"}


@pytest.mark.parametrize("content", ["accounts = [", f'password = "{SECRET}', "\udcff"])
def test_a_file_that_is_no_toml_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "every8d.toml"
    file.write_bytes(content.encode(errors="surrogateescape"))
    env(monkeypatch, CONFIG=str(file))
    assert "cannot be read" in wrong()[str(file)]


def test_a_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    env(monkeypatch, CONFIG="nowhere.toml")
    assert "no such file" in wrong()["EVERY8D_CONFIG"]


def test_accounts_that_are_no_json_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    env(monkeypatch, ACCOUNTS=f'{{"shop": {{"password": "{SECRET}"')
    assert len(wrong()) == 1


def test_a_broker_that_is_not_redis_needs_a_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    env(monkeypatch, BROKER_URL=f"amqp://u:{SECRET}@rabbit//")
    assert list(wrong()) == ["EVERY8D_REDIS_URL"]
    env(monkeypatch, REDIS_URL="redis://r")
    assert load().redis_url == "redis://r"


def test_the_command_lines_own_variable_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    env(monkeypatch, ABROAD="1")
    load()


def test_nothing_printed_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    env(
        monkeypatch,
        BROKER_URL=f"redis://:{SECRET}@r",
        REDIS_URL=f"redis://:{SECRET}@r",
        DATABASE_URL=f"postgresql://u:{SECRET}@d/e",
    )
    account(monkeypatch, USER_ID="u", PASSWORD=SECRET, PROXY=f"http://u:{SECRET}@proxy")
    settings = load()
    assert settings.account("shop").proxy == f"http://u:{SECRET}@proxy"
    for printed in (repr(settings), str(settings), repr(settings.accounts), repr(settings.account("shop"))):
        assert SECRET not in printed


@pytest.mark.parametrize(
    ("broker", "redis"),
    [
        ("redis+socket:///a/b.sock", "unix:///a/b.sock"),
        ("redis+socket:///a/b.sock?virtual_host=2", "unix:///a/b.sock?db=2"),
        ("rediss://r:6380/1", "rediss://r:6380/1"),
        ("sentinel://s:26379", ""),
        ("amqp://r", ""),
    ],
)
def test_the_brokers_redis_serves_for_the_rest(broker: str, redis: str) -> None:
    assert redis_address(broker) == redis


def test_a_long_data_directory_has_a_short_socket(tmp_path: Path) -> None:
    long = tmp_path / ("長" * 40)
    found = socket_path(long)
    assert len(os.fsencode(found)) <= SOCKET_PATH_MAX
    assert (found, socket_path(tmp_path / "x")) == (socket_path(long), tmp_path / "x" / "valkey.sock")
    assert found != socket_path(tmp_path / ("短" * 40))


def test_arguments_win_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    env(monkeypatch, SLICE_S="3")
    assert load(slice_s=4).slice_s == Settings(slice_s=4).slice_s == 4

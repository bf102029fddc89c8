"""docs/settings.md against the settings: every one is there, with the default that it has; and the READMEs' example."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from config import Account, Settings, load
from config.account import CallsInFlight

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
#: Worked out, not set; the page says so below its table.
WORKED_OUT = {"embedded_broker", "embedded_gateway"}
TABLES: dict[str, type[BaseModel]] = {
    "The system": Settings,
    "An account": Account,
    "How many calls at once": CallsInFlight,
}


def rows(heading: str) -> dict[str, str]:
    """The settings of a section's table, each with what stands in the column of defaults."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    [text] = [one for one in section if one.startswith(heading + "\n")]
    return {
        name: default.strip("` ")
        for name, default in re.findall(r"^\| `(\w+)` \|([^|]*)\|", text, flags=re.MULTILINE)
    }


def written(default: Any) -> str:
    """A default as the page writes it."""
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default is None:
        return "none"
    if default in ("", {}):
        return "empty"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_each_setting_with_its_default(heading: str) -> None:
    fields = {
        name: written(field.default)
        for name, field in TABLES[heading].model_fields.items()
        if name not in WORKED_OUT and not isinstance(field.default, BaseModel)  # which has a table of its own
    }
    assert rows(heading) == fields


def test_settings_that_nobody_sets_are_named_as_such() -> None:
    assert Settings.model_fields.keys() >= WORKED_OUT
    assert all(f"`{name}`" in PAGE for name in WORKED_OUT)


def test_settings_with_a_table_of_their_own_are_named() -> None:
    nested = [name for name, field in Account.model_fields.items() if isinstance(field.default, BaseModel)]
    assert nested
    assert all(f"[accounts.NAME.{name}]" in PAGE for name in nested)


@pytest.mark.parametrize("name", ["README.md", "README.zh-TW.md"])
def test_the_readmes_file_of_settings_is_right(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [shown] = re.findall(
        r"^```toml\n(.*?)^```$", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    for secret in re.findall(r"/run/secrets/([\w-]+)", shown):
        (tmp_path / secret).write_text("a password\n", encoding="utf-8")
    file = tmp_path / "every8d.toml"
    file.write_text(shown.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for variable in [one for one in os.environ if one.upper().startswith("EVERY8D_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("EVERY8D_CONFIG", str(file))
    settings = load()
    assert list(settings.accounts) == ["default", "marketing"]
    assert settings.accounts["default"].password.get_secret_value() == "a password"
    assert not settings.embedded_broker

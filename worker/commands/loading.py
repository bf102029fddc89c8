"""Settings for a command, or the one readable table of what is wrong with them."""

from config import Settings, SettingsError, load
from every8d.command.exits import BAD_INPUT, Problem


def load_settings() -> Settings:
    """The settings of the environment. Raises `Problem` with a row for each wrong one."""
    try:
        return load()
    except SettingsError as error:
        problems = [{"setting": name, "problem": what} for name, what in error.problems]
        raise Problem(BAD_INPUT, "bad_settings", str(error), problems=problems) from None

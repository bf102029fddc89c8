"""Typed settings, the Celery configuration and the beat schedule. Imports nothing else of ours."""

from config.account import Account, Lane
from config.settings import Settings, SettingsError, load

__all__ = ["Account", "Lane", "Settings", "SettingsError", "load"]

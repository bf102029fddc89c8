"""The settings of one account: its credentials, its gateway, and how hard it may be used."""

from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

EMULATOR_URL = "http://127.0.0.1:8021/API21/SOAP/SMS.asmx"
GATEWAY_URL = "https://oms.every8d.com/API21/SOAP/SMS.asmx"


class Lane(StrEnum):
    """A queue with worker processes of its own, so that a campaign never delays a code."""

    OTP = "otp"
    NORMAL = "normal"
    BULK = "bulk"


class CallsInFlight(BaseModel):
    """How many gateway calls of each lane may be under way at once, over all workers."""

    model_config = ConfigDict(extra="forbid")

    otp: int = Field(16, ge=1, le=500)
    normal: int = Field(4, ge=1, le=500)
    bulk: int = Field(4, ge=1, le=500)
    poll: int = Field(4, ge=1, le=500)


class Account(BaseModel):
    """One EVERY8D login and its limits. Unpublished limits of the gateway are settings with careful defaults."""

    model_config = ConfigDict(extra="forbid")

    user_id: str = Field(min_length=1)
    password: SecretStr = SecretStr("")
    #: A file that holds the password alone (Docker, Kubernetes and systemd secrets).
    password_file: Path | None = None
    url: str = GATEWAY_URL
    soap: Literal["1.1", "1.2"] = "1.1"
    #: It may hold a password.
    proxy: str | None = Field(None, repr=False)
    ca_file: Path | None = None
    #: Total time of one gateway call, from connecting to the last byte.
    call_deadline_s: float = Field(30.0, gt=0, le=300)
    connect_timeout_s: float = Field(5.0, gt=0, le=60)

    #: Recipients in one call. A sister API advises 500 to 2,000; the specification is silent.
    chunk_size: int = Field(500, ge=1, le=5000)
    #: Gateway calls a second over all workers, all lanes; bulk may use at most 80 % of it.
    rate_limit_calls_s: float = Field(20.0, gt=0, le=10_000)
    max_calls_in_flight: CallsInFlight = CallsInFlight()
    #: The vendor's console must allow it first (status 500 otherwise).
    international: bool = False

    #: -99 on a send means "not processed" by the specification. False treats it as unknown.
    busy_is_not_sent: bool = True
    #: After so many waits of its lane a chunk that always gets -99 is halved, and a message alone refused.
    busy_tries: int = Field(20, ge=1)
    #: The longest wait between tries while the gateway cannot be reached or is busy.
    retry_ceiling_s: float = Field(60.0, gt=0, le=900)

    #: Delivery reports and replies arrive by callback; polling is then the second net only.
    callbacks: bool = False
    first_poll_s: float | None = Field(None, gt=0)
    #: The longest time between two polls of a batch with messages that are not final.
    poll_ceiling_s: float = Field(1800.0, gt=0)
    #: After all messages are final, replies are looked for once an hour for so long (not with callbacks).
    reply_window_h: float = Field(72.0, ge=0)
    #: Messages still without a final status are not asked for any longer after this.
    poll_give_up_h: float = Field(120.0, gt=0)

    #: The last part of the address that the gateway's callbacks go to; whoever knows it can make reports up.
    callback_secret: SecretStr | None = None

    #: Nobody but these workers spends the account's credit: then it proves what an unknown call did.
    exclusive: bool = False
    #: Points may come back for texts that were not delivered, which makes a credit prove less.
    refunds: bool = True
    #: The gateway may still be executing a call whose answer was lost for so long.
    unknown_after_s: float = Field(180.0, ge=0)
    #: What becomes of an otp chunk of which nobody knows whether it was sent: `resend` may send a code twice.
    otp_unknown: Literal["hold", "resend"] = "hold"
    otp_resend_after_s: float = Field(60.0, ge=0)

    #: Texts to one number, over all requests, in any hour and in any day; more of them wait. 0: no cap.
    cap_hour: int = Field(0, ge=0)
    cap_day: int = Field(0, ge=0)
    #: Points spent in any hour and in any day at which the bulk lane pauses. 0: no limit.
    points_hour: float = Field(0.0, ge=0)
    points_day: float = Field(0.0, ge=0)
    #: A bulk request that costs more than the credit: wait for a top-up, or send what is covered.
    campaign_funds: Literal["hold", "send"] = "hold"
    #: Credit below this raises an alarm, once until it is above again. 0: none.
    low_credit: float = Field(0.0, ge=0)
    #: A message that the gateway left unsent for want of credit waits for a top-up for so long, then it is final.
    no_credit_hold_h: float = Field(72.0, ge=0)

    #: Close the connection after so many idle minutes; 0 never (other systems may share the key).
    close_idle_min: float = Field(0.0, ge=0)

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http or https address such as " + GATEWAY_URL)
        return value

    @model_validator(mode="after")
    def _password_from_file(self) -> "Account":
        if self.password_file is not None:
            try:
                self.password = SecretStr(self.password_file.read_text(encoding="utf-8").rstrip("\r\n"))
            except OSError as error:
                raise ValueError(f"password_file cannot be read: {error.strerror}") from None
        if not self.password.get_secret_value():
            raise ValueError("a password or a password_file is needed")
        return self

    @property
    def first_poll_after_s(self) -> float:
        """Seconds from the gateway's acceptance to the first poll."""
        return self.first_poll_s if self.first_poll_s is not None else (300.0 if self.callbacks else 30.0)

    def calls_in_flight(self, lane: str) -> int:
        """How many calls of a lane (or `poll`) may be under way at once."""
        return int(getattr(self.max_calls_in_flight, lane))

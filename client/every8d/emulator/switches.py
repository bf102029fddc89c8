"""What nobody knows of the real gateway, or what differs between versions: so tests run both ways."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(slots=True)
class Switches:
    """Names as in `POST /control/switches`."""

    second_login: Literal["voids", "keeps", "same"] = (
        "voids"  # of the first key; "same" answers that key again
    )
    refund_erased: bool = True  # eraseBooking gives the points back
    unsent: Literal["last", "first"] = "last"  # which messages stay unsent when the credit runs out
    row_order: Literal["stable", "reversed", "shuffled"] = (
        "stable"  # shuffled anew for each page that is fetched
    )
    echo_subject: bool = True  # SUBJECT in callbacks
    send_message: bool = True  # the operation sendMessage exists
    bad_number: Literal["refuse", "status"] = "refuse"  # -306 for the call, or status -8 for that message
    name_bad_number: bool = False  # the text of -306 ends with the number
    bare_301: bool = False  # "-301" without a text
    padded_times: bool = True  # SENT_TIME with leading zeros
    cost_digits: Literal[0, 1, 2] = 1  # decimals of COST in send replies
    local_param_number: Literal["triple", "usual"] = "triple"  # price of 09… (not +886…) in sendParamSMS
    idle_close_s: float = 0.0  # connections idle for longer are closed; 0: never
    callback_upper_names: bool = False  # BATCHID instead of BatchID
    callback_copies: int = 1  # each callback is sent this often

    def set(self, name: str, value: Any) -> None:
        """Set one switch.

        Raises ValueError where there is no such switch, or it does not take the value.
        """
        wanted = get_type_hints(Switches).get(name)
        if wanted is None:
            known = ", ".join(field.name for field in fields(self))
            raise ValueError(f"no switch {name!r}; there are {known}")
        if get_origin(wanted) is Literal:
            if value not in get_args(wanted) or isinstance(value, bool):
                raise ValueError(f"switch {name} takes one of {', '.join(map(repr, get_args(wanted)))}")
        elif wanted is float:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"switch {name} takes a number")
        elif type(value) is not wanted:
            raise ValueError(f"switch {name} takes {wanted.__name__}")
        setattr(self, name, value)

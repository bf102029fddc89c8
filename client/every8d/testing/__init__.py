"""For the tests of programs that send: a gateway in memory, and a pytest fixture `every8d_gateway`.

def test_a_customer_gets_a_code(every8d_gateway):
    my_program(every8d_gateway)
    assert every8d_gateway.texts_to("0912345678") == ["Your code is 1234"]
"""

from __future__ import annotations

from typing import Any

__all__ = ["FakeGateway", "SentMessage"]


def __getattr__(name: str) -> Any:
    # pytest loads the plugin in every run of every project that has this: nothing heavy before its use.
    if name in __all__:
        from every8d.testing import fake

        return getattr(fake, name)
    raise AttributeError(name)

"""The points of the project, read from its source: what each commit and each gateway call is named there."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Where gateway calls are made and the ledger is written.
PACKAGES = ("worker", "tasks", "web")
#: The gateway's operations, as `every8d.operations` names them.
OPERATIONS = {
    "get_connection": "getConnection",
    "close_connection": "closeConnection",
    "send_sms": "sendSMS",
    "send_message": "sendMessage",
    "send_param_sms": "sendParamSMS",
    "get_delivery_status": "getDeliveryStatus",
    "get_credit": "getCredit",
    "erase_booking": "eraseBooking",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A commit or a gateway call: where it is, and its point's name; None where it has none."""

    where: str
    name: str | None


def commits() -> list[Found]:
    """Every `database.write(…)`."""
    return [
        Found(f"{path}:{node.lineno}", _constant(_keyword(node, "point")))
        for path, tree in _sources()
        for node in ast.walk(tree)
        if _called(node) == "write" and _of_database(node)
    ]


def transactions_past_write() -> list[str]:
    """Places that begin a transaction on the engine itself, past `Database.write` and its point."""
    return [
        f"{path}:{node.lineno}"
        for path, tree in _sources()
        for node in ast.walk(tree)
        if _called(node) in ("begin", "commit", "raw_connection")
        and path not in ("worker/ledger/database.py",)
    ]


def calls() -> list[Found]:
    """Every gateway call. Its name is that of the point around it, where that names its operation."""
    return [found for path, tree in _sources() for found in _calls_in(path, tree, [])]


def _calls_in(path: str, node: ast.AST, around: list[str]) -> Iterator[Found]:
    if isinstance(node, ast.With):
        around = around + [name for item in node.items if (name := _point_around(item.context_expr))]
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        around = []  # it may run anywhere else
    operation = OPERATIONS.get(_named(node) or "")
    if operation is not None:
        # In the sender one point is around three operations, and is named by the chunk's own.
        known = [name for name in around if name in (operation, "packed.operation")]
        yield Found(f"{path}:{getattr(node, 'lineno', 0)}", f"call.{operation}" if known else None)
    for child in ast.iter_child_nodes(node):
        yield from _calls_in(path, child, around)


def _point_around(call: ast.expr) -> str | None:
    if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "points.call"):
        return None
    [operation] = call.args
    return _constant(operation) or ast.unparse(operation)


def _named(node: ast.AST) -> str | None:
    """An operation's method, called or handed on: `tries(gateway.get_connection)` calls it too."""
    return node.attr if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) else None


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def _called(node: ast.AST) -> str | None:
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None


def _of_database(node: ast.AST) -> bool:
    """`os.write`, `file.write` and `path.write_text` are no commits; whatever is called a database is one."""
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Attribute)
    return "database" in ast.unparse(node.func.value).lower()


def _keyword(node: ast.AST, name: str) -> ast.expr | None:
    assert isinstance(node, ast.Call)
    return next((one.value for one in node.keywords if one.arg == name), None)


def _constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

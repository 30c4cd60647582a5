"""Arithmetic with counts, such as ``rows/events``: names, numbers, ``+ - * /`` and brackets, and nothing else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence

from penstock.core.errors import ConfigError, nearest

__all__ = ["check_counting", "evaluate_counting"]

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def check_counting(text: str, known: Sequence[str], where: str) -> None:
    """Check an expression before there are counts.

    Raises
    ------
    ConfigError
        It is no arithmetic, or has a name that is not `known`.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{where}: value = {text!r} cannot be read. Expected arithmetic such as 'rows/events'.") from error
    for node in _nodes(tree):
        if isinstance(node, ast.Name):
            if node.id not in known:
                raise ConfigError(f"{where}: value = {text!r}: {node.id!r} is not counted ({', '.join(known)}).{nearest(node.id, known)}")
        elif not _is_arithmetic(node):
            raise ConfigError(
                f"{where}: value = {text!r}: {ast.unparse(node)!r} is not allowed. Expected names of counts, numbers, + - * / and brackets."
            )


def evaluate_counting(text: str, counts: Mapping[str, float]) -> float:
    """The value of an expression that was checked.

    Raises
    ------
    ZeroDivisionError
        It divides by a count that is 0.
    """
    return _evaluate(ast.parse(text, mode="eval").body, counts)


def _nodes(tree: ast.expr) -> Iterator[ast.expr]:
    """Every expression of the tree, the outermost first; what is not allowed is not entered."""
    yield tree
    if isinstance(tree, ast.BinOp):
        yield from _nodes(tree.left)
        yield from _nodes(tree.right)
    elif isinstance(tree, ast.UnaryOp):
        yield from _nodes(tree.operand)


def _is_arithmetic(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return type(node.op) in _OPERATORS
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub)
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _evaluate(node: ast.expr, counts: Mapping[str, float]) -> float:
    match node:
        case ast.BinOp():
            return _OPERATORS[type(node.op)](_evaluate(node.left, counts), _evaluate(node.right, counts))
        case ast.UnaryOp():
            return -_evaluate(node.operand, counts)
        case ast.Name():
            return float(counts[node.id])
        case ast.Constant(value=int() | float() as number):
            return float(number)
    raise ValueError(f"{ast.unparse(node)!r} is no arithmetic")

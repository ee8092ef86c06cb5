"""The checker of signatures that `tests/conftest.py` puts on every function of the package."""

from collections.abc import Callable
from typing import Any, Self, get_args

from beartype import BeartypeConf, FrozenDict, beartype


def checked(function: Callable) -> Callable:
    """`function`, with its arguments and result held against its annotations by beartype.

    Annotations that say what cannot be told of a value are left out; an int is a float, as for the type checker.
    """
    left_out = {hint: Any for hint in function.__annotations__.values() if is_uncheckable(hint)}
    return beartype(function, conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict(left_out)))


def is_uncheckable(hint: Any) -> bool:
    """Whether `Self` or a protocol not made for `isinstance` stands anywhere in the annotation."""
    is_protocol = getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)
    return hint is Self or is_protocol or any(map(is_uncheckable, get_args(hint)))

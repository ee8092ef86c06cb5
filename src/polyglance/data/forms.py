"""Validation of users' files by declared models, with one short reason for each fault.

Keys that a model does not declare are ignored on purpose: published files have many that are not needed here, and
people keep their own notes.

Only modules that read such files import this one, so that a search does not wait for it.
"""

import json
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from polyglance.data.lines import named, short

AnyForm = TypeVar("AnyForm", bound="Form")

_KINDS: Final = {
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "greater_than_equal": "a number from 1 on",
}
"""What was expected, by the type of pydantic's error."""


class Form(BaseModel):
    """One object of a file. Values keep their JSON types; only fields that declare a conversion are converted."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, defer_build=True)


class Description(Form):
    """One of this package's own descriptions of what stands beside it in a folder; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")

    format: int


AnyDescription = TypeVar("AnyDescription", bound=Description)


def described(form: type[AnyDescription], text: str, version: int) -> AnyDescription:
    """The JSON text of a description as a `form`.

    version: the format that this version of the package writes; a later one may mean what it does not know.

    Raises ValueError, with all reasons on one line, for anything else.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict) or type(written := fields.get("format")) is not int:
        raise ValueError(f"expected an object with a format, of format {version}")
    if written != version:
        raise ValueError(f"expected format {version}, got {written}; use the version of polyglance that wrote it")
    return checked(form, fields)


def _number_as_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _id(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"expected an id, a text or a whole number, got {short(value)}")
    return str(value).strip()


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
TextOrNumber = Annotated[str, BeforeValidator(_number_as_text), StringConstraints(strip_whitespace=True, min_length=1)]
"""An answer; a number or Boolean is converted to its text, `2` or `true`."""
MaybeEmpty = Annotated[str, BeforeValidator(_number_as_text)]
"""Like `TextOrNumber`, but it may be empty."""
Id = Annotated[str, BeforeValidator(_id)]
Count = Annotated[int, Field(ge=1)]


def checked(form: type[AnyForm], row: object) -> AnyForm:
    """Validates `row` as a `form`. Raises ValueError with all reasons on one line."""
    try:
        return form.model_validate(row)
    except ValidationError as error:
        reasons = dict.fromkeys(_reason(dict(fault)) for fault in error.errors(include_url=False))
        raise ValueError(named(list(reasons))) from None


def _reason(error: dict[str, Any]) -> str:
    place = ".".join(map(str, error["loc"]))
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        return f"{place!r} is unknown"
    if kind in ("string_too_short", "too_short"):
        return f"{place} is empty"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ")
        return f"expected {place} to be one of {choices}, got {short(error['input'])}"
    if kind == "value_error":
        return str(context["error"])
    got = short(error["input"])
    expected = _KINDS.get(kind)
    if expected is None:
        return f"{place}: {error['msg']}, got {got}"
    return f"expected {place} to be {expected}, got {got}" if place else f"expected {expected}, got {got}"

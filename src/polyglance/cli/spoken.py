"""Commands that take a text, such as a query. A text that begins with a dash is taken for an option."""

import shlex
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption


class SpokenCommand(TyperCommand):
    """A command that explains how to write a text that begins with a dash, if it is taken for an unknown option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            text = self._taken_for_option(given)
            if text is None:
                raise
            raise typer.BadParameter(
                f"{str(error).rstrip('.')}; a text that begins with a dash stands last, behind --: "
                f"{ctx.command_path} -- {shlex.quote(text)}"
            ) from error

    def _taken_for_option(self, given: Sequence[str]) -> str | None:
        """Returns the first argument that begins with a dash and is neither an option nor an option's value."""
        options = [parameter for parameter in self.params if isinstance(parameter, TyperOption)]
        known = {name for option in options for name in option.opts} | {"-h", "--help"}
        valued = {name for option in options if not option.is_flag for name in option.opts}
        before = given[: given.index("--")] if "--" in given else given
        for place, text in enumerate(before):
            is_value = place > 0 and before[place - 1] in valued
            is_option = text.partition("=")[0] in known or (text[:2] in known and text[2:].isdecimal())
            if text.startswith("-") and len(text) > 1 and not is_value and not is_option:
                return text
        return None

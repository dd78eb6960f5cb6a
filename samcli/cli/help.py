"""Help in two lengths: `--help` shows what most people need of a command, `--help-all` every option."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

# Of caption, tag and ask: for clusters, for tuning a machine, for names no other list can hold.
RARE = frozenset(
    {"engine", "ray_address", "workers", "gpus_per_worker", "shard", "unordered", "batch_size", "threads", "dtype"}
    | {"files0_from", "fail_fast", "safe_cells", "seed", "max_new_tokens", "beams", "refine_with", "traceback"}
)


class ShortHelp(TyperCommand):
    """A command whose rare options are there, and completed, but not in its usual help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        rare = [option for option in self.params if isinstance(option, TyperOption) and option.name in RARE]
        for option in rare:
            option.hidden = not ctx.params.get("help_all")
        try:
            super().format_help(ctx, formatter)
        finally:
            for option in rare:
                option.hidden = False


def show_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.params["help_all"] = True
        typer.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


HelpAll = Annotated[
    bool,
    typer.Option("--help-all", help="Help with the rarer options.", metavar="", callback=show_all, is_eager=True),
]

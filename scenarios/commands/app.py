"""The command line: its subcommands, and what went wrong in one said in a sentence."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scenarios.commands.completion import Word, complete_options, whole_bash_words
from scenarios.errors import CannotWriteError, LostWorkersError, UnknownNameError, UserError
from scenarios.interrupts import ended_like_interrupted
from scenarios.version import TWINPOOL_VERSION
from traces.record import TraceError
from traces.wording import one_sentence

EXIT_FAILED = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 130
USERS_MISTAKES = {
    *(errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR),
    *(errno.EPERM, errno.EROFS),
}
"""What the system says of names of files that cannot be used."""
TRACEBACK_VARIABLE = "TWINPOOL_TRACEBACK"
COMMANDS = (
    *("replay", "plan", "capacity", "sweep", "compare", "calibrate", "validate"),
    *("reproduce", "report", "list"),
)
"""Subcommands in the order of the help; each has a module of its name in `scenarios.commands`."""


class Commands(TyperGroup):
    """Subcommands that are imported when they are called: few need what a replay needs."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own context
        """Run a subcommand; one that keeps nothing when it is interrupted need not say so."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's own context
        """Names of all subcommands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - likewise
        """The subcommand of a name; raise `UnknownNameError` if there is none."""
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:  # a shell asks for completions: it wants no complaint
                return None
            raise UnknownNameError("command", cmd_name, COMMANDS)
        module: Any = import_module(f"scenarios.commands.{cmd_name}")
        command = getattr(module, f"{cmd_name}_command")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, short_help=command.__doc__, epilog=module.EPILOG)(command)
        return complete_options(typer.main.get_command(single))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:  # noqa: ANN401 - likewise
        """Names of subcommands, without an import of any, and options."""
        names = [Word(name) for name in COMMANDS if incomplete and name.startswith(incomplete)]
        return names or super().shell_complete(ctx, incomplete)


app = typer.Typer(
    cls=Commands,
    name="twinpool",
    help="Simulate the cache memory of hybrid (attention + state-space) language models.",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its boxes cut long options off at 80 columns
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"twinpool {TWINPOOL_VERSION}")
        raise typer.Exit


@app.callback()
def _common(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(EXIT_USER)


def _say(sentence: str) -> None:
    typer.echo(f"twinpool: {one_sentence(sentence)}", err=True)


def run() -> int:
    """Run the command line; the exit status says how it went."""
    try:
        with ended_like_interrupted():
            lead = whole_bash_words()
            code = int(app(prog_name="twinpool", standalone_mode=False, obj=lead) or 0)
            if sys.stdout is not None:
                sys.stdout.flush()  # a full disk shows here, not when Python ends
            return code
    except BrokenPipeError:
        _drop_stdout()  # the reader of a pipe has left, and needs to be told nothing
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, it is said
        _give_up_stdout()
        sentence, code = _verdict(error)
        _say(sentence)
        return code


def _verdict(error: Exception) -> tuple[str, int]:
    """What to say of an error, and the exit status."""
    usage_error: Any = typer.BadParameter.__mro__[2]  # the base of all that typer finds wrong
    if isinstance(error, usage_error):
        where = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        return error.format_message().rstrip(".") + where, EXIT_USER
    if isinstance(error, UserError | TraceError):
        return str(error), EXIT_USER
    if isinstance(error, CannotWriteError | LostWorkersError):
        return str(error), EXIT_FAILED
    if isinstance(error, OSError) and error.errno:
        is_theirs = error.filename is not None and error.errno in USERS_MISTAKES
        what = f"{error.filename or 'cannot go on'}: {os.strerror(error.errno)}"
        return what, EXIT_USER if is_theirs else EXIT_FAILED
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    return f"the run failed ({error!r}); set {TRACEBACK_VARIABLE}=1 to see where", EXIT_FAILED


def _give_up_stdout() -> None:
    """Write what can be written: Python would complain once more of what cannot when it ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _drop_stdout()


def _drop_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

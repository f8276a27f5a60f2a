"""The way in: an interrupt ends Twinpool in a sentence, while it still imports itself too."""

import io
import os
import sys

EXIT_INTERRUPTED = 130
LAST_STANDARD_STREAM = 2


def main() -> None:
    """Run the command line; the exit status says how it went."""
    _open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be UTF-8
    sys.exit(_run())


def _open_standard_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed.

    The next file that is opened would take its number, and get what is meant for a terminal.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_STREAM:
        pass
    os.close(opened)


def _run() -> int:
    try:
        from scenarios.commands.app import run  # noqa: PLC0415 - takes long enough to be interrupted

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("twinpool: interrupted\n")
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    main()

"""The way in: an interrupt ends Twinpool in a sentence, while it still imports itself too."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line; the exit status says how it went."""
    sys.exit(_run())


def _run() -> int:
    try:
        from scenarios.commands.app import run  # noqa: PLC0415 - takes long enough to be interrupted

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("twinpool: interrupted\n")
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    main()

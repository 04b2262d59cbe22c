"""`invarmr`: the commands, and how errors become exit statuses.

Exit status: 0 done; 2 bad usage or input (one message on standard error, nothing half written); 3 done, but the verdict
is `not identified` or `rejected`; 70 a fault of this program; 130 interrupted; 129, 143 stopped by SIGHUP or SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import App, CycloptsError

from invarmr import __version__
from invarmr.cli import associate, demo, inspect, mr, reproduce, run, simulate, verbs
from invarmr.errors import InputError

__all__ = ["app", "main"]

app = App(
    name="invarmr",
    help="Mendelian randomization when the genetic instruments are themselves confounded with the outcome.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # said below, with what became of the files
)
app.command(demo.app)
app.command(run.run)
app.command(simulate.app)
app.command(verbs.read)
app.command(verbs.learn)
app.command(verbs.estimate)
app.command(verbs.diagnose)
app.command(verbs.report)
app.command(associate.associate)
app.command(mr.mr)
app.command(inspect.inspect)
app.command(reproduce.reproduce)


_LONGEST = 1_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with suppress(ValueError):  # signals belong to the main thread
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _stop)
    sys.exit(_status(sys.argv[1:] if arguments is None else list(arguments)))


def _stop(number: int, _: object) -> None:
    """Leave as after an interrupt: what was begun is removed on the way out."""
    sys.exit(128 + number)


def _status(arguments: list[str]) -> int:
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        command = " ".join(["invarmr", *(error.command_chain or ())])
        return _complain(f"{error} (see {command} --help)")
    except InputError as error:
        return _complain(str(error))
    except BrokenPipeError:  # whoever read our output (head, say) has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _complain(f"{place}{error.strerror or error}. Check the path, who may write there, and the free space.")
    except KeyboardInterrupt:
        print("interrupted; nothing half written was left", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get("INVARMR_DEBUG"):
            raise
        kind = type(error).__name__
        _complain(f"a fault of invarmr ({kind}: {error}). Set INVARMR_DEBUG=1 to see where, and report it, please.")
        return 70
    return int(result or 0)


def _complain(message: str) -> int:
    print(f"invarmr: {_printable(' '.join(message.split()))}", file=sys.stderr)
    return 2


def _printable(text: str) -> str:
    """A message of at most about 1,000 characters, with control characters shown and not obeyed."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} ... ({len(shown) - _LONGEST:,} characters more)"

"""The command `labnb`: what can be done without writing a notebook."""

import argparse
import os
import sys
from collections.abc import Sequence

from labnb.cli import completion, docs, export, gateway, monitor, publish, recover, runs, serve
from labnb.core import LabnbError

_EPILOG = """\
Begin with `labnb demo`, then `labnb lab`. `labnb COMMAND --help` tells more about each.

exit codes:
  0    done
  1    failed, or something is wrong; one line on stderr says what and what to do
  2    the command line was not understood
  130  interrupted (Ctrl-C)

environment:
  LABNB_DATA     where runs are kept (default: labnb-data in the present folder)
  LABNB_CACHE    where their index is kept (default: the user's cache folder)
  LABNB_SHARING  where reservations and gateways say their addresses (default: the user's runtime folder)
  NO_COLOR       no colours; without a terminal there are neither colours nor bars
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (0 done, 1 failed, 2 not understood, 130 interrupted)."""
    parser = command_line()
    chosen, others = parser.parse_known_args(arguments)
    if chosen.command == "lab":
        chosen.options = [*chosen.options, *others]
    elif others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    try:
        code = chosen.run(chosen)
        sys.stdout.flush()  # here, where a reader that has gone is still told from a failure
    except LabnbError as error:
        print(f"labnb {chosen.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"labnb {chosen.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `labnb runs | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def command_line() -> argparse.ArgumentParser:
    """Return what understands the arguments of `labnb`."""
    from labnb import __version__

    parser = argparse.ArgumentParser(
        "labnb",
        description="Turns a Jupyter notebook into a lab bench.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"labnb {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="measure a diode on the simulated bench, through a real kernel")
    demo.add_argument(
        "--output", metavar="FOLDER", default="labnb-demo", help="folder for notebook and data (default: %(default)s)"
    )
    demo.set_defaults(run=_demo)

    lab = commands.add_parser("lab", help="open the example notebooks in JupyterLab")
    lab.add_argument(
        "--folder", metavar="FOLDER", default="labnb-notebooks", help="where they are copied to (default: %(default)s)"
    )
    lab.add_argument("options", nargs="*", help="passed on to jupyter lab, as are options that are not known here")
    lab.set_defaults(run=_lab)

    doctor = commands.add_parser("doctor", help="tell what is installed here, and what would not work and why")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(run=_doctor)

    for module in (runs, recover, export, publish, monitor, gateway, serve, docs, completion):
        module.add_command(commands)
    for told in commands._get_subactions():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  argparse shows it in no other way
        what = told.help or ""
        commands.choices[told.dest].description = f"{what[:1].upper()}{what[1:]}."
    return parser


def _demo(chosen: argparse.Namespace) -> int:
    from labnb.cli.demo import run_demo

    return run_demo(chosen.output)


def _lab(chosen: argparse.Namespace) -> int:
    from labnb.cli.lab import open_lab

    return open_lab(chosen.folder, chosen.options)


def _doctor(chosen: argparse.Namespace) -> int:
    from labnb.cli.doctor import run_doctor

    return run_doctor(as_json=chosen.json)

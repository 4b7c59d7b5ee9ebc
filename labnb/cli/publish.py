"""`labnb publish`: runs for other people, in an object store or a versioned repository."""

import argparse
import sys
from typing import TYPE_CHECKING

from labnb.cli.export import find_run
from labnb.cli.progress import reporting
from labnb.cli.runs import add_store
from labnb.core import PlanError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

_EXAMPLES = """\
URL is s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix, file:///folder,
icechunk+s3://bucket/prefix or icechunk+file:///folder. Credentials come from the environment, as the
providers' own tools take them: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION, …
"""


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    parser = commands.add_parser(
        "publish",
        help="send runs to an object store (S3, …) or an icechunk repository",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_", metavar="RUN", nargs="+", help="its folder, or its id as `labnb runs` shows it")
    parser.add_argument("url", metavar="URL", help="below which each is put, under the name of its folder")
    parser.add_argument("--endpoint", metavar="URL", help="of a server that is not the provider's own")
    parser.add_argument("--option", metavar="NAME=VALUE", action="append", default=[], help="as obstore takes them")
    add_store(parser)
    parser.set_defaults(run=publish_runs)


def publish_runs(chosen: argparse.Namespace) -> int:
    """Send the runs and print where they are; return the exit code. Raises PlanError, RecordError, LifecycleError."""
    from labnb.record import publish

    options = _options(chosen)
    for folder in [find_run(given, chosen.store) for given in chosen.run_]:
        with reporting(f"publishing {folder.name}", "MB", 1e6) as report:
            published = publish(folder, chosen.url, progress=report, **options)
        print(f"{published.url} {published.group}" if published.group else published.url)
        what = (
            "nothing had changed" if published.unchanged else f"{published.files} files, {published.bytes / 1e6:.1f} MB"
        )
        print(f"labnb publish: {folder.name}: {what}", file=sys.stderr)
    return 0


def _options(chosen: argparse.Namespace) -> dict[str, str]:
    options = dict[str, str]()
    for given in chosen.option:
        name, found, value = str(given).partition("=")
        if not found or not name:
            raise PlanError(f"--option {given}: expected NAME=VALUE, such as region=eu-central-1")
        options[name] = value
    if chosen.endpoint:
        options["endpoint"] = str(chosen.endpoint)
    return options

"""python -m checker collect … | judge FOLDER"""

import argparse
import sys

from . import collect, judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="checker", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    collecting = verbs.add_parser("collect", help="add dumps of every store to an evidence folder")
    collecting.add_argument("--postgres", required=True, help="URL of the product's database, as a superuser")
    collecting.add_argument("--nats", required=True, help="URL of NATS; several separated by commas")
    collecting.add_argument("--stream", default="EVENTS", help="the event stream")
    collecting.add_argument("--out", required=True, help="the evidence folder")
    judging = verbs.add_parser("judge", help="hold an evidence folder against the invariants")
    judging.add_argument("folder")
    arguments = parser.parse_args()
    if arguments.verb == "collect":
        collect.run(arguments.postgres, arguments.nats, arguments.stream, arguments.out)
        return 0
    return judge.run(arguments.folder)


if __name__ == "__main__":
    sys.exit(main())

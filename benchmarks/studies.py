"""Redo the studies and write their pages: python benchmarks/studies.py [NAME ...] --data-root DIR --photos DIR

Each study is run as `narrows lab run NAME` does it, in studies/NAME (-o names another place), on from what lies there;
then docs/results/NAME.md, its figures and NAME/metrics.csv are written. Needs the [lab] extra, and hours on a CPU for
those that were not run before.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from narrows.lab.experiments.base import Setting
from narrows.lab.experiments.catalogue import EXPERIMENTS, find
from narrows.lab.report.write import write_document, write_report

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> None:
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--data-root", type=Path, help="copies of the data sets")
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--epochs", type=float, default=1.0, help="factor on all numbers of epochs")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: few pictures")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "studies", help="where the studies are run")
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results", help="where the pages are written")
    options = parser.parse_args(arguments)
    for experiment in [find(name) for name in options.names or names]:
        setting = Setting(
            output=options.output / experiment.name, data_root=options.data_root, photos=options.photos,
            quick=options.quick, epochs=options.epochs, progress=True, say=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
        report = experiment.redo(setting)
        write_report(report, setting.output)
        print(write_document(report, options.results))


if __name__ == "__main__":
    main()

"""A/B of training settings: python benchmarks/ab.py OUT ARM ARM ... --photos DIR (--megapixels N | --minutes N)

An arm is `name` or `name:key=value,key=value`, where a key is a field of TrainConfig (batch, crop, rate, ema_decay and
others) or of NetworkConfig (synthesis_kernel, mean_width, analysis_width=192x320 and others). Every arm is trained for
as many megapixels, or as many minutes, from the linear start or from --init, one after the other; OUT holds a run for
each, and a later call goes on where an earlier one stopped. Printed is the BD-rate (PSNR) of each arm's last
evaluation on the held-out photographs against the first arm's, in estimated bits (no tables are fitted), and what the
last evaluation before says, to judge what is noise; arms of different stages count different symbols and must be
exported to be compared (held_out.py). Needs the [lab] and [compare] extras and an idle machine for equal minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_curve import curve_of, read_history

from narrows.compare.curves import bd_rate
from narrows.lab.checkpoint import has_checkpoint, read_state
from narrows.lab.cli import RECIPES
from narrows.lab.network import NetworkConfig
from narrows.lab.train import TrainConfig, train


@dataclass(frozen=True, kw_only=True)
class Arm:
    name: str
    network: NetworkConfig
    train: TrainConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("arms", nargs="+", metavar="ARM")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--recipe", choices=list(RECIPES), default="flagship-s")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--megapixels", type=float)
    budget.add_argument("--minutes", type=float)
    parser.add_argument("--init", type=Path, help="begin from the weights of this profile or run")
    options = parser.parse_args()
    arms = []
    for text in options.arms:
        try:
            arms.append(parsed(text, RECIPES[options.recipe], options))
        except (TypeError, ValueError) as error:
            parser.error(f"{text}: {error}")
    if len({arm.name for arm in arms}) < len(arms):
        parser.error("every arm needs a name of its own")
    for arm in arms:
        resume = has_checkpoint(arm.train.run)
        if not (resume and read_state(arm.train.run / "checkpoint")["state"]["finished"]):
            train(arm.network, arm.train, resume=resume, start=None if resume else options.init)
    for line in table(arms):
        print(line)


def parsed(text: str, recipe: NetworkConfig, options: argparse.Namespace) -> Arm:
    """ValueError for a key that neither configuration has, TypeError or ValueError for a value that it cannot take."""
    name, _, settings = text.partition(":")
    network: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        for values, kind in ((network, NetworkConfig), (training, TrainConfig)):
            if key in {field.name for field in dataclasses.fields(kind)}:
                values[key] = _value(value)
                break
        else:
            raise ValueError(f"neither the network nor the training has a setting {key}")
    config = TrainConfig(photos=options.photos, run=options.out / name, minutes=options.minutes or 1, **training)
    if options.megapixels:
        steps = round(options.megapixels * 1e6 / (config.batch * config.crop**2))
        config = dataclasses.replace(config, minutes=None, steps=steps)
    return Arm(name=name, network=dataclasses.replace(recipe, **network), train=config)


def _value(text: str) -> Any:
    """3, 0.5, true, 192x320 or a word."""
    try:
        return tuple(map(int, text.split("x"))) if "x" in text else json.loads(text)
    except json.JSONDecodeError:
        return text


def table(arms: list[Arm]) -> list[str]:
    lines = [
        "| arm | megapixels | minutes | megapixels/s | BD-rate | of the evaluation before |",
        "|---|---|---|---|---|---|",
    ]
    anchors = None
    for arm in arms:
        history = read_history([arm.train.run / "log.csv"])
        seen = sorted(history.curves)[-2:]
        curves = [curve_of(history.curves[megapixels]) for megapixels in reversed(seen)]
        anchors = anchors or curves
        rates = [bd_rate(anchor, curve).value for anchor, curve in zip(anchors, curves, strict=False)]
        cells = ["-" if rate is None else f"{rate:+.2f} %" for rate in rates] + ["-"] * (2 - len(rates))
        minutes = 60 * history.hours[seen[-1]]
        lines.append(
            f"| {arm.name} | {seen[-1]:.0f} | {minutes:.1f} | {seen[-1] / minutes / 60:.2f} | {' | '.join(cells)} |"
        )
    return lines


if __name__ == "__main__":
    main()

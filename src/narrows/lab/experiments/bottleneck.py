"""Study bottleneck: how few numbers a picture can be squeezed through, and how few bytes that is.

The study is a plan that nobody ran: MNIST and CIFAR-10, a convolutional autoencoder around a vector, JPEG beside it.
Here the vector goes from 2 numbers up, a dense network and PCA go with it, and everything becomes files.
"""

from __future__ import annotations

from dataclasses import replace

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Experiment, Setting, load_data
from narrows.lab.experiments.bottleneck_findings import (
    Findings,
    SetFindings,
    alone,
    classes,
    first_of_classes,
    neighbours,
    tiles,
)
from narrows.lab.experiments.bottleneck_plans import (
    Subject,
    conv_plan,
    dense_plan,
    matched_plans,
    pca_plan,
    rated_plans,
    stepped_plan,
    subjects,
)
from narrows.lab.experiments.bottleneck_report import bottleneck_report
from narrows.lab.experiments.coded import Model, Plan, coded_model
from narrows.lab.experiments.rivals import Rival, rivals
from narrows.lab.measure.conventional import Conventional, Rule
from narrows.lab.measure.linear import pca_network
from narrows.lab.report.document import Report

_RIVALS: tuple[tuple[Conventional, Rule, tuple[int, ...]], ...] = (
    ("jpeg", "each", (5, 25, 50, 75)),
    ("jpeg", "optimised", (5, 25, 50, 75)),
    ("jpeg", "abbreviated", (1, 5, 10, 25, 50, 75)),
    ("jpeg", "sheet", (1, 5, 10, 25, 50, 75)),
    ("webp", "each", (1, 25, 50, 75)),
    ("webp", "sheet", (1, 10, 25, 50, 75)),
)
"""Codec, rule and settings; 25 is the study's only one."""
_QUICK_SETTINGS = (5, 25)


def run(setting: Setting) -> Report:
    """Train, code and measure everything."""
    both = subjects(setting)
    findings = Findings(
        setting=setting, sets=tuple(_one_set(subject, setting, other_loss=subject is both[0]) for subject in both)
    )
    setting.say("writing the report")
    return bottleneck_report(findings)


def _one_set(subject: Subject, setting: Setting, *, other_loss: bool) -> SetFindings:
    data = load_data(
        setting, subject.name, train=setting.pick(None, 256), validation=setting.pick(None, 48),
        test=setting.pick(None, 64),
    )  # fmt: skip

    def models(*plans: Plan) -> tuple[Model, ...]:
        return tuple(coded_model(plan, data, setting) for plan in plans)

    conv = models(*(conv_plan(subject, width, setting) for width in subject.widths))
    dense = models(*(dense_plan(subject, width, setting) for width in subject.widths))
    widest = pca_network(data.train.images, subject.widths[-1])
    pca = models(*(pca_plan(subject, width, widest, setting) for width in subject.widths))
    rated_conv, rated_dense = models(*rated_plans(subject, setting))
    [stepped] = models(stepped_plan(subject, widest, setting))
    shown = first_of_classes(data, 6 if subject.channels == 1 else 3)
    reference = subject.widths.index(subject.reference)
    return SetFindings(
        subject=subject, data=data, conv=conv, dense=dense, pca=pca,
        repeats=_repeats(subject, data, setting),
        cross_entropy=models(conv_plan(subject, subject.reference, setting, loss="cross_entropy"))[0]
        if other_loss else None,
        matched=() if subject.hidden else models(*matched_plans(subject, setting)),
        rated=(rated_conv, rated_dense), stepped=stepped, rivals=_rivals(subject, data, setting),
        alone=alone(rated_conv, stepped, data, setting), shown=shown,
        tiles={key: value for model in (*conv, *dense, *pca) for key, value in
               tiles(model, data, shown, setting).items()},
        neighbours=neighbours((*conv, *dense, *pca), data, subject, setting),
        classes=classes(conv[reference], data, setting),
    )  # fmt: skip


def _repeats(subject: Subject, data: Dataset, setting: Setting) -> tuple[Model, ...]:
    """The reference's networks under further seeds, without files."""
    plans = (conv_plan(subject, subject.reference, setting), dense_plan(subject, subject.reference, setting))
    return tuple(
        coded_model(replace(plan, rule=None), data, setting, seed=seed)
        for seed in setting.seed_list(3)[1:]
        for plan in plans
    )


def _rivals(subject: Subject, data: Dataset, setting: Setting) -> tuple[tuple[Rival, ...], ...]:
    # In a folder of its own: what is kept there is named by codec and number of pictures, which both sets share.
    own = replace(setting, output=setting.output / subject.name)
    return tuple(
        rivals(codec, data, own, settings=setting.pick(settings, _QUICK_SETTINGS), rule=rule)
        for codec, rule, settings in _RIVALS
    )


BOTTLENECK = Experiment(
    name="bottleneck",
    title="How few numbers, how few bytes: MNIST and CIFAR-10 through a bottleneck",
    summary="Trains a convolutional and a dense autoencoder at every width of the bottleneck, quantises them after and "
    "in training, and codes both test parts into files beside PCA, JPEG and WebP; its report has a slider.",
    sets=("mnist", "cifar10"),
    run=run,
)

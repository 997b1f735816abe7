"""narrows.lab.tune: searches that stop, are killed, go on and share a database; scores; what is written."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from click.testing import CliRunner
from data_files import write_mnist
from optuna.trial import TrialState
from postgres import postgres_server

from narrows.errors import NarrowsError, OptionError
from narrows.lab.data import Dataset, Split
from narrows.lab.latent_space import decode_codes, latents
from narrows.lab.measure.quality import measure
from narrows.lab.study.training import Trained, train_study
from narrows.lab.tune import objective as objective_module
from narrows.lab.tune.command import tune_command
from narrows.lab.tune.objective import Objective, Score, Terms, cost
from narrows.lab.tune.results import trials_csv, write_results
from narrows.lab.tune.search import Search, describe, open_study, search
from narrows.lab.tune.space import WIDTHS, Candidate
from narrows.lab.tune.storage import default_storage, finished, open_storage, original_number

QUALITY = Terms(epochs=2, batch=8, coded=3, precision="32-true")
RATED = dataclasses.replace(QUALITY, goal="rate-distortion")
PARETO = dataclasses.replace(QUALITY, goal="pareto")


@pytest.fixture(autouse=True)
def _quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def shades() -> Dataset:
    """Twenty grey pictures of 16 x 16 to train on, six to validate, none to test."""
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 1, 16)[:, None] + np.linspace(0, 1, 16)
    images = (random.integers(30, 120, (26, 1, 1)) * ramp + random.integers(0, 9, (26, 16, 16))).astype(np.uint8)
    return Dataset(
        name="shades", train=Split(images=images[:20]), validation=Split(images=images[20:]),
        test=Split(images=images[:0]), classes=(), note="",
    )  # fmt: skip


def plan(folder: Path, trials: int, terms: Terms = QUALITY, **more: object) -> Search:
    return Search(name="s", storage=default_storage(folder), trials=trials, terms=terms, **more)  # type: ignore[arg-type]


def run(folder: Path, trials: int, terms: Terms = QUALITY, **more: object) -> optuna.Study:
    return search(plan(folder, trials, terms, **more), shades(), folder, progress=False)


def trained_again(trial: optuna.trial.FrozenTrial, terms: Terms, folder: Path) -> Trained:
    """What a trial trained, loaded from its run."""
    params, data = trial.params, shades()
    candidate = Candidate(
        widths=WIDTHS[params["widths"]],
        activation=params["activation"],
        learning_rate=params["learning_rate"],
        bottleneck=params.get("bottleneck"),
        trade_off=None if terms.goal == "quality" else terms.trade_off,
    )
    return train_study(
        lambda: candidate.build(1), data.train, data.validation, terms.recipe(candidate),
        folder / trial.user_attrs["run"], progress=False,
    )  # fmt: skip


def choices(study: optuna.Study) -> list[dict[str, object]]:
    return [trial.params for trial in study.trials]


# ---------------------------------------------------------------- scores


def test_a_trial_is_scored_as_the_study_did_but_on_8_bits_and_range_255(tmp_path: Path) -> None:
    (trial,) = run(tmp_path, 1).trials
    data, trained = shades(), trained_again(trial, QUALITY, tmp_path)
    pictures = data.validation.images
    decoded = decode_codes(trained.network, latents(trained.network, pictures), (16, 16))
    quality = measure(pictures, decoded)
    assert trial.value == pytest.approx(quality.mean_psnr_db + quality.ssim, abs=1e-9)
    assert trial.user_attrs["psnr_db"] == pytest.approx(quality.psnr_db)
    assert trial.user_attrs["bpp"] is None
    reported = [-10 * math.log10(epoch.validation_mse) for epoch in trained.history]
    assert list(trial.intermediate_values.values()) == pytest.approx(reported)


def test_where_the_rate_counts_bits_are_those_of_files(tmp_path: Path) -> None:
    (trial,) = run(tmp_path, 1, RATED).trials
    told = trial.user_attrs
    assert told["bytes"] >= 3 * 20  # three files with a header each
    assert told["bpp"] == pytest.approx(8 * told["bytes"] / (3 * 16 * 16))
    assert trial.value == pytest.approx(told["bpp"] + 0.01 * 255**2 * told["mse"])
    assert told["psnr_db"] == pytest.approx(-10 * math.log10(told["mse"]))
    assert trial.params["bottleneck"] in (8, 16, 32, 64)
    assert len(trial.intermediate_values) == 2
    trained, pictures = trained_again(trial, RATED, tmp_path), shades().validation.images[:3]
    codes = latents(trained.network, pictures)
    steps, shape = trained.steps(), (3, trained.network.geometry.latent, -1, 1)
    quantised = steps.values(steps.symbols(codes.reshape(shape), 0), 0).reshape(codes.shape)
    here = measure(pictures, decode_codes(trained.network, quantised, (16, 16)))
    assert told["mse"] == pytest.approx(here.mse, rel=0.02)  # the profile is the network that was trained


def test_both_numbers_make_a_front(tmp_path: Path) -> None:
    study = run(tmp_path, 3, PARETO)
    assert {direction.name for direction in study.directions} == {"MINIMIZE", "MAXIMIZE"}
    for trial in study.trials:
        assert trial.values == [trial.user_attrs["bpp"], trial.user_attrs["psnr_db"]]
        assert 1e-3 <= trial.params["trade_off"] <= 1e-1
    paths = write_results(study, PARETO, tmp_path)
    assert sorted(path.name for path in paths) == ["best.json", "pareto.png", "pareto.svg", "trials.csv"]
    best = json.loads((tmp_path / "best.json").read_text())["best"]
    assert [row["trial"] for row in best] == [t.number for t in sorted(study.best_trials, key=lambda t: t.values)]


def test_a_cost_is_bits_and_weighted_error() -> None:
    assert cost(0.5, 0.001, 0.01) == pytest.approx(0.5 + 0.65025)
    score = Score(mean_psnr_db=31, psnr_db=30, ssim=0.9, mse=0.001, bpp=0.5, bytes=100)
    assert score.values("quality", 0.01) == pytest.approx((31.9,))
    assert score.values("pareto", 0.01) == (0.5, 30)
    with pytest.raises(OptionError, match="bits of files"):
        dataclasses.replace(score, bpp=None).values("rate-distortion", 0.01)


# ---------------------------------------------------------------- trials that end early


def test_a_hopeless_trial_is_ended_by_the_pruner(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=1000))
    study.optimize(Objective(QUALITY, shades(), tmp_path, progress=False), n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.PRUNED
    assert trial.user_attrs["ended"] == "hopeless after epoch 1"
    assert trial.user_attrs["epochs"] == 1
    assert finished(study) == 1
    (row,) = csv.DictReader(trials_csv(study.trials, "quality").splitlines())
    assert (row["state"], row["score"], row["ended"]) == ("pruned", "", "hopeless after epoch 1")


@pytest.mark.parametrize("terms", [QUALITY, PARETO])
def test_a_training_that_explodes_ends_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terms: Terms
) -> None:
    wild = Candidate(widths=(32,), activation="relu", learning_rate=1e30)
    monkeypatch.setattr(objective_module, "suggest", lambda *_: wild)
    study = run(tmp_path, 1, terms)
    assert study.trials[0].state == TrialState.PRUNED
    assert study.trials[0].user_attrs["ended"] == "no finite loss after epoch 1"


# ---------------------------------------------------------------- going on


def test_a_search_that_goes_on_does_what_an_unbroken_one_does(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "whole").mkdir()
    terms = dataclasses.replace(QUALITY, epochs=1)
    first = [(trial.number, trial.value) for trial in run(tmp_path / "broken", 2, terms).trials]
    assert [(trial.number, trial.value) for trial in run(tmp_path / "broken", 2, terms).trials] == first
    broken, whole = run(tmp_path / "broken", 4, terms), run(tmp_path / "whole", 4, terms)
    assert choices(broken) == choices(whole)
    assert [trial.value for trial in broken.trials] == [trial.value for trial in whole.trials]
    assert len({trial.params["learning_rate"] for trial in whole.trials}) == 4


def test_another_search_of_the_same_name_is_refused(tmp_path: Path) -> None:
    run(tmp_path, 1)
    with pytest.raises(OptionError, match="differs in epochs; choose another --name"):
        run(tmp_path, 2, dataclasses.replace(QUALITY, epochs=3))
    fewer = dataclasses.replace(shades(), train=Split(images=shades().train.images[:9]))
    with pytest.raises(OptionError, match="differs in training_pictures"):
        search(plan(tmp_path, 2), fewer, tmp_path, progress=False)


def test_an_interrupted_trial_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(Objective):
        def _score(self, trained: object) -> Score:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("narrows.lab.tune.search.Objective", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, 1)
    study = run(tmp_path, 1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[0].params == study.trials[1].params
    assert original_number(study.trials[1]) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1  # one folder: it went on, and did not begin anew
    assert study.trials[0].intermediate_values == study.trials[1].intermediate_values
    retried = list(csv.DictReader(trials_csv(study.trials, "quality").splitlines()))[1]
    assert retried["retries"] == "0"


# ---------------------------------------------------------------- several processes on one database

_WORKER = """
import optuna, sys
from pathlib import Path
from test_lab_tune import QUALITY, shades
from narrows.lab.tune.search import Search, search
import dataclasses
storage, trials, epochs, folder = sys.argv[1:]
optuna.logging.set_verbosity(optuna.logging.ERROR)
terms = dataclasses.replace(QUALITY, epochs=int(epochs), patience=int(epochs))
plan = Search(name="s", storage=storage, trials=int(trials), terms=terms, heartbeat_seconds=1, pruning="none")
search(plan, shades(), Path(folder), progress=False)
"""


def worker(storage: str, trials: int, epochs: int, folder: Path) -> subprocess.Popen[bytes]:
    paths = [str(Path(__file__).parent), *sys.path]
    arguments = [sys.executable, "-W", "error", "-c", _WORKER, storage, str(trials), str(epochs), str(folder)]
    return subprocess.Popen(arguments, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield default_storage(tmp_path)
        return
    url: str = request.getfixturevalue("server")
    yield url
    optuna.delete_study(study_name="s", storage=open_storage(url, 1))


def loaded(database: str) -> optuna.Study:
    return optuna.load_study(study_name="s", storage=open_storage(database, 1))


def test_processes_share_the_trials_of_one_search(tmp_path: Path, database: str) -> None:
    workers = [worker(database, 4, 1, tmp_path) for _ in range(2)]
    assert [one.wait(120) for one in workers] == [0, 0]
    study = loaded(database)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert 4 <= len(study.trials) <= 5
    assert len({trial.params["learning_rate"] for trial in study.trials}) == len(study.trials)
    assert len(list((tmp_path / "runs").iterdir())) == len(study.trials)


def test_a_killed_trial_is_marked_failed_and_retried(tmp_path: Path, database: str) -> None:
    epochs = 80
    lost = worker(database, 1, epochs, tmp_path)
    last = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/log.csv")) and time.monotonic() < last and lost.poll() is None:
        time.sleep(0.02)
    lost.send_signal(signal.SIGKILL)
    lost.wait(10)
    assert loaded(database).trials[0].state == TrialState.RUNNING
    time.sleep(3.5)  # two heartbeats, in a database that counts whole seconds
    assert worker(database, 1, epochs, tmp_path).wait(120) == 0
    failed, retried = loaded(database).trials
    assert (failed.state, retried.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert retried.params == failed.params
    assert original_number(retried) == 0
    assert (
        retried.user_attrs["run"]
        == next(path for path in (tmp_path / "runs").iterdir()).relative_to(tmp_path).as_posix()
    )


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        ("not an address", OptionError, "sqlite:///trials.db"),
        ("nonsense://somewhere/x", OptionError, "no driver for nonsense://somewhere/x"),
        ("sqlite:////no/such/folder/trials.db", NarrowsError, "fails: .*unable to open"),
        ("postgresql+psycopg://me:secret@127.0.0.1:9/x?connect_timeout=1", NarrowsError, "fails: "),
    ],
)
def test_a_database_that_is_not_there_is_named_without_its_password(
    url: str, kind: type[NarrowsError], said: str
) -> None:
    if "psycopg" in url:
        pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    with pytest.raises(kind, match=said) as error:
        open_storage(url, 60)
    assert "secret" not in str(error.value)


def test_a_search_without_trials_or_heartbeat_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="at least one trial"):
        plan(tmp_path, 0)
    with pytest.raises(OptionError, match="heartbeat"):
        open_study(plan(tmp_path, 1, heartbeat_seconds=0), shades())


@pytest.mark.parametrize(("pruning", "kind"), [("median", "Median"), ("hyperband", "Hyperband"), ("none", "Nop")])
def test_the_pruner_is_the_one_asked_for_and_none_where_two_numbers_count(
    tmp_path: Path, pruning: str, kind: str
) -> None:
    assert type(open_study(plan(tmp_path, 1, pruning=pruning), shades()).pruner).__name__ == f"{kind}Pruner"
    (tmp_path / "both").mkdir()
    both = open_study(plan(tmp_path / "both", 1, PARETO, pruning=pruning), shades())
    assert type(both.pruner).__name__ == "NopPruner"


# ---------------------------------------------------------------- the command


def test_the_command_writes_trials_best_and_figures_and_goes_on(tmp_path: Path) -> None:
    write_mnist(tmp_path / "sets" / "mnist")
    common = ["--data", "mnist", "--data-root", str(tmp_path / "sets"), "--quick", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(tune_command, [*common, "--trials", "2"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out")
    assert done.stdout.startswith("best: trial ")
    assert done.stderr.count("trial ") == 2
    again = CliRunner().invoke(tune_command, [*common, "--trials", "3", "--json"], catch_exceptions=False)
    told = json.loads(again.stdout)
    assert told == json.loads((tmp_path / "out" / "best.json").read_text())
    assert told["trials"] == {"complete": 3}
    assert again.stderr.startswith("trial 2: ")
    assert again.stderr.count("trial ") == 1
    rows = list(csv.DictReader((tmp_path / "out" / "trials.csv").read_text().splitlines()))
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    best = max(rows, key=lambda row: float(row["score"]))
    assert told["best"][0]["trial"] == int(best["trial"])
    assert float(best["score"]) == pytest.approx(float(best["mean_psnr_db"]) + float(best["ssim"]))
    assert (tmp_path / "out" / "history.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in (tmp_path / "out" / "history.svg").read_text()


def test_a_trial_is_described_in_a_line() -> None:
    trial = optuna.trial.create_trial(
        value=30.5, params={"learning_rate": 0.0012},
        distributions={"learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-2)},
    )  # fmt: skip
    assert describe(trial) == "trial -1: 30.5000 (learning_rate 0.0012)"

"""Fuzz one target, or all of them one after the other, with atheris (libFuzzer): pip install ".[fuzz]"

    python fuzz/run.py TARGET|all --seconds N --corpus DIR [--log docs/results/fuzzing.csv]
    python fuzz/run.py TARGET --replay FILE

The corpus grows in DIR/TARGET, and a later run goes on from there; what was found lies in DIR/TARGET-findings. Each run
is processes of its own, one after the other, with bounds on the time of one input and on memory. The log gets a row a
target: seconds, executions, the edges of narrows that were met, the files of the corpus, and findings. The exit code is
1 if there are any.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import random
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = ("container", "entropy", "profile", "pillow", "cli")
COLUMNS = ("day", "target", "seconds", "executions", "edges", "features", "corpus_files", "findings")
LONGEST_SECONDS = 20  # for one input
LONGEST_RUN = 40
"""Seconds of one process. Atheris keeps the result of every comparison of arrays that it traces (100 kB for a == 3 of
100,000 numbers), up to 9 MB a second where symbols are decoded; the bound on memory is for narrows."""
LONGEST_BYTES = 2**15
INTERRUPTED = 72  # libFuzzer's exit code after SIGINT
ADDRESS_SPACE = 2**33  # bytes: an allocation beyond it fails, as it would on a smaller machine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=(*TARGETS, "all"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay is not None:
        return _replay(options.target, options.replay)
    if options.corpus is None:
        parser.error("--corpus says where the corpus lies, outside of the repository")
    if options.inner:
        _fuzz(options.target, options.seconds, options.corpus)
    found = 0
    for target in TARGETS if options.target == "all" else (options.target,):
        row = _supervised(target, options.seconds, options.corpus)
        found += int(row["findings"])
        print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        if options.log is not None:
            _append(options.log, row)
    return int(found > 0)


def _supervised(target: str, seconds: int, corpus: Path) -> dict[str, object]:
    """Fuzz until the time is over or something is found; a row of the log."""
    findings = corpus / f"{target}-findings"
    for folder in (corpus / target, findings):
        folder.mkdir(parents=True, exist_ok=True)
    before, begun, executions = set(findings.iterdir()), time.monotonic(), 0
    found: set[Path] = set()
    edges = features = files = "0"
    while not found and (left := seconds - round(time.monotonic() - begun)) > 0:
        code, text = _run(target, min(left, LONGEST_RUN), corpus)
        found = set(findings.iterdir()) - before
        if code not in (0, INTERRUPTED) and not found:
            sys.exit(
                f"{target} ended with the code {code} and no finding; its last words are in {_log(target, corpus)}"
            )
        status = re.findall(r"^#(\d+)\t\S+ +cov: (\d+) ft: (\d+) corp: (\d+)", text, re.MULTILINE)
        units = re.findall(r"^stat::number_of_executed_units: +(\d+)", text, re.MULTILINE)
        ran, edges, features, files = status[-1] if status else ("0", edges, features, files)
        executions += int((units or [ran])[-1])
        if code == INTERRUPTED:
            break
    for path in sorted(found):
        print(f"{path}: python fuzz/run.py {target} --replay {path}")
    return {
        "day": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
        "target": target,
        "seconds": round(time.monotonic() - begun),
        "executions": executions,
        "edges": edges,
        "features": features,
        "corpus_files": files,
        "findings": len(found),
    }


def _run(target: str, seconds: int, corpus: Path) -> tuple[int, str]:
    """Fuzz in a process of its own, which a finding ends: its exit code and what it said."""
    command = [sys.executable, __file__, target, "--seconds", str(seconds), "--corpus", str(corpus), "--inner"]
    log = _log(target, corpus)
    with log.open("w") as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    return code, log.read_text(errors="replace")


def _log(target: str, corpus: Path) -> Path:
    return corpus / f"{target}.log"


def _append(log: Path, row: dict[str, object]) -> None:
    new = not log.exists()
    with log.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _fuzz(name: str, seconds: int, corpus: Path) -> None:
    """This process fuzzes until it is over; never returns."""
    import resource

    import atheris

    with atheris.instrument_imports(include=["narrows"]):
        import fuzz_targets

    fuzz_targets.install()
    target = fuzz_targets.TARGETS[name]
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for number, seed in enumerate(target.seeds()):
        (corpus / name / f"seed-{number:03d}").write_bytes(seed)
        target.check(seed)

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        draw = random.Random(seed)
        own = draw.random() < 0.5  # otherwise libFuzzer's, which knows what was compared with what
        change = None if own else (lambda content: bytes(atheris.Mutate(content, max(len(content) + 64, 64))))
        return target.mutated(data, draw, change)[:max_size]

    arguments = [
        sys.argv[0],
        str(corpus / name),
        f"-artifact_prefix={corpus / f'{name}-findings'}/",
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_SECONDS}",
        f"-rss_limit_mb={target.rss_mib}",
        f"-max_len={LONGEST_BYTES}",
        "-print_final_stats=1",
        "-reload=0",
    ]
    atheris.Setup(arguments, target.check, custom_mutator=mutated)
    atheris.Fuzz()


def _replay(name: str, path: Path) -> int:
    """Do with one file what the fuzzer did; a traceback says what is wrong."""
    import fuzz_targets

    fuzz_targets.install()
    fuzz_targets.TARGETS[name].check(path.read_bytes())
    print(f"{path}: nothing is wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())

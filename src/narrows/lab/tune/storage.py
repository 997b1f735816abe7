"""Where trials are kept: a database that several processes, on one machine or many, may share.

A process that runs a trial leaves a heartbeat in the database. When a process is killed its heartbeat stops, and after
a grace period of two beats whichever process begins its next trial marks the lost one failed and queues it again, with
the same choices; training goes on from its last checkpoint where the folder is still there.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError
from sqlalchemy.pool import NullPool

from narrows.errors import NarrowsError, OptionError

RETRIES = 3
_LOCK_SECONDS = 60
_ATTEMPTS = 10
_PAUSE_SECONDS = 0.5


def default_storage(folder: Path) -> str:
    """The URL of an SQLite file in the folder."""
    return f"sqlite:///{(folder / 'trials.db').resolve().as_posix()}"


def open_storage(url: str, heartbeat_seconds: int) -> RDBStorage:
    """The database at this SQLAlchemy URL (sqlite:///FILE, postgresql+psycopg://USER@HOST/DATABASE), made if missing.

    OptionError for an address or a driver that is not there, NarrowsError where the database does not answer; neither
    message has the address's password.
    """
    if heartbeat_seconds < 1:
        raise OptionError(f"a heartbeat comes every second or more seldom, not every {heartbeat_seconds} s")
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise OptionError("--storage is no database address; one looks like sqlite:///trials.db") from error
    shown = address.render_as_string(hide_password=True)
    attempts_left = _ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            return _storage(url, address.get_backend_name(), heartbeat_seconds)
        except (ImportError, ArgumentError) as error:
            raise OptionError(f"no driver for {shown}: {error}; for PostgreSQL: pip install psycopg[binary]") from error
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
            # Optuna's tables are made by whoever comes first; two who come at once get into each other's way.
            if not (isinstance(cause, StatementError) and cause.statement) or not attempts_left:
                raise NarrowsError(f"the database {shown} fails: {_first_line(error)}") from error
        time.sleep(_PAUSE_SECONDS)


def _storage(url: str, backend: str, heartbeat_seconds: int) -> RDBStorage:
    options = {"timeout": _LOCK_SECONDS} if backend == "sqlite" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RDBStorage(
            url,
            # Trials take minutes and questions milliseconds: each opens a connection, and none is left open.
            engine_kwargs={"connect_args": options, "poolclass": NullPool},
            heartbeat_interval=heartbeat_seconds,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
                max_retry=RETRIES, inherit_intermediate_values=True
            ),
        )


def queue_again(study: optuna.Study, number: int) -> None:
    """Put a trial that was interrupted back into the queue, to be taken up by the next free process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        again = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
    again(study, study.trials[number])


def original_number(trial: FrozenTrial) -> int:
    """The number of the trial that this one retries; its own if it is new."""
    number: int = trial.system_attrs.get("failed_trial", trial.number)
    return number


def finished(study: optuna.Study) -> int:
    """How many trials have come to an end, early ones included."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__

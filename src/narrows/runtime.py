"""The networks of a profile as typed functions of arrays; the only file that imports onnxruntime.

Every result is checked for its type and shape before anybody relies on it, since the graphs come with the profile.
Integers leave here exact on every machine; floats may differ by rounding between machines and decide no symbol.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError, ProfileError
from narrows.profile import Profile

Planes = NDArray[np.uint8]  # (1, C, H, W)
Latents = NDArray[np.float32]  # (1, m, h, w)
Symbols = NDArray[np.int32]  # (1, m, h, w), or z_hat (1, hz, h', w')
Rows = NDArray[np.uint8]  # (1, m, h, w)

SYMBOL_LIMIT = 32767  # the graphs clip to it, and the format can hold no more
MAX_THREADS = 1024

_DTYPES = {"uint8": np.dtype(np.uint8), "int32": np.dtype(np.int32), "float32": np.dtype(np.float32)}


def default_threads() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


class Networks:
    """All graphs of one profile, on the CPU. Sessions are made on first use; threads may share an instance.

    `threads` is the number of threads that one call uses, None for all cores of this process.
    """

    def __init__(self, profile: Profile, threads: int | None = None) -> None:
        if threads is not None and (
            isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS
        ):
            raise OptionError(f"threads is {threads!r}, it must be None or a whole number from 1 to {MAX_THREADS}")
        self._profile = profile
        self.threads = threads or default_threads()
        self._sessions: dict[str, Any] = {}
        self._lock = Lock()

    def analysis(self, picture: Planes, quality: int) -> tuple[Latents, Latents | None]:
        """y (1, m, H/s, W/s) and, if the profile has a hyper-latent, z (1, hz, H/t, W/t); H, W multiples of t."""
        manifest = self._profile.manifest
        y, *rest = self._run("analysis.onnx", {"picture": picture, "quality": _index(quality)})
        height, width = picture.shape[2:]
        stride, hyper = manifest.latent_stride, manifest.hyper_stride
        _check_shape("analysis.onnx", y, (1, manifest.latent_channels, height // stride, width // stride))
        for z in rest:
            _check_shape("analysis.onnx", z, (1, manifest.hyper_channels, height // hyper, width // hyper))
        if not all(np.isfinite(array).all() for array in (y, *rest)):
            raise self._error("analysis.onnx", "gives a value that is not finite")
        return y, rest[0] if rest else None

    def quantise(self, y: Latents, z_hat: Symbols | None, quality: int, dead_zone: float) -> tuple[Symbols, Rows]:
        """The symbols of one strip and the table row of each; |symbol| is at most SYMBOL_LIMIT."""
        dead = np.array([dead_zone], np.float32)
        feeds = {"y": y, "z_hat": z_hat, "quality": _index(quality), "dead_zone": dead}
        symbols, rows = self._run("quantise.onnx", feeds)
        _check_shape("quantise.onnx", symbols, y.shape)
        _check_shape("quantise.onnx", rows, y.shape)
        if symbols.min() < -SYMBOL_LIMIT or symbols.max() > SYMBOL_LIMIT:
            raise self._error("quantise.onnx", f"gives a symbol over {SYMBOL_LIMIT}")
        return symbols, rows

    def scales(self, step: int, z_hat: Symbols | None, symbols: Symbols, quality: int) -> Rows:
        """The table row of each symbol of one strip, valid where the context step is `step`.

        `symbols` holds those of earlier steps and zero elsewhere.
        """
        name = f"scales.{step}.onnx"
        feeds = {"z_hat": z_hat, "symbols": symbols, "quality": _index(quality)}
        (rows,) = self._run(name, feeds)
        _check_shape(name, rows, symbols.shape)
        return rows

    def side(self, step: int, values: Symbols, quality: int) -> tuple[Rows, Symbols]:
        """The table row of each value of one strip's hyper-latent, and what is added to its symbol; valid in `step`.

        `values` (1, hz, h', w') holds those of earlier steps and zero elsewhere.
        """
        name = f"side.{step}.onnx"
        rows, shift = self._run(name, {"values": values, "quality": _index(quality)})
        _check_shape(name, rows, values.shape)
        _check_shape(name, shift, values.shape)
        if shift.min() < -SYMBOL_LIMIT or shift.max() > SYMBOL_LIMIT:
            raise self._error(name, f"gives a shift over {SYMBOL_LIMIT}")
        return rows, shift

    def dequantise(self, symbols: Symbols, z_hat: Symbols | None, quality: int) -> Latents:
        """y_hat (1, m, h, w) of one strip."""
        feeds = {"symbols": symbols, "z_hat": z_hat, "quality": _index(quality)}
        (y_hat,) = self._run("dequantise.onnx", feeds)
        _check_shape("dequantise.onnx", y_hat, symbols.shape)
        return y_hat

    def synthesis(self, y_hat: Latents, quality: int) -> Planes:
        """The picture (1, C, H, W) of the latents (1, m, H/s, W/s)."""
        (picture,) = self._run("synthesis.onnx", {"y_hat": y_hat, "quality": _index(quality)})
        manifest = self._profile.manifest
        height, width = (side * manifest.latent_stride for side in y_hat.shape[2:])
        _check_shape("synthesis.onnx", picture, (1, manifest.input_channels, height, width))
        return picture

    def release_memory(self) -> None:
        """Free what runs of any profile's graphs have used, at the end of a very small one of a graph in use."""
        manifest = self._profile.manifest
        side = manifest.hyper_stride // manifest.latent_stride
        latents, hyper = (1, manifest.latent_channels, side, side), (1, manifest.hyper_channels, 1, 1)
        feeds: dict[str, NDArray[Any] | None] = {
            "y": np.zeros(latents, np.float32), "symbols": np.zeros(latents, np.int32),
            "z_hat": np.zeros(hyper, np.int32), "quality": _index(0), "dead_zone": np.zeros(1, np.float32),
        }  # fmt: skip
        name = "quantise.onnx" if "quantise.onnx" in self._sessions else "dequantise.onnx"
        with suppress(ProfileError):  # of a graph that only takes larger ones: the memory stays, and nothing is lost
            self._run(name, feeds, shrink=True)

    def _run(self, name: str, feeds: Mapping[str, NDArray[Any] | None], *, shrink: bool = False) -> list[NDArray[Any]]:
        """Run one graph with those of `feeds` that it declares; `shrink` the arena afterwards."""
        session = self._session(name)
        wanted = {key: np.ascontiguousarray(feeds[key]) for key in self._profile.graphs[name].inputs}
        try:
            results: list[NDArray[Any]] = session.run(None, wanted, _shrinking() if shrink else None)
        except Exception as error:  # onnxruntime's classes have no common base of their own
            raise self._error(name, f"cannot be run: {_first_line(error)}") from error
        outputs = self._profile.manifest.graph_outputs(name)
        for result, kind in zip(results, outputs.values(), strict=True):
            if result.dtype != _DTYPES[kind]:
                raise self._error(name, f"gives {result.dtype}, must give {kind}")
        return results

    def _session(self, name: str) -> Any:
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._open(name)
            return self._sessions[name]

    def _open(self, name: str) -> Any:
        import onnxruntime  # late: `import narrows` must not pay for it

        onnxruntime.set_default_logger_severity(4)  # it would print warnings of its own about the machine
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Pictures come in any shape, and a memory plan is kept for every shape that was ever seen.
        options.enable_mem_pattern = False
        # One arena for all sessions, without the weights, which would keep it from shrinking.
        _register_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        # Threads wait actively between two operators of a run, and sleep as soon as it ends: the graphs take turns.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            # By path: the weights are found relative to the graph's file.
            return onnxruntime.InferenceSession(
                str(self._profile.folder / name), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise self._error(name, f"cannot be loaded: {_first_line(error)}") from error

    def _error(self, name: str, message: str) -> ProfileError:
        return ProfileError(message, source=str(self._profile.folder / name))


@cache
def _register_arena() -> None:
    """Let the sessions share one arena: graphs run in turns, and one of its own for each would hold its largest run.

    Without any, each large array is asked of the system anew, and cleared: a twentieth of the time of encoding.
    """
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    with suppress(Exception):  # the program has registered one already: it is shared as well
        ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"arena_extend_strategy": 0}))


@cache
def _shrinking() -> Any:
    import onnxruntime as ort

    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _index(quality: int) -> NDArray[np.int64]:
    return np.array([quality], np.int64)


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ProfileError(f"{name} gives the shape {array.shape}, must give {shape}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

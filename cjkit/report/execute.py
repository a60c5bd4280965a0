"""Executing one notebook: a kernel of this very Python, papermill, and what went wrong in words."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

import cjkit
from cjkit.checks import CjkitError

START_TIMEOUT = 120

# What it logs is said in the error that is raised.
logging.getLogger("papermill").setLevel(logging.CRITICAL)


class _Kernel(AsyncKernelManager):
    """A kernel that knows who speaks to it, so that both ends are closed."""

    speaker: AsyncKernelClient | None = None

    def client(self, **options: Any) -> Any:
        """Make the one client of this kernel."""
        self.speaker = super().client(**options)
        return self.speaker


class Kernels:
    """The kernels of a run: started in one environment, and ended together if need be.

    Parameters
    ----------
    folder : Path
        Where they may write: connection files, logs, temporary files.
    environment : mapping
        Variables added to those of this process.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        own = {"TMPDIR": str(folder), "IPYTHONDIR": str(folder / "ipython")}
        search = [str(Path(cjkit.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        own["PYTHONPATH"] = os.pathsep.join(filter(None, search))
        # Kernels share the cores; threads that wait for small matrices would burn them.
        own |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        self._environment = {**os.environ, **own, **environment}
        self._running: set[_Kernel] = set()
        self._is_stopped = False

    def start(self, name: str) -> _Kernel:
        """Start a kernel of this Python, whatever kernels the user has installed."""
        manager = _Kernel(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=str(self._folder / f"{name}.json"),
        )
        self._running.add(manager)
        with self.log(name).open("wb") as log:
            run_sync(manager.start_kernel)(
                env=self._environment,
                extra_arguments=["--HistoryManager.enabled=False"],
                stdout=log,
                stderr=log,
            )
        if self._is_stopped:
            self.end(manager, now=True)
            raise KeyboardInterrupt
        return manager

    def log(self, name: str) -> Path:
        """Return the file of what a kernel wrote outside its cells."""
        return self._folder / f"{name}.log"

    def peak_mb(self, manager: _Kernel) -> int | None:
        """Return the most memory that a running kernel has held; None where no system tells."""
        process = getattr(manager.provisioner, "process", None)
        status = Path(f"/proc/{process.pid}/status") if process else None
        if status is None or not status.is_file():
            return None
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii"))
        return int(found[1]) // 1024 if found else None

    def end(self, manager: _Kernel, *, now: bool) -> None:
        """End one kernel: with a farewell, or at once."""
        self._running.discard(manager)
        if manager.speaker is not None:
            manager.speaker.stop_channels()
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=now)

    def end_all(self) -> None:
        """Kill every kernel that runs, and let none start: the threads that wait on them end."""
        self._is_stopped = True
        for manager in list(self._running):
            process = getattr(manager.provisioner, "process", None)
            if process is not None:
                process.kill()


def execute(
    notebook: NotebookNode,
    *,
    name: str,
    parameters: Mapping[str, Any],
    kernels: Kernels,
    cell_timeout: float,
) -> NotebookNode:
    """Execute a notebook with `parameters`, and return it with its outputs and its peak memory.

    Parameters
    ----------
    notebook : NotebookNode
        Its code cells tell their number in the file as `metadata.cjkit.cell`.
    name : str
    parameters : mapping
        The full set: what is given here is what the page shows.
    kernels : Kernels
    cell_timeout : float
        Seconds that one cell may take.

    Raises
    ------
    CjkitError
        When a cell fails, takes longer than `cell_timeout`, or the kernel dies: the notebook, the
        cell, its first line and the cause. The exception alone says so: a notebook's metadata
        calls cells completed that were not.
    """
    reached: list[NotebookNode] = []
    manager = kernels.start(name)
    succeeded = False
    try:
        executed: NotebookNode = papermill.execute_notebook(
            notebook,
            None,
            parameters=dict(parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=START_TIMEOUT,
            execution_timeout=cell_timeout,
            km=manager,
            on_cell_start=lambda cell, cell_index: reached.append(cell),
        )
        executed.metadata.setdefault("cjkit", {})["peak_mb"] = kernels.peak_mb(manager)
        succeeded = True
    except PapermillExecutionError as error:
        raise _failure(name, reached, _cause(error)) from error
    except CellTimeoutError as error:
        cause = f"the cell took longer than {cell_timeout:g} seconds (--cell-timeout)."
        raise _failure(name, reached, cause) from error
    except DeadKernelError as error:
        cause = _death(manager, kernels.log(name))
        raise _failure(name, reached, cause) from error
    except RuntimeError as error:
        if reached:
            raise
        cause = f"its Python did not start: {error}. {_last_line(kernels.log(name))}"
        raise CjkitError(f"{name} failed: {cause.strip()}") from error
    finally:
        kernels.end(manager, now=not succeeded)
        ensure_event_loop().close()  # the one that this thread's calls shared
    return executed


def _failure(name: str, reached: list[NotebookNode], cause: str) -> CjkitError:
    """Build the message of a failed notebook: where it stood, and why it failed."""
    cell = reached[-1] if reached else None
    number = cell.metadata.get("cjkit", {}).get("cell") if cell else None
    place = f"code cell {number}" if number else "the parameters"
    code = [line for line in cell.source.splitlines() if line.strip()] if cell else []
    shown = f"\n    {code[0].strip()}{' …' if len(code) > 1 else ''}" if code else ""
    indented = cause.strip().replace("\n", "\n    ")
    return CjkitError(f"{name} failed in {place}:{shown}\n    {indented}")


def _cause(error: PapermillExecutionError) -> str:
    """Say why a cell failed: a message of cjkit as it stands, else the error and its place."""
    ours = {CjkitError.__name__, *(kind.__name__ for kind in CjkitError.__subclasses__())}
    if error.ename in ours:
        return str(error.evalue)
    traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    places = re.findall(r"^File (.+?):(\d+)", traceback, flags=re.MULTILINE)
    place = f" ({'/'.join(Path(places[-1][0]).parts[-2:])}:{places[-1][1]})" if places else ""
    return f"{error.ename}: {error.evalue}{place}"


def _death(manager: _Kernel, log: Path) -> str:
    """Say how a kernel came to its end."""
    process = getattr(manager.provisioner, "process", None)
    code = process.poll() if process else None
    how = f"was killed by signal {-code}" if code and code < 0 else f"ended with code {code}"
    advice = "Most often memory ran out: try --jobs 1, or a smaller [engine] memory."
    return f"its Python {how}. {advice if code == -9 else ''}\n{_last_line(log)}".strip()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")

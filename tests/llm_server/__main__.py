"""Run the scripted server by hand, with its default answers."""

from __future__ import annotations

import argparse

from tests.llm_server.server import ScriptedLlmServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.llm_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8089)
    arguments = parser.parse_args()
    with ScriptedLlmServer(arguments.host, arguments.port) as server:
        print(f"scripted LLM server on {server.base_url} (Ctrl-C stops it)", flush=True)
        try:
            server.join()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()

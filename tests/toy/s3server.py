"""An S3 server in a process of its own, for tests: moto's, with credentials that are checked, one request after another.

One after another, because moto looks and then puts, without a lock: what makes a conditional put atomic elsewhere is the order of requests here.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

FREE = 7
"""Requests that need no credentials: three a user, and the one that makes the bucket."""


class Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    def log(self, *_: Any, **__: Any) -> None:
        """Nothing."""


def main() -> None:
    """Serve until killed; prints a line when it listens."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    chosen = parser.parse_args()
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(FREE)
    from moto.server import DomainDispatcherApplication, create_backend_app

    application: Any = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", chosen.port, application, threaded=False, request_handler=Quiet)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

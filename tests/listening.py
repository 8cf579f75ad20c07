"""An app of ours behind a real server in the test's own process, for what Flask's client cannot do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import make_server


@contextmanager
def listening(app: Flask) -> Iterator[str]:
    """Serve it until the end of the block; its host and port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        app.extensions["deerflow"].wakeups.end_waits()
        server.shutdown()
        serving.join()
        server.server_close()

"""What gunicorn serves. gevent patches on the first line, before anything opens a socket or makes a lock."""

import gevent.monkey

gevent.monkey.patch_all()

import gc

from app import create_app
from deerflow.api.hub import when_told_to_stop

application = create_app()

# gunicorn has installed its handlers before it loads this: its graceful stop comes first, then our streams end.
when_told_to_stop(application.extensions["deerflow"].wakeups.end_waits)

# What is loaded now stays: the collector need not walk it again while it serves streams.
gc.collect()
gc.freeze()

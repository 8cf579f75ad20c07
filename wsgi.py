"""What gunicorn serves. gevent patches on the first line, before anything opens a socket or makes a lock."""

import gevent.monkey

gevent.monkey.patch_all()

import gc

from app import create_app

application = create_app()

# What is loaded now stays: the collector need not walk it again while it serves streams.
gc.collect()
gc.freeze()

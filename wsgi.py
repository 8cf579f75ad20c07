"""What gunicorn serves. gevent patches on the first line, before anything opens a socket or makes a lock."""

import gevent.monkey

gevent.monkey.patch_all()

import gc
import sys

from app import create_app
from deerflow.api.hub import Resting, when_told_to_stop
from deerflow.errors import ConfigError
from deerflow.identity.set_up import announce
from deerflow.settings import Settings

_WRONG_APP = 4  # gunicorn's own code: trying again would not help

try:
    _settings = Settings.from_env()
    application = create_app(_settings)
    announce(application, _settings)
except ConfigError as error:
    sys.stderr.write(f"deerflow: {error}\n")
    sys.exit(_WRONG_APP)

# gunicorn has installed its handlers before it loads this: its graceful stop comes first, then our streams end.
application.wsgi_app = _resting = Resting(application.wsgi_app)
when_told_to_stop(application.extensions["deerflow"].wakeups.end_waits)
when_told_to_stop(_resting.end)

# What is loaded now stays: the collector need not walk it again while it serves streams.
gc.collect()
gc.freeze()

"""What gunicorn serves. gevent patches on the first line, before anything opens a socket or makes a lock."""

import gevent.monkey

gevent.monkey.patch_all()

from app import create_app

application = create_app()

"""A storm of logins, from a process of its own: ``python -m bench.logins URL CLIENTS EMAIL PASSWORD``.

Half of the clients know the password, the others guess at accounts that are not there; each from an address of its
own at every try, which the server believes (``trusted_proxies``), so that no limit ends the storm. Goes on until its
input is closed, then prints how many of which status came a second.
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from ipaddress import IPv4Address

from bench.http import Connection

_PATH = "/api/v1/auth/login"


def storm(url: str, clients: int, email: str, password: str) -> dict[str, float]:
    """Log in, nonstop; answers a second by their status."""
    over = threading.Event()
    counts = [Counter[int]() for _ in range(clients)]
    threads = [
        threading.Thread(target=_client, args=(url, (email, password) if number % 2 else None, counts[number], over))
        for number in range(clients)
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    return {str(status): count / seconds for status, count in sum(counts, Counter[int]()).items()}


def _client(url: str, right: tuple[str, str] | None, counts: Counter[int], over: threading.Event) -> None:
    while not over.is_set():
        number = random.getrandbits(32)
        email, password = right or (f"nobody{number}@example.com", f"a guess at {number}")
        connection = Connection(url, {"X-Forwarded-For": str(IPv4Address(number))})
        counts[connection.status("POST", _PATH, {"email": email, "password": password})] += 1
        connection.close()


if __name__ == "__main__":
    url, clients, email, password = sys.argv[1:]
    sys.stdout.write(json.dumps(storm(url, int(clients), email, password)))

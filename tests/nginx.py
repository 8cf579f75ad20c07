"""Debian's nginx as a process of a test: unprivileged, on loopback ports, its files in a folder of the test's own."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deerflow.settings import ROOT
from tests.conftest import wait_for
from tests.live import free_port
from tests.pages import fenced

PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
"""Debian keeps it where only root's path leads."""
NEEDED = pytest.mark.skipif(
    PROGRAM is None or shutil.which("openssl") is None,
    reason="for want of nginx (apt-get install nginx openssl)",
)
"""Marks tests that need it."""

_TOLD = "proxy_pass http://127.0.0.1:8123;"
"""How docs/security.md names the server."""
_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{}}
http {{
    access_log off;
    {folders}
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    {servers}
}}
"""


@dataclass(frozen=True)
class Front:
    """One ``server`` of nginx, with the ``location`` of docs/security.md. *address*: where its requests come from."""

    port: int
    to: int
    address: str
    https: bool = False
    forwards: str = ""
    """Instead of the page's: what it says of its client's scheme."""

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http{'s' if self.https else ''}://localhost:{self.port}"

    @property
    def text(self) -> str:
        """Its part of the configuration."""
        (server,) = fenced(ROOT / "docs" / "security.md", "nginx")
        (location,) = re.findall(r"^ *location / \{.*?^ *\}", server, re.MULTILINE | re.DOTALL)
        assert _TOLD in location
        passing = f"proxy_pass http://127.0.0.1:{self.to}; proxy_bind {self.address};"
        location = location.replace(_TOLD, passing)
        if self.forwards:
            location = re.sub(r"(X-Forwarded-Proto) [^;]+", rf"\1 {self.forwards}", location)
        return f"server {{ listen 127.0.0.1:{self.port}{' ssl' if self.https else ''}; {location} }}"


def front(to: int, address: str, *, https: bool = False, forwards: str = "") -> Front:
    """A server on a free port, in front of the port *to*."""
    return Front(free_port(), to, address, https, forwards)


@contextmanager
def nginx(folder: Path, fronts: list[Front]) -> Iterator[Path]:
    """nginx with these servers, until the end of the block; the certificate that it shows."""
    certificate = _certificate(folder)
    config = folder / "nginx.conf"
    folders = " ".join(f"{name}_temp_path {folder}/{name};" for name in _FOLDERS)
    config.write_text(_MAIN.format(folder=folder, folders=folders, servers="\n".join(one.text for one in fronts)))
    assert PROGRAM is not None
    with (folder / "error.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "-c", config, "-p", folder], stdout=log, stderr=log)
    try:
        for one in fronts:
            wait_for(lambda one=one: _listens(one.port) or process.poll() is not None, what="nginx")  # type: ignore[misc]
        assert process.poll() is None, (folder / "error.log").read_text()
        yield certificate
    finally:
        process.terminate()
        process.wait(10)


def _certificate(folder: Path) -> Path:
    """A certificate for localhost that nobody has signed."""
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(["openssl", *options.split(), *files], cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

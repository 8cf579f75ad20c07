"""Debian's Chromium without a screen."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

PROGRAM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
NEEDED = pytest.mark.skipif(
    PROGRAM is None or DRIVER is None, reason="for want of Chromium (apt-get install chromium chromium-driver)"
)
"""Marks tests that need it."""

_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage --disable-features=BackForwardCache"
)
"""Without the cache for going back: it keeps the streams of pages that were left, until no connection is free."""


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A browser until the end of the block; it logs what its pages say on the console, and what they ask of whom."""
    options = ChromeOptions()
    options.binary_location = str(PROGRAM)
    for option in _OPTIONS.split():
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("perfLoggingPrefs", {"enableNetwork": True, "enablePage": False})
    driver = Chrome(options=options, service=ChromeService(str(DRIVER)))
    try:
        driver.set_page_load_timeout(90)
        driver.set_script_timeout(90)
        yield driver
    finally:
        driver.quit()

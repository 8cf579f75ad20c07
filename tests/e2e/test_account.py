"""What only a browser shows of accounts: a key is copied, and a session that has ended is told where one is."""

from tests.e2e.page import Page
from tests.live import ADMIN

_SIGN_OUT = """
const client = document.querySelector("script[type=module]").src.replace("console.js", "client.js");
return import(client).then(({ authClient }) => authClient().logout());
"""


def sign_in(page: Page) -> None:
    """By the form."""
    email, password = ADMIN
    page.type("E-mail", email)
    page.type("Password", password)
    page.press("Sign in", within="form.form")


def test_a_key_is_made_copied_and_revoked(page: Page) -> None:
    """With the page's own buttons."""
    page.open("/console/keys").press("Create an API key")
    page.type("Name", "of a browser")
    page.press("Create the key")
    page.until("Copy it now")
    key = page.text("#key")
    page.press("Copy", within=".new-key")
    page.until(lambda: page.has(".new-key [data-copied]"))
    page.press("I have copied it")
    page.press("Create an API key")
    page.field("Name").click()
    page.keys("CONTROL", "v")
    page.until(lambda: page.field("Name").get_attribute("value") == key)
    page.press("Cancel")
    page.until("of a browser")
    assert key not in page.text()
    row = "li:has(details.ask)"
    page.press("Revoke", within=row)
    page.until("are refused at once")
    page.press("Revoke it", within=row)
    page.until("The key is revoked")


def test_a_session_that_ends_is_told_where_one_is(stranger: Page) -> None:
    """The page stays, says so, and leads to where one signs in and back."""
    stranger.open("/console/keys?of=all")
    sign_in(stranger)
    stranger.until("Everybody's")
    stranger.run(_SIGN_OUT)
    stranger.until("You are signed in no more.")
    assert "How to use one" in stranger.text()
    stranger.press("Sign in again")
    stranger.until(lambda: stranger.path.startswith("/console/login"))
    sign_in(stranger)
    stranger.until(lambda: stranger.path == "/console/keys?of=all")

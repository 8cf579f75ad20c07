"""langgraph.json: what it may say, and what it is told when it says it wrong."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from deerflow import project
from deerflow.errors import ConfigError


def _write(folder: Path, content: Any) -> Path:
    path = folder / "langgraph.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def _webhooks(value: Any = None, **keys: Any) -> Any:
    return {"graphs": {"a": "./a.py:g"}, "webhooks": keys if value is None else value}


def _store(**value: Any) -> Any:
    return {"graphs": {"a": "./a.py:g"}, "store": value}


def _auth(value: Any) -> Any:
    return {"graphs": {"a": "./a.py:g"}, "auth": value}


def _checkpointer(value: Any) -> Any:
    return {"graphs": {"a": "./a.py:g"}, "checkpointer": value}


def _http(**keys: Any) -> Any:
    return {"graphs": {"a": "./a.py:g"}, "http": keys}


def _cors(value: Any) -> Any:
    return {"graphs": {"a": "./a.py:g"}, "http": {"cors": value}}


def test_graphs_in_both_spellings(tmp_path: Path) -> None:
    """A target alone, or a path with a description; by file and by module."""
    graphs = {"a": "./a.py:graph", "b": {"path": "pkg.mod:make", "description": "told"}}
    found = project.load(_write(tmp_path, {"graphs": graphs, "dependencies": ["."], "env": ".env"}))
    assert found.graphs["a"] == project.GraphSource("a", "./a.py:graph")
    assert found.graphs["b"] == project.GraphSource("b", "pkg.mod:make", "told")
    assert (found.folder, found.dependencies, found.env) == (tmp_path, ["."], ".env")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not valid JSON"),
        ("[]", 'needs an object "graphs"'),
        ({}, 'needs an object "graphs"'),
        ({"graphs": {}}, 'needs an object "graphs"'),
        ({"graphs": {"a": "./a.py"}}, 'graph "a" must look like'),
        ({"graphs": {"a": 5}}, 'graph "a" must look like'),
        ({"graphs": {"a": {"description": "no path"}}}, 'graph "a" must look like'),
        ({"graphs": {"a": "./a.py:g"}, "store": []}, '"store" must be an object'),
        (_store(indices={}), '"store.indices" is not known; there are: index, ttl, path'),
        (_store(index={"dims": 3}), '"store.index" needs "dims" and "embed"'),
        (_store(index={"dims": 0, "embed": "a:b"}), '"store.index.dims" must be a positive whole number'),
        (_store(index={"dims": 3, "embed": "a"}), '"store.index.embed" must be like'),
        (_store(index={"dims": 3, "embed": "a:b", "fields": []}), '"store.index.fields" must be a list of strings'),
        (_store(ttl={"default_ttl": 0}), '"store.ttl.default_ttl" must be a positive number of minutes'),
        (_store(ttl={"refresh_on_read": 1}), '"store.ttl.refresh_on_read" must be true or false'),
        (_webhooks([]), '"webhooks" must be an object'),
        (_webhooks(url=5), '"webhooks.url" must be an object'),
        (_webhooks(urls={}), '"webhooks.urls" is not known; there are: url, env_prefix, headers, allowed_fields'),
        (_webhooks(url={"require_http": True}), '"webhooks.url.require_http" is not known'),
        (_webhooks(url={"require_https": "yes"}), '"webhooks.url.require_https" must be true or false'),
        (_webhooks(url={"disable_loopback": 1}), '"webhooks.url.disable_loopback" must be true or false'),
        (_webhooks(url={"allowed_domains": "a.org"}), '"webhooks.url.allowed_domains" must be a list of strings'),
        (_webhooks(url={"allowed_ports": ["443"]}), '"webhooks.url.allowed_ports" must be a list of positive whole'),
        (_webhooks(url={"max_url_length": 0}), '"webhooks.url.max_url_length" must be a positive whole number'),
        (_webhooks(env_prefix=""), '"webhooks.env_prefix" must be a string that is not empty'),
        (_webhooks(headers={"a": 1}), '"webhooks.headers" must be an object of header lines'),
        (_webhooks(headers={"a": "b\r\nc: d"}), '"webhooks.headers" must be an object of header lines'),
        (_webhooks(headers={"Webhook-Id": "1"}), "webhook-\\* are the server's own"),
        (_webhooks(headers={"host": "x"}), '"webhooks.headers" must be an object of header lines'),
        (_webhooks(allowed_fields="status"), '"webhooks.allowed_fields" must be a list of strings'),
        (_auth([]), '"auth" must be an object'),
        (_auth({}), '"auth" needs a "path"'),
        (_auth({"path": "./auth.py"}), '"auth.path" must be like "./auth.py:auth"'),
        (_auth({"path": "./auth.py:"}), '"auth.path" must be like "./auth.py:auth"'),
        (_auth({"paht": "./auth.py:auth"}), '"auth.paht" is not known; there are: path, disable_studio_auth, openapi'),
        (_auth({"path": "a:b", "disable_studio_auth": "no"}), '"auth.disable_studio_auth" must be true or false'),
        (_auth({"path": "a:b", "cache": {"cache_keys": "authorization"}}), '"auth.cache.cache_keys" must be a list'),
        (_auth({"path": "a:b", "cache": {"cache_keys": []}}), '"auth.cache.cache_keys" must be .* not empty'),
        (_auth({"path": "a:b", "cache": {"ttl_seconds": -1}}), '"auth.cache.ttl_seconds" must be 0 to 86400 seconds'),
        (_auth({"path": "a:b", "cache": {"ttl": 1}}), '"auth.cache.ttl" is not known'),
        (_checkpointer([1]), '"checkpointer" must be an object'),
        (_checkpointer({"ttl": 5}), '"checkpointer.ttl" must be an object'),
        (
            _checkpointer({"ttl": {"default_tll": 5}}),
            '"checkpointer.ttl.default_tll" is not known; there are: strategy',
        ),
        (
            _checkpointer({"ttl": {"default_ttl": 0}}),
            '"checkpointer.ttl.default_ttl" must be a positive number of minutes',
        ),
        (
            _checkpointer({"ttl": {"default_ttl": True}}),
            '"checkpointer.ttl.default_ttl" must be a positive number of minutes',
        ),
        (_checkpointer({"ttl": {"strategy": "keep"}}), '"checkpointer.ttl.strategy" must be "delete" or "keep_latest"'),
        ({"graphs": {"a": "./a.py:g"}, "http": [1]}, '"http" must be an object'),
        (_http(disable_runs="yes"), '"http.disable_runs" must be true or false'),
        (_http(mount_prefix="agents"), '"http.mount_prefix" must be a path like "/agents"'),
        (_http(mount_prefix="/a b"), '"http.mount_prefix" must be a path like "/agents"'),
        (_http(mount_prefix=5), '"http.mount_prefix" must be a path like "/agents"'),
        (_cors([]), '"http.cors" must be an object'),
        (_cors({"allow_origin": ["https://a.org"]}), '"http.cors.allow_origin" is not known; there are: allow_origins'),
        (_cors({"allow_origins": "https://a.org"}), '"http.cors.allow_origins" must be a list of strings'),
        (_cors({"allow_origin_regex": "("}), '"http.cors.allow_origin_regex" must be a regular expression'),
        (_cors({"allow_origin_regex": 5}), '"http.cors.allow_origin_regex" must be a regular expression'),
        (_cors({"allow_credentials": "yes"}), '"http.cors.allow_credentials" must be true or false'),
        (_cors({"expose_headers": ["x-a\r\nx-b: c"]}), '"http.cors.expose_headers" must be a list of header names'),
        (_cors({"max_age": -1}), '"http.cors.max_age" must be 0 to 86400 seconds'),
        ({"graphs": {"a": "./a.py:g"}, "http": {"configurable_headers": ["x"]}}, "must be an object with"),
        (
            {"graphs": {"a": "./a.py:g"}, "http": {"configurable_headers": {"include": "x"}}},
            r"configurable_headers\.include\" must be a list",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, told: str) -> None:
    path = _write(tmp_path, content)
    with pytest.raises(ConfigError, match=told) as raised:
        project.load(path)
    assert str(path) in str(raised.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Name your langgraph\.json with --config"):
        project.load(tmp_path / "none.json")


def test_keys_without_effect_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key that is not carried out and an unknown one are warned about; those for building images are not."""
    http = {"configurable_headers": {"include": ["x-a"]}, "cors": {}, "app": "./a.py:app"}
    content = {
        "graphs": {"a": "./a.py:g"},
        "checkpointer": {},
        "store": {"path": "./s.py:store"},
        "grpahs": {},
        "python_version": "3.11",
        "http": http,
    }
    with caplog.at_level(logging.WARNING):
        project.load(_write(tmp_path, content))
    assert {record.key for record in caplog.records} == {"store.path", "grpahs", "http.app"}


def test_store(tmp_path: Path) -> None:
    """Every key; what is not said, or null, is as usual."""
    index = {"dims": 3, "embed": "./e.py:embed", "fields": ["a", "b[*].c"]}
    ttl = {"refresh_on_read": False, "default_ttl": 0.5, "sweep_interval_minutes": 1}
    found = project.load(_write(tmp_path, _store(index=index, ttl=ttl))).store
    assert found == project.Store(project.StoreIndex(3, "./e.py:embed", ("a", "b[*].c")), False, 0.5, 1)
    for empty in ({}, {"index": None, "ttl": None}, {"ttl": {"default_ttl": None}}):
        assert project.load(_write(tmp_path, _store(**empty))).store == project.Store()


def test_checkpointer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """How long threads are kept is read; of what is the server's own, it is told that it changes nothing."""
    ttl = {"default_ttl": 1.5, "strategy": "keep_latest", "sweep_interval_minutes": 5, "sweep_limit": 9}
    with caplog.at_level(logging.WARNING):
        found = project.load(_write(tmp_path, _checkpointer({"ttl": ttl, "backend": "custom"})))
    assert found.checkpointer == project.Checkpointer(default_ttl=1.5, strategy="keep_latest")
    assert [record.key for record in caplog.records] == ["checkpointer.backend"]
    for nothing in (None, {}, {"ttl": None}, {"ttl": {"default_ttl": None}}):
        assert project.load(_write(tmp_path, _checkpointer(nothing))).checkpointer == project.Checkpointer()


def test_webhooks(tmp_path: Path) -> None:
    """Every key; what is not said, or null, is left open."""
    url = {
        "require_https": True,
        "disable_loopback": False,
        "allowed_domains": ["*.a.org"],
        "allowed_ports": [443],
        "max_url_length": 99,
    }
    keys = {"url": url, "headers": {"x": "${{ env.W_X }}"}, "env_prefix": "W_", "allowed_fields": ["status"]}
    assert project.load(_write(tmp_path, _webhooks(**keys))).webhooks == project.Webhooks(
        require_https=True,
        disable_loopback=False,
        allowed_domains=("*.a.org",),
        allowed_ports=(443,),
        max_url_length=99,
        env_prefix="W_",
        headers={"x": "${{ env.W_X }}"},
        allowed_fields=("status",),
    )
    for nothing in ({}, {"url": None, "headers": None}):
        assert project.load(_write(tmp_path, _webhooks(**nothing))).webhooks == project.Webhooks()
    assert project.load(_write(tmp_path, {"graphs": {"a": "./a.py:g"}})).webhooks == project.Webhooks()


def test_auth(tmp_path: Path) -> None:
    """Its target, and how long its answers stand; what concerns Studio and OpenAPI is taken and changes nothing."""
    cache = {"cache_keys": ["Authorization", "X-Tenant"], "ttl_seconds": 2.5, "max_size": 7}
    told = {"path": "./auth.py:auth", "disable_studio_auth": False, "openapi": {}, "cache": cache}
    found = project.load(_write(tmp_path, _auth(told))).auth
    assert found == project.Auth("./auth.py:auth", ("authorization", "x-tenant"), 2.5, 7)
    assert project.load(_write(tmp_path, _auth({"path": "mod:auth"}))).auth == project.Auth("mod:auth")
    assert project.load(_write(tmp_path, _auth(None))).auth is None


@pytest.mark.parametrize("spelling", ["{}", "{}s"])
def test_header_rule(tmp_path: Path, spelling: str) -> None:
    """In both spellings that are about; names are compared in lower case."""
    rule = {spelling.format("include"): ["X-Foo*"], spelling.format("exclude"): ["x-foo-Secret"]}
    found = project.load(_write(tmp_path, {"graphs": {"a": "./a.py:g"}, "http": {"configurable_headers": rule}}))
    assert found.http.configurable_headers == project.HeaderRule(include=("x-foo*",), exclude=("x-foo-secret",))


def test_cors(tmp_path: Path) -> None:
    """What is said; methods and headers, which restrict nothing, are taken in whatever form."""
    told = {
        "allow_origins": ["https://a.org"],
        "allow_origin_regex": "https://.*\\.a\\.org",
        "allow_credentials": True,
        "expose_headers": ["x-mine"],
        "max_age": 5,
        "allow_methods": ["*"],
        "allow_headers": ["x-yours"],
    }
    found = project.load(_write(tmp_path, _cors(told))).http.cors
    assert found == project.Cors(("https://a.org",), "https://.*\\.a\\.org", True, ("x-mine",), 5)
    assert project.load(_write(tmp_path, _cors(None))).http.cors == project.Cors()


def test_what_is_served_and_where(tmp_path: Path) -> None:
    """Families that are switched off, and the path of everything; null, false and / are as if they were not there."""
    keys = _http(disable_runs=True, disable_store=False, disable_meta=None, mount_prefix="/a/b/")
    found = project.load(_write(tmp_path, keys)).http
    assert (found.disabled, found.mount_prefix) == (frozenset({"runs"}), "/a/b")
    assert project.load(_write(tmp_path, _http(mount_prefix="/"))).http == project.Http()


def test_an_app_of_ones_own_is_warned_of_with_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        project.load(_write(tmp_path, _http(app="./a.py:app")))
    assert "run the app beside this server" in caplog.text

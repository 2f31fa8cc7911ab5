"""Who may change what is served."""

from __future__ import annotations

import hmac
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from shopstill.core.errors import ConfigError
from shopstill.serve.app import keys as module
from shopstill.serve.app.keys import Keys, add_key

CHANGES = [
    ("PUT", "/products/9"),
    ("DELETE", "/products/0"),
    ("POST", "/products"),
    ("POST", "/models"),
    ("POST", "/models/rollback"),
    ("POST", "/models/one/activate"),
    ("DELETE", "/models/one"),
]


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def kind(answer: Any) -> str:
    return str(answer.json()["error"]["kind"])


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_every_change_needs_a_key_with_its_scope(
    client: Any, serve: Any, keys: Path, method: str, path: str, engine: Any
) -> None:
    wrong = "models" if "products" in path else "products"
    other = add_key(keys, [wrong, "metrics"], "other")
    before = dict(engine.stock), list(engine.loaded)
    for headers, status, said in (
        ({}, 401, "no_key"),
        (bearer("made-up"), 401, "unknown_key"),
        ({"authorization": f"Basic {other}"}, 401, "no_key"),
        (bearer(other), 403, "scope"),
    ):
        answer = client.request(method, path, headers=headers)
        assert (answer.status_code, kind(answer)) == (status, said)
        assert ("www-authenticate" in answer.headers) == (status == 401)
    closed = serve(keys=None).request(method, path, headers=bearer(other))
    assert (closed.status_code, kind(closed)) == (403, "no_keys")
    assert "shopstill key" in closed.json()["error"]["message"]
    assert before == (engine.stock, engine.loaded)


def test_a_body_is_not_read_before_the_key_is_known(client: Any) -> None:
    assert client.post("/products", content=b"{" * 1_000_000).status_code == 401


def test_only_salted_hashes_are_kept_for_the_owners_eyes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    secrets = [add_key(path, ["products"], name) for name in ("one", "two")]
    text = path.read_text()
    assert not [secret for secret in secrets if secret in text]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]
    salts, hashes = ({entry[part] for entry in json.loads(text)["keys"]} for part in ("salt", "hash"))
    assert len(salts) == len(hashes) == 2
    assert [Keys(path).find(secret).name for secret in secrets] == ["one", "two"]  # type: ignore[union-attr]
    assert len(secrets[0]) > 40


def test_all_keys_are_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    first = add_key(path, ["products"], "first")
    add_key(path, ["products"], "last")
    compared: list[str] = []
    monkeypatch.setattr(
        module.hmac, "compare_digest", lambda a, b: (compared.append(b), hmac.digest(b"k", a.encode(), "md5") == b)[1]
    )
    Keys(path).find(first)
    assert len(compared) == 2


def test_a_key_is_withdrawn_and_added_without_a_restart(client: Any, keys: Path) -> None:
    secret = add_key(keys, ["models"], "late")
    assert client.post("/models/rollback", headers=bearer(secret)).status_code == 409
    whole = json.loads(keys.read_text())
    whole["keys"] = [entry for entry in whole["keys"] if entry["name"] != "late"]
    keys.write_text(json.dumps(whole))
    assert client.post("/models/rollback", headers=bearer(secret)).status_code == 401
    keys.write_text("{")
    assert client.post("/models/rollback", headers=bearer(secret)).status_code == 503


@pytest.mark.parametrize(
    ("scopes", "name", "said"),
    [(["product"], "a", "did you mean 'products'"), ([], "a", "one scope"), (["models"], "", "needs a name")],
)
def test_a_key_must_be_for_something(tmp_path: Path, scopes: list[str], name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        add_key(tmp_path / "keys.json", scopes, name)
    assert not (tmp_path / "keys.json").exists()


def test_a_file_that_is_none_of_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigError, match="no file of keys"):
        Keys(path)
    path.write_text('{"keys": [{"name": "a"}]}')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"keys\.0\."):
        Keys(path)
    path.unlink()
    add_key(path, ["models"], "a")
    with pytest.raises(ConfigError, match="there is one of this name"):
        add_key(path, ["models"], "a")
    path.chmod(0o622)
    with pytest.raises(ConfigError, match="chmod 600"):
        Keys(path)

"""API keys: who may change what is served. Only salted hashes are kept, and none is built in."""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from shopstill.core.config import config
from shopstill.core.errors import ConfigError, nearest

Scope = Literal["products", "models", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_HEX = r"^[0-9a-f]+$"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_PERSON = b"shopstill-key"
_OTHERS_WRITE = 0o022


@config
class Key:
    """A key as it is kept: no secret, only what proves one."""

    name: str = Field(min_length=1, max_length=64)
    scopes: tuple[Scope, ...]
    salt: str = Field(min_length=32, max_length=32, pattern=_HEX)
    hash: str = Field(min_length=64, max_length=64, pattern=_HEX)
    made: str


@config
class KeyFile:
    """The file of keys."""

    keys: tuple[Key, ...] = ()


_FORM = TypeAdapter(KeyFile)


@dataclass(frozen=True, kw_only=True)
class _Read:
    stamp: tuple[int, int]
    keys: tuple[Key, ...]


class Keys:
    """A file of keys, read again when it changes, so that a key is withdrawn without a restart.

    Args:
        path: the file, which ``add_key`` writes; None where nothing may be changed.

    Raises:
        ConfigError: the file is missing, is not a file of keys, or may be written by anyone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read = _read(path) if path is not None else None

    @property
    def given(self) -> bool:
        """Whether there is a file of keys."""
        return self._path is not None

    def find(self, secret: str) -> Key | None:
        """The key that a secret is, if any; it takes equally long whichever it is.

        Raises:
            ConfigError: the file was changed, and is now not what it must be.
        """
        if self._path is None or self._read is None:
            return None
        if _stamp(self._path) != self._read.stamp:
            self._read = _read(self._path)
        found = None
        for key in self._read.keys:
            if hmac.compare_digest(_hash(secret, key.salt), key.hash):
                found = key
        return found


def add_key(path: Path, scopes: Iterable[str], name: str) -> str:
    """Make a key, keep its hash in a file, and return the secret, which is nowhere else.

    Args:
        path: the file of keys; it is made where there is none.
        scopes: what the key opens: ``products``, ``models``, ``metrics``.
        name: whose it is, for logs.

    Raises:
        ConfigError: a scope is unknown, or the name is taken or not a name.
    """
    wanted = tuple(dict.fromkeys(scopes))
    for scope in wanted:
        if scope not in SCOPES:
            raise ConfigError(f"scopes: {scope!r} is unknown; {nearest(scope, SCOPES)}")
    if not wanted or not _NAME.fullmatch(name):
        raise ConfigError(f"key {name!r}: needs a name of letters, digits, . _ @ - and one scope at least")
    kept = _read(path).keys if path.exists() else ()
    if name in {key.name for key in kept}:
        raise ConfigError(f"key {name!r}: there is one of this name in {path}; take another, or remove that one first")
    secret, salt = f"shopstill_{secrets.token_urlsafe(32)}", secrets.token_hex(16)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    fresh = TypeAdapter(Key).validate_python(
        {"name": name, "scopes": wanted, "salt": salt, "hash": _hash(secret, salt), "made": made}
    )
    _write(path, KeyFile(keys=(*kept, fresh)))
    return secret


def _hash(secret: str, salt: str) -> str:
    # A secret has 256 random bits, so that a slow hash would guard against nothing.
    given = secret.encode("utf-8", "surrogatepass")
    return blake2b(given, salt=bytes.fromhex(salt), person=_PERSON, digest_size=32).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as cause:
        raise ConfigError(f"{path}: no file of keys ({cause.strerror}); make one with: shopstill key") from None
    return state.st_mtime_ns, state.st_ino


def _read(path: Path) -> _Read:
    stamp = _stamp(path)
    if path.stat().st_mode & _OTHERS_WRITE:
        raise ConfigError(f"{path}: others than its owner may write it; mend that with: chmod 600 {path}")
    try:
        return _Read(stamp=stamp, keys=_FORM.validate_json(path.read_bytes()).keys)
    except ValidationError as cause:
        fault = cause.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "(top)"
        raise ConfigError(f"{path}: {place}: {fault['msg']}; it must be as shopstill key wrote it") from None


def _write(path: Path, whole: KeyFile) -> None:
    """Write aside, for its owner's eyes alone, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(_FORM.dump_python(whole, mode="json"), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise

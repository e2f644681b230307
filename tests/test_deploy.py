"""The files of deploy/, each by its own schema or parser, and against each other."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import msgspec
import promql_parser
import pytest
import typer
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner
from tests.each import each

from softaxe.cli.commands import app
from softaxe.control.operations import OPERATIONS
from softaxe.fleet.options import FleetOptions, read_fleet_file
from softaxe.testing.run import running

pytestmark = pytest.mark.unwatched

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
METRIC = re.compile(r"(\w+)(\{[^}]*\})? ")
LABEL = re.compile(r'(\w+)="')


@pytest.mark.skipif(sys.platform == "win32", reason="there is no hadolint in a wheel")
def test_the_dockerfile_has_no_complaint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run(
        [hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (found.stdout, found.returncode) == ("", 0)


def test_the_image_runs_our_command_as_nobody_special() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (entry,) = json.loads(_instruction("ENTRYPOINT"))
    user, group = map(int, _instruction("USER").split(":"))

    assert entry in project["project"]["scripts"]
    assert min(user, group) > 0
    assert f"useradd --uid {user} " in DOCKERFILE
    assert f"XDG_DATA_HOME={_instruction('VOLUME')} " in DOCKERFILE


def test_what_the_wheel_is_built_of_is_in_the_context() -> None:
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8")

    names = {line[1:] for line in kept.splitlines() if line.startswith("!")}
    assert all((ROOT / name).exists() for name in names)
    assert names >= {"pyproject.toml", "setup.py", "MANIFEST.in", "src", "ui"}
    assert "README.md" in names


def test_every_variable_is_an_option() -> None:
    known = set(_variables())
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            used = set(re.findall(r"\bSOFTAXE_[A-Z_]+[A-Z]\b", text))
            assert used <= known, path.name


def _variables() -> Iterator[str]:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for option in command.params:
            yield option.envvar or f"SOFTAXE_{name}_{option.name}".upper()
    yield "SOFTAXE_POOL_PORT"  # of a service's links, as a comment says


def test_the_health_check_is_passed_when_the_devices_are_up() -> None:
    code = json.loads(re.findall(r"CMD (\[\"python\".*\])", DOCKERFILE)[0])[2]
    assert "'127.0.0.1', 8100, " in code

    def status(code: str) -> int:
        names: dict[str, Any] = {}
        with pytest.raises(SystemExit) as ended:
            exec(code, names)  # what is in the image, word for word
        names["c"].close()
        return int(ended.value.code or 0)

    with running(control=True) as fleet:
        own = code.replace("8100", fleet.control_url.rpartition(":")[2])
        assert status(own) == 0
        assert status(own.replace("/ready", "/nowhere")) == 1


def test_the_compose_file_is_as_its_schema_says() -> None:
    from check_jsonschema import main  # type: ignore[import-untyped]  # noqa: PLC0415

    arguments = ["--builtin-schema", "vendor.compose-spec", f"{DEPLOY}/compose.yaml"]

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 0, result.output


def test_the_compose_file_names_what_there_is() -> None:
    services = COMPOSE["services"]
    options = read_fleet_file(DEPLOY / "fleet.toml", FleetOptions(Path(), port_base=1))
    devices = sum(group.count for group in options.groups)
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))

    mounts = [
        one for service in services.values() for one in service.get("volumes", ())
    ]
    for place, *_ in (mount.split(":") for mount in mounts):
        is_file = place.startswith("./")
        assert (DEPLOY / place).exists() if is_file else place in COMPOSE["volumes"]
    assert f"127.0.0.1:9000-{9000 + devices - 1}:" in services["fleet"]["ports"][1]
    assert {"SOFTAXE_RUN_PORT_BASE=9000", "8100"} <= set(re.findall(r"\S+", DOCKERFILE))
    (job,) = scraped["scrape_configs"]
    (static,) = job["static_configs"]
    for target in static["targets"]:
        name, port = target.split(":")
        assert name in services
        assert port == "8100"
    pools = {str(g.pool).partition("://")[2] for g in options.groups if g.pool}
    assert pools == {"pool:3333"}
    assert "pool" in services
    published = [port for one in services.values() for port in one["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in published)


# What is measured


@pytest.fixture(scope="module")
def metrics() -> dict[str, set[str]]:
    """Labels of each metric of a fleet."""
    with running(control=True, speed=0, warm_up_s=60) as fleet:
        text = httpx.get(f"{fleet.control_url}/metrics").text
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = METRIC.match(line)
            assert match is not None
            found.setdefault(match[1], {"job", "instance"}).update(
                LABEL.findall(match[2] or "")
            )
    return found


DASHBOARD = json.loads(
    (DEPLOY / "grafana" / "softaxe.json").read_text(encoding="utf-8")
)
QUERIES = [
    (panel["title"], target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}


@each(("title", "query"), QUERIES)
def test_a_panel_asks_for_metrics_that_there_are(
    title: str, query: str, metrics: dict[str, set[str]]
) -> None:
    own = query.replace("$__rate_interval", "1m")
    assert set(re.findall(r"\$(\w+)", own)) <= VARIABLES.keys(), title

    names, labels = _read(promql_parser.parse(re.sub(r"\$\w+", ".*", own)))

    assert names
    assert names <= metrics.keys()
    assert labels <= set().union(*(metrics[name] for name in names))


def _read(expression: Any) -> tuple[set[str], set[str]]:
    """Names of the metrics in an expression, and of the labels."""
    names, labels = set[str](), set[str]()

    def see(part: Any) -> bool:
        if isinstance(part, promql_parser.VectorSelector):
            assert part.name is not None
            names.add(part.name)
            labels.update(one.name for one in part.matchers.matchers)
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier:
            labels.update(part.modifier.labels)
        return True

    promql_parser.walk(expression, see)
    return names, labels


def test_the_variables_of_the_dashboard_have_values(
    metrics: dict[str, set[str]],
) -> None:
    for one in VARIABLES.values():
        if one["type"] == "query":
            asked = re.fullmatch(
                r"label_values\((\w+)(\{.*\})?, (\w+)\)", one["query"]["query"]
            )
            assert asked is not None
            assert asked[3] in metrics[asked[1]]


def test_grafana_is_given_its_source_and_its_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load(
        (provisioning / "datasources" / "prometheus.yaml").read_text(encoding="utf-8")
    )["datasources"]
    (provider,) = yaml.safe_load(
        (provisioning / "dashboards" / "softaxe.yaml").read_text(encoding="utf-8")
    )["providers"]
    mounts = COMPOSE["services"]["grafana"]["volumes"]

    assert source["type"] == VARIABLES["datasource"]["query"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    place = f"{provider['options']['path']}/softaxe.json"
    assert f"./grafana/softaxe.json:{place}:ro" in mounts
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(
        DASHBOARD["panels"]
    )


# Kubernetes


def _objects() -> dict[str, Any]:
    return {
        one["kind"]: one
        for path in (DEPLOY / "kubernetes").iterdir()
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    }


OBJECTS = _objects()
CLUSTER = OBJECTS["RayCluster"]["spec"]
PODS = {
    "fleet": OBJECTS["StatefulSet"]["spec"]["template"],
    "head": CLUSTER["headGroupSpec"]["template"],
    **{group["groupName"]: group["template"] for group in CLUSTER["workerGroupSpecs"]},
}


def check_words(found: dict[str, Any]) -> None:
    """Let Kubernetes' own types, for its newest release, read an object.

    Raises:
        ValueError: A value is of another type or missing, or a word is not known.
    """
    models = "core_v1" if found["apiVersion"] == "v1" else "apps_v1"
    # Their import takes as long as all other tests here to collect.
    kind = getattr(import_module(f"lightkube.models.{models}"), found["kind"])
    if not is_within(found, msgspec.to_builtins(msgspec.convert(found, kind))):
        raise ValueError("a word is not known, and was left out")


def is_within(part: Any, whole: Any) -> bool:
    """Tell whether an object has all that another has; defaults may be added."""
    if isinstance(part, dict):
        return part.keys() <= whole.keys() and all(
            is_within(part[name], whole[name]) for name in part
        )
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(is_within, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize("kind", ["Service", "StatefulSet"])
def test_kubernetes_knows_every_word(kind: str) -> None:
    found = OBJECTS[kind]
    check_words(found)
    for wrong in ({"replicated": 3}, {"selector": 3}):
        with pytest.raises(ValueError):  # noqa: PT011 - as the words of the libraries
            check_words({**found, "spec": {**found["spec"], **wrong}})


@pytest.mark.parametrize("name", PODS)
def test_pods_are_pods_without_rights(name: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    spec = PODS[name]["spec"]

    check_words({**pod, "spec": spec})

    assert f"{spec['securityContext']['runAsUser']}:" in _instruction("USER")
    assert spec["enableServiceLinks"] is False
    (container,) = spec["containers"]
    rights = container["securityContext"]
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    volumes = {one["name"] for one in spec["volumes"]}
    claims = OBJECTS["StatefulSet"]["spec"]["volumeClaimTemplates"]
    volumes |= {one["metadata"]["name"] for one in claims}
    assert {one["name"] for one in container["volumeMounts"]} <= volumes


def test_what_kubernetes_files_name_is_there() -> None:
    service, fleet = OBJECTS["Service"], OBJECTS["StatefulSet"]["spec"]
    labels = fleet["template"]["metadata"]["labels"]
    (container,) = fleet["template"]["spec"]["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}

    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["name"] == fleet["serviceName"]
    assert {one["name"]: one["port"] for one in service["spec"]["ports"]} == ports
    assert service["spec"]["selector"].items() <= labels.items()
    assert fleet["selector"]["matchLabels"] == labels
    exposed = set(map(int, _instruction("EXPOSE").split()))
    assert set(ports.values()) == exposed
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    variables = {one["name"]: one for one in container["env"]}
    pod_index = variables["SOFTAXE_RUN_SEED"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert pod_index == "metadata.labels['apps.kubernetes.io/pod-index']"
    monitor = OBJECTS["PodMonitor"]["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    (watched,) = monitor["selector"]["matchExpressions"]
    head = PODS["head"]["metadata"]["labels"]
    assert watched["values"] == [labels[watched["key"]], head[watched["key"]]]
    assert (endpoint["port"] in ports, endpoint["path"]) == (True, "/metrics")
    secret = variables["SOFTAXE_CONTROL_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert endpoint["authorization"]["credentials"] == secret


@each("path", ["/control/ready", "/control/health", "/metrics"])
def test_who_watches_asks_for_what_there_is(path: str) -> None:
    folder = DEPLOY / "kubernetes"
    files = [folder / name for name in ("softaxe.yaml", "podmonitor.yaml")]
    used = "".join(one.read_text(encoding="utf-8") for one in files)

    assert f"path: {path}\n" in used
    assert path in {operation.path for operation in OPERATIONS}


def _instruction(name: str) -> str:
    """What the last instruction of a name says."""
    return str(re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)[-1])

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.commands import command, end_of, read_until
from tests.each import each
from tests.running import until, wait_for
from typer.testing import CliRunner

from softaxe.cli import run
from softaxe.cli.commands import app
from softaxe.fleet.options import FleetOptions
from softaxe.serve.storage import Storage

Ports = Callable[..., int]


@pytest.mark.unwatched
@each(
    ("arguments", "complaint"),
    [
        (["--ephemeral", "--state", "here"], "--ephemeral: forgets its state"),
        (["fleet.toml", "--count", "3"], "--count: write it into fleet.toml"),
        (["fleet.toml", "--first-boot"], "--first-boot: write it into fleet.toml"),
        (["--replay", "it.json", "--seed", "1"], "--seed: a recording has no use"),
        (["--pool", "pool.x:notaport"], "--pool: pool.x:notaport: the port is none"),
        (["--pool", "tcp://[::1]:99999"], "--pool: tcp://[::1]:99999: the port"),
        (["--control", "here"], "--control: 'here' is neither"),
        (["--host", "0.0.0.0", "--count", "2"], "--host: 0.0.0.0 is all addresses"),
        (["--host", "::", "--count", "2"], "ports with --port-base"),
        (["--advertise", "a", "--count", "2"], "--advertise: a cannot be the one"),
        (["--allow-network", "10/8"], "--allow-network: '10/8' is no network"),
        (["--allow-host", "*"], "--allow-host: '*' is no host name"),
        (["--allow-host", "http://a"], "--allow-host: 'http://a' is no host name"),
        (["--networks", "nowhere.toml"], "nowhere.toml"),
        (["fleet.toml", "--share-rate", "3"], "--share-rate: write it into fleet.toml"),
        (["fleet.toml", "--strict"], "--strict: write it into fleet.toml"),
        (["--strict", "--profile", "firmware"], "strict: a device asks for nothing"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", *arguments])

    assert result.exit_code == 2
    assert result.stderr.startswith("softaxe: ")
    assert result.stderr.count("\n") == 1
    assert complaint in result.stderr


@pytest.mark.parametrize(
    ("arguments", "is_warned"),
    [
        (["--control", "0.0.0.0:0"], True),
        (["--control", "0.0.0.0:0", "--control-token", "geheim"], False),
        (["--control", "127.0.0.1:0"], False),
        (["--control", "none"], False),
    ],
)
def test_a_control_port_for_others_without_a_token_is_warned_of(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, *, is_warned: bool
) -> None:
    monkeypatch.setattr(run, "run_loop", lambda work: work.close())

    result = CliRunner().invoke(app, ["run", "--ephemeral", *arguments])

    assert result.exit_code == 0
    assert ("--control-token" in result.stderr) is is_warned


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("SIGTERM", ()),
        ("SIGHUP", ()),
        ("SIGHUP", ("--count", "2", "--port-base", "0", "--workers", "2")),
    ],
)
def test_what_is_ephemeral_is_gone_when_the_terminal_closes(
    name: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    if not hasattr(signal, name):
        pytest.skip("no such signal here")
    options = ("run", "--ephemeral", "--control", "none", "--pool", "127.0.0.1:9")
    with subprocess.Popen(
        [sys.executable, "-m", "softaxe", *options, *(more or ("--port", "0"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path),
            "SOFTAXE_PASSWORD": "my secret",
        },
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while "Ctrl-C stops it" not in (line := process.stdout.readline()):
            assert line
        (folder,) = tmp_path.glob("softaxe-*")
        assert (folder / "state.db").exists()

        # All in front of a terminal hear it.
        os.killpg(process.pid, getattr(signal, name))
        _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_before_there_is_anything_to_stop_leaves_nothing(
    tmp_path: Path,
) -> None:
    program = (
        "import os, signal, tempfile\n"
        "from softaxe.cli.terminal import folder_that_ends\n"
        "with folder_that_ends():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )

    assert done.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_the_password_comes_from_the_environment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def serve(options: FleetOptions, *_: object) -> None:
        seen.append(options.groups[0].password)

    monkeypatch.setattr("softaxe.cli.run.serve", serve)
    state = ["--state", str(tmp_path)]

    CliRunner().invoke(app, ["run", *state], env={"SOFTAXE_PASSWORD": "my secret"})
    CliRunner().invoke(app, ["run", *state])

    assert seen == ["my secret", None]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[FleetOptions]:
    """What would be served, instead of it."""
    seen: list[FleetOptions] = []

    async def serve(options: FleetOptions, *_: object) -> None:
        seen.append(options)

    monkeypatch.setattr("softaxe.cli.run.serve", serve)
    return seen


def test_every_option_comes_from_the_environment_and_the_command_line_goes_first(
    served: list[FleetOptions], tmp_path: Path
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text("speed = 2\nhost = '127.0.0.3'\nseed = 4\n[[group]]\n")
    variables = {
        "SOFTAXE_RUN_CONFIG": str(path),
        "SOFTAXE_RUN_EPHEMERAL": "1",
        "SOFTAXE_RUN_SPEED": "3",
        "SOFTAXE_RUN_PORT": "9000",
        "SOFTAXE_RUN_SEED": "",  # as compose files say that there is none
        "SOFTAXE_RUN_ALLOW_HOST": "a.example .b.example",
        "SOFTAXE_VERSION": "1.2.3",  # of an image; no option
    }

    result = CliRunner().invoke(app, ["run", "--port", "9001"], env=variables)

    assert result.exit_code == 0, result.output
    (options,) = served
    assert (options.speed, options.port) == (3, 9001)
    assert (options.host, options.seed) == ("127.0.0.3", 4)
    assert options.allow_host == ("a.example", ".b.example")


def test_the_command_line_says_the_other_of_what_an_image_says(
    served: list[FleetOptions], tmp_path: Path
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text("[[group]]")
    state = tmp_path / "state"
    image = {
        "SOFTAXE_RUN_PORT_BASE": "9000",
        "SOFTAXE_RUN_STATE": str(state),
        "SOFTAXE_RUN_CONFIG": "of-the-image.toml",
    }
    for arguments in (["--port", "81"], ["--port-base", "82"]):
        command_line = ["run", str(path), "--ephemeral", *arguments]
        result = CliRunner().invoke(app, command_line, env=image)
        assert result.exit_code == 0, result.output

    assert [(one.port_base, one.port) for one in served] == [(None, 81), (82, 8080)]
    assert state not in {one.state for one in served}
    lasting = ["run", str(path), "--state", str(state)]
    CliRunner().invoke(app, lasting, env={"SOFTAXE_RUN_EPHEMERAL": "1"})
    assert served[-1].state == state


def test_what_a_fleet_file_says_is_refused_by_the_variable_s_name(
    served: list[FleetOptions],
) -> None:
    for name in ("SOFTAXE_RUN_COUNT", "SOFTAXE_PASSWORD"):
        arguments = ["run", "--config", "fleet.toml"]
        result = CliRunner().invoke(app, arguments, env={name: "3"})

        assert result.stderr == f"softaxe: {name}: write it into fleet.toml\n"
    twice = CliRunner().invoke(app, ["run", "a.toml", "--config", "b.toml"])
    assert twice.stderr == "softaxe: --config: a.toml is given, too\n"
    assert not served


@pytest.mark.unwatched
def test_the_help_tells_the_variables() -> None:
    wide = {"COLUMNS": "240"}
    for command_name in ("run", "pool", "record", "scenario"):
        shown = CliRunner().invoke(app, [command_name, "--help"], env=wide).stdout
        options = set(re.findall(r"│ \*? *--([a-z][a-z-]+)", shown))
        for option in options - {"help", "password", "control-token"}:
            name = f"SOFTAXE_{command_name}_{option}".upper().replace("-", "_")
            assert name in shown, option
        assert options


def test_run_says_what_runs_and_keeps_its_state_to_itself_and_ends_cleanly(
    tmp_path: Path, free_ports: Ports
) -> None:
    port = free_ports()
    with command("run", "--port", str(port), "--state", str(tmp_path)) as process:
        info = wait_for(f"http://127.0.0.1:{port}/api/system/info")
        twice = ["run", "--port", "0", "--state", str(tmp_path)]
        second = CliRunner().invoke(app, twice)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert second.exit_code == 2
    assert f"{tmp_path} is in use by another softaxe" in second.stderr
    assert process.returncode == 0
    assert errors == ""
    assert f"address  http://127.0.0.1:{port}" in output
    assert "board    601 Gamma (1 x BM1370)" in output
    assert "firmware v2.12.2\n" in output
    assert "name" not in output
    assert re.search(r"pool     built-in 127\.0\.0\.1:\d+", output)
    assert "work     scaled" in output
    assert info["ASICModel"] == "BM1370"
    assert info["stratumURL"] == info["fallbackStratumURL"] == "127.0.0.1"
    assert info["stratumPort"] != info["fallbackStratumPort"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--board", "9000"], "board: '9000' is none of"),
        (["--pool", "http://a:1"], "no pool is spoken to in http; write HOST:PORT"),
        (
            ["--pool", "stratum+ssl://a:1", "--firmware", "2.12"],
            "it asks for TLS, which firmware has from 2.13 on, and not in v2.12.2",
        ),
        (["--pool", "a:1", "--pool-cert", "x"], "goes with --pool stratum+ssl"),
        (
            ["--pool", "stratum+ssl://a:1", "--pool-cert", "no such file"],
            "--pool-cert: no such file",
        ),
        (["--pool", "://"], "--pool"),
        (["--state", "x", "--ephemeral"], "--ephemeral"),
        (["--port", "70000"], "65535"),
        (["--work", "fake"], "fake"),
    ],
)
def test_bad_options_are_refused_in_words(arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(app, ["run", *arguments])

    assert type(result.exception) is SystemExit
    assert result.exit_code != 0
    errors = re.sub(r"[│╭╮╰╯─]", " ", result.stderr)
    assert complaint in re.sub(r"\s+", " ", errors)


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["run", "--port", str(port), "--state", str(tmp_path)]
        result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert (
        result.stderr
        == f"softaxe: --port: 127.0.0.1 port {port}: Address already in use\n"
    )


def test_a_log_names_devices_and_no_passwords_and_ends_on_sigterm(
    tmp_path: Path,
) -> None:
    arguments = ("--count", "2", "--port", "0", "--state", str(tmp_path))
    options = ("--log-level", "info", "--control", "none", "--speed", "20")
    secret = "sehr-geheim"
    with command("run", *arguments, *options, "--password", secret) as process:
        output = read_until(process, lambda text: speakers(text) == {"601-1", "601-2"})
        process.terminate()
        rest, errors = end_of(process)

    assert (process.wait(), errors) == (0, "")
    assert "mining.authorize" in output
    assert secret not in output + rest
    assert "softaxe-wifi" not in output + rest


def test_a_fleet_is_found_by_whoever_looks_at_its_addresses(
    tmp_path: Path, free_ports: Ports
) -> None:
    port, control = free_ports(), free_ports()
    arguments = ("--count", "5", "--port", str(port), "--state", str(tmp_path))
    with command("run", *arguments, "--control", f"127.0.0.1:{control}") as process:
        wait_for(f"http://127.0.0.1:{control}/control/ready")
        infos = [
            wait_for(f"http://127.0.0.{last}:{port}/api/system/info")
            for last in range(2, 7)
        ]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.7:{port}/")
        httpx.post(f"http://127.0.0.1:{control}/control/shutdown")
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 0
    assert errors == ""
    assert f"devices  5, http://127.0.0.2:{port} to http://127.0.0.6:{port}" in output
    assert f"control  http://127.0.0.1:{control}" in output
    for name in ("macAddr", "hostname", "ipv4", "ipv6"):
        assert len({info[name] for info in infos}) == 5
    assert [info["ipv4"] for info in infos] == [f"127.0.0.{n}" for n in range(2, 7)]


def speakers(output: str) -> set[str]:
    """The devices that log in to their pools."""
    lines = [line for line in output.splitlines() if "mining.authorize" in line]
    return {line.split()[0] for line in lines}


@pytest.mark.unwatched
@each(
    ("text", "arguments", "complaint"),
    [
        ("[[group]]\nboard = '9'", [], "group 1: board: '9' is none of"),
        ("[[group]]", ["--board", "601"], "--board: write it into"),
        ("[[group]]", ["--control", "x"], "--control: 'x' is neither HOST:PORT"),
        ("[[group]]\n[[fault]]\neffect = 'x'", [], "effect: 'x' is none of"),
        ("speed = 0\n[[group]]", [], "fleet.toml: speed: 0 is outside 0.01..10000"),
        ("[[group]]", ["--seed", "16777216"], "16777215"),
        ("[[group]]\nseed=1\n[[group]]\nname='b'\nseed=1", [], "seed: 1 of group b"),
    ],
)
def test_a_bad_fleet_is_refused_in_words(
    tmp_path: Path, text: str, arguments: list[str], complaint: str
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    options = [str(path), "--ephemeral", "--port", "0", *arguments]
    result = CliRunner().invoke(app, ["run", *options])

    assert type(result.exception) is SystemExit
    assert result.exit_code in {1, 2}
    assert complaint in result.stderr


def test_what_a_fleet_is_given_holds_for_every_group(
    tmp_path: Path, free_ports: Ports
) -> None:
    path, networks, www = (tmp_path / n for n in ("fleet.toml", "networks", "www"))
    path.write_text(
        "[[group]]\nname = 'a'\n[[group]]\nname = 'b'\n"
        "[[fault]]\neffect = 'fan_dead'\ndevice = '602-*'\n"
        "[[fault]]\neffect = 'fan_dead'\ndevice = '601-1'\nid = 'met'\n"
        "[[fault]]\neffect = 'latency'\nfirmware = '2.15*'\nid = 'new'\n"
    )
    networks.write_text('[[network]]\nssid = "Harbour"')
    www.mkdir()
    (www / "index.html").write_text("<p>ours")
    port = free_ports(2)
    arguments = (str(path), "--ephemeral", "--port-base", str(port))
    options = ("--networks", str(networks), "--www", str(www), "--control", "none")
    with command("run", *arguments, *options) as process:
        for number in range(2):
            url = f"http://127.0.0.1:{port + number}"
            found = wait_for(f"{url}/api/system/wifi/scan")["networks"]
            assert [network["ssid"] for network in found] == ["Harbour"]
            assert httpx.get(url).text == "<p>ours"
        read_until(process, lambda text: "Ctrl-C" in text)
        process.terminate()
        _, errors = end_of(process)

    assert errors.splitlines() == [
        "softaxe: fault fault-1 (fan_dead): it meets no device so far",
        "softaxe: fault new (latency): it meets no device so far",
    ]


def test_ctrl_c_while_devices_come_up_is_no_error(
    tmp_path: Path, free_ports: Ports
) -> None:
    control = free_ports()
    arguments = ["--port-base", "0", "--count", "600", "--state", str(tmp_path)]
    arguments += ["--control", f"127.0.0.1:{control}"]
    with command("run", *arguments) as process:
        wait_for(f"http://127.0.0.1:{control}/control/health")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")


@pytest.mark.unwatched
def test_a_fleet_ends_in_the_middle_of_a_long_advance(
    tmp_path: Path, free_ports: Ports
) -> None:
    control = free_ports()
    arguments = ("--port", "0", "--count", "20", "--state", str(tmp_path))
    url = f"http://127.0.0.1:{control}/control"
    answers: list[httpx.Response] = []

    def advance() -> None:
        body = {"seconds": 86_400}
        path = f"{url}/clock/advance"
        answers.append(httpx.post(path, json=body, timeout=60))

    with command("run", *arguments, "--control", f"127.0.0.1:{control}") as process:
        wait_for(f"{url}/ready")
        asking = threading.Thread(target=advance)
        asking.start()
        until(lambda: wait_for(f"{url}/clock")["now"] > 10)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        asking.join(60)

    assert (process.returncode, errors) == (0, "")
    assert answers[0].status_code == 503
    assert "the fleet ends" in answers[0].json()["error"]


def test_the_command_says_it_in_a_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", "--www", str(tmp_path / "no")])

    assert result.exit_code == 2
    assert result.output.startswith("softaxe: --www: ")
    assert "Traceback" not in result.output


def test_a_start_afresh_forgets_settings_but_is_the_same_device(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    seed = storage.keep_seed(None)
    storage.save_settings("601-1", {"wifissid": "Nowhere"})
    storage.close()

    assert run._state(tmp_path, is_reset=False) == tmp_path
    assert stored(tmp_path) == (seed, {"wifissid": "Nowhere"})
    assert run._state(tmp_path, is_reset=True) == tmp_path
    assert stored(tmp_path) == (seed, {})


def stored(directory: Path) -> tuple[int, dict[str, object]]:
    """What a state directory has: its seed, and a device's settings."""
    storage = Storage(directory)
    found = storage.keep_seed(None), storage.load_settings("601-1")
    storage.close()
    return found

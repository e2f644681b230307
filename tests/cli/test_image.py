from pathlib import Path

from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.flash.image import release_bytes
from softaxe.flash.spiffs import read_spiffs


def test_an_image_is_written_and_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "esp-miner.bin"

    done = CliRunner().invoke(app, ["image", "--firmware", "2.15", "-o", str(path)])

    assert done.exit_code == 0
    assert path.read_bytes() == release_bytes("2.15.0")
    assert "v2.15.0, 1572864 bytes" in done.stdout
    assert "There is no firmware in it" in done.stdout
    assert done.stderr == ""


def test_of_no_release_it_is_told_how_a_device_speaks(tmp_path: Path) -> None:
    path = tmp_path / "image.bin"

    done = CliRunner().invoke(app, ["image", "--firmware", "v2.14.9", "-o", str(path)])

    assert path.exists()
    assert "v2.14.9 is no known release" in done.stderr
    assert "v2.14.2" in done.stderr


def test_what_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    of = ["image", "--firmware", "v" * 40, "-o", str(tmp_path / "image.bin")]

    done = CliRunner().invoke(app, of)
    nowhere = CliRunner().invoke(app, ["image", "-o", str(tmp_path / "no" / "image")])

    assert (done.exit_code, nowhere.exit_code) == (2, 2)
    assert "31 bytes" in done.stderr
    assert "No such file" in nowhere.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_becomes_an_image_that_a_device_serves(tmp_path: Path) -> None:
    path = tmp_path / "www.bin"
    folder = Path(__file__).parents[2] / "examples" / "www"

    done = CliRunner().invoke(app, ["image", "--www", str(folder), "-o", str(path)])
    lost = CliRunner().invoke(app, ["image", "--www", str(tmp_path / "none")])

    assert done.exit_code == 0
    page = (folder / "index.html").read_bytes()
    assert read_spiffs(path.read_bytes()) == {"/index.html": page}
    assert f"1 file, {len(page)} bytes" in done.stdout
    assert lost.exit_code == 2
    assert "softaxe: --www: " in lost.stderr

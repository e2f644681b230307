import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from softaxe.errors import StateInUse, StorageError
from softaxe.serve.storage import SCHEMA_VERSION, Storage, read_www

IS_POSIX = os.name == "posix"


def run_python(code: str, *arguments: Path | str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def store_image(storage: Storage, content: bytes) -> str:
    sink = storage.new_image()
    sink.write(content)
    return sink.commit()


def test_settings_come_back_with_their_types(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    rows: dict[str, str | int | float] = {
        "hostname": "bitaxe",
        "asicfrequency_f": 525.0,
        "temptarget": 60,
    }

    storage.save_settings("a", rows)
    storage.save_settings("a", {"temptarget": 65})
    storage.close()

    again = Storage(tmp_path)
    loaded = again.load_settings("a")
    again.close()
    assert loaded == {**rows, "temptarget": 65}
    assert [type(loaded[key]) for key in rows] == [str, float, int]


def test_a_setting_can_be_stored_no_longer(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.save([("a", {"rotation": 90, "temptarget": 55}), ("b", {"rotation": 180})])

    storage.save([("a", {"rotation": None, "temptarget": 50}), ("b", {})])

    assert storage.load_settings("a") == {"temptarget": 50}
    assert storage.load_settings("b") == {"rotation": 180}
    storage.close()


def test_what_is_stored_for_others_is_forgotten(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for device_id in ("a", "b", "c"):
        storage.save_settings(device_id, {"hostname": device_id})
    storage.save_flash("d", {"slot": 1})

    storage.forget_others(["b"])

    found = [storage.load_settings(device_id) for device_id in ("a", "b", "c")]
    assert found == [{}, {"hostname": "b"}, {}]
    assert storage.load_flash("d") == {}
    storage.close()


def test_devices_do_not_see_each_other(tmp_path: Path) -> None:
    storage = Storage(tmp_path)

    storage.save_settings("a", {"hostname": "a"})
    storage.save_settings("b", {"hostname": "b"})
    storage.save_flash("a", {"running": "ota_0"})

    assert storage.load_settings("a") == {"hostname": "a"}
    assert storage.load_settings("b") == {"hostname": "b"}
    assert storage.load_flash("b") == {}
    storage.close()


def test_flash_rows_replace_those_before(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.save_flash("a", {"running": "factory", "ota_0.size": 5})

    storage.save_flash("a", {"running": "ota_0"})

    assert storage.load_flash("a") == {"running": "ota_0"}
    storage.close()


def test_a_transaction_that_fails_changes_nothing(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.save_settings("a", {"hostname": "before"})

    with pytest.raises(StorageError, match=r"state\.db"):
        storage.save_settings("a", {"hostname": "after", "ssid": object()})  # type: ignore[dict-item]

    assert storage.load_settings("a") == {"hostname": "before"}
    storage.save_settings("a", {"hostname": "later"})
    storage.close()


def test_a_second_process_is_told_what_to_do(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    second = run_python(
        """
        import sys
        from pathlib import Path
        from softaxe.errors import StateInUse
        from softaxe.serve.storage import Storage
        try:
            Storage(Path(sys.argv[1]))
        except StateInUse as error:
            print(error)
        """,
        tmp_path,
    )

    said, errors = second.communicate(timeout=20)

    assert errors == ""
    assert str(tmp_path) in said
    assert "--state" in said
    storage.save_settings("a", {"hostname": "still mine"})
    storage.close()


def test_a_second_storage_of_one_process_is_refused_too(tmp_path: Path) -> None:
    first = Storage(tmp_path)

    with pytest.raises(StateInUse):
        Storage(tmp_path)

    first.close()
    Storage(tmp_path).close()


@pytest.mark.skipif(not IS_POSIX, reason="sends SIGKILL")
def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from softaxe.serve.storage import Storage
        storage = Storage(Path(sys.argv[1]))
        start = int(sys.argv[2])
        for number in range(start, start + 100_000):
            sink = storage.new_image()
            sink.write(b"%d" % number)
            name = sink.commit()
            storage.save_flash("a", {"www": name, "number": number})
            storage.save_settings("a", {"one": number, "two": number})
            print(number, flush=True)
        """
    answered = 0
    for trial in range(5):
        writer = run_python(code, tmp_path, str(answered + 1))
        assert writer.stdout is not None
        for _ in range(3 + trial):
            answered = int(writer.stdout.readline())

        writer.kill()
        rest = writer.stdout.read()  # also what was read ahead, unlike `communicate`
        writer.communicate(timeout=60)
        answered = int(rest.split()[-1]) if rest.split() else answered

        storage = Storage(tmp_path)
        settings, flash = storage.load_settings("a"), storage.load_flash("a")
        assert settings["one"] == settings["two"]
        assert settings["one"] in {answered, answered + 1}
        content = storage.read_image(str(flash["www"]))
        assert content == b"%d" % int(str(flash["number"]))
        assert [path.name for path in (tmp_path / "images").iterdir()] == [flash["www"]]
        storage.close()
        answered = int(str(settings["one"]))


@pytest.mark.skipif(not IS_POSIX, reason="POSIX permissions")
def test_only_the_owner_can_read_the_state(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "state"

    storage = Storage(directory)
    storage.save_settings("a", {"wifipass": "secret"})

    assert mode_of(directory) == 0o700
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    assert {mode_of(path) for path in files} == {0o600}
    storage.close()


def test_an_image_is_named_by_its_contents(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    sink = storage.new_image()
    sink.write(b"abc")
    sink.write(b"def")

    assert sink.read() == b"abcdef"
    name = sink.commit()

    assert name == hashlib.sha256(b"abcdef").hexdigest()
    assert storage.read_image(name) == b"abcdef"
    sink.discard()
    assert storage.read_image(name) == b"abcdef"
    storage.close()


def test_a_discarded_image_leaves_nothing(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    sink = storage.new_image()
    sink.write(b"abc")

    sink.discard()
    sink.discard()

    assert list((tmp_path / "images").iterdir()) == []
    with pytest.raises(StorageError, match="discarded"):
        sink.write(b"more")
    storage.close()


def test_an_image_nobody_names_any_more_is_deleted(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    first = store_image(storage, b"first")
    storage.save_flash("a", {"www": first})
    second = store_image(storage, b"second")

    storage.save_flash("b", {"running": "factory"})
    assert storage.read_image(second) == b"second"
    storage.save_flash("a", {"www": second})

    assert storage.read_image(second) == b"second"
    with pytest.raises(StorageError, match=first):
        storage.read_image(first)
    storage.close()


def test_what_a_killed_upload_left_is_cleaned_up(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    sink = storage.new_image()
    sink.write(b"half")
    named = store_image(storage, b"complete, but its row was never saved")
    storage.close()

    Storage(tmp_path).close()

    assert list((tmp_path / "images").iterdir()) == []
    assert named
    sink.discard()


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"This is not a database at all." * 50)

    with pytest.raises(StorageError, match=r"state\.db") as error:
        Storage(tmp_path)

    assert not isinstance(error.value, StateInUse)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()

    with pytest.raises(StorageError, match=f"schema {SCHEMA_VERSION + 1}"):
        Storage(tmp_path)


def test_a_directory_keeps_the_seed_it_was_first_used_with(tmp_path: Path) -> None:
    seeds = []
    for folder, wanted in (("a", None), ("a", None), ("a", 7), ("a", None), ("b", 5)):
        with closing(Storage(tmp_path / folder)) as storage:
            seeds.append(storage.keep_seed(wanted))
            assert not storage.has_neighbouring_seeds

    own = seeds[0]
    assert seeds == [own, own, 7, own, 5]
    with closing(Storage(tmp_path / "b")) as storage:
        assert storage.keep_seed(None) == 5
    with closing(Storage(tmp_path / "c")) as storage:
        assert storage.keep_seed(None) not in {own, 5}, "one in 16 million is"


def test_a_directory_of_the_first_schema_keeps_its_devices(tmp_path: Path) -> None:
    with closing(Storage(tmp_path)) as storage:
        storage.save_settings("601-0", {"rotation": 90})
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("DROP TABLE fleet")
        database.execute("PRAGMA user_version = 1")

    for _ in range(2):
        with closing(Storage(tmp_path)) as storage:
            assert storage.keep_seed(None) == 0
            assert storage.has_neighbouring_seeds
            assert storage.load_settings("601-0") == {"rotation": 90}


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute("CREATE TABLE theirs (x)")
    database.close()

    with pytest.raises(StorageError, match="schema 0"):
        Storage(tmp_path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.touch()

    with pytest.raises(StorageError, match=r"file/state"):
        Storage(blocker / "state")


def test_a_closed_storage_says_so(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.close()

    with pytest.raises(StorageError, match="closed"):
        storage.load_settings("a")


def test_a_missing_www_image_is_an_error(tmp_path: Path) -> None:
    storage = Storage(tmp_path)

    assert read_www(storage, None) is None
    with pytest.raises(StorageError, match="images"):
        read_www(storage, "0" * 64)
    storage.close()


def test_a_www_image_that_is_no_file_system_has_no_files(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    name = store_image(storage, b"\xff" * 4096)

    assert read_www(storage, name) is None
    storage.close()


def test_an_image_that_a_snapshot_names_is_kept(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    names = []
    for data in (b"first", b"second"):
        sink = storage.new_image()
        sink.write(data)
        names.append(sink.commit())
    storage.kept_images = frozenset(names[:1])

    for name in names:
        storage.save_flash("601-1", {"www_sha256": name})
    assert storage.read_image(names[0]) == b"first"

    storage.kept_images = frozenset()
    storage.save_flash("601-1", {"www_sha256": names[1]})
    with pytest.raises(StorageError):
        storage.read_image(names[0])
    storage.close()


@pytest.mark.parametrize("content", [b"", None])
def test_an_emptied_database_is_no_new_device(
    tmp_path: Path, content: bytes | None
) -> None:
    with closing(Storage(tmp_path)) as storage:
        storage.save_settings("a", {"hostname": "a"})
        sink = storage.new_image()
        sink.write(b"image")
        name = sink.commit()
        storage.save_flash("a", {"www": name})
    database = tmp_path / "state.db"
    database.unlink()
    if content is None:  # somebody wants to start anew
        Storage(tmp_path).close()
        assert not (tmp_path / "images" / name).exists()
        return
    database.write_bytes(content)

    with pytest.raises(StorageError, match="is empty: settings and images are lost"):
        Storage(tmp_path)

    assert (tmp_path / "images" / name).exists()


def test_a_first_start_that_was_cut_short_is_made_up_for(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()

    with closing(Storage(tmp_path)) as storage:
        storage.save_settings("a", {"hostname": "a"})
        assert storage.load_settings("a") == {"hostname": "a"}


def test_text_that_is_none_any_more_is_returned_for_its_judge(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as database, database:
        put = "INSERT INTO nvs VALUES ('a', 'hostname', CAST(x'61ff' AS TEXT))"
        database.execute(put)

    with closing(Storage(tmp_path)) as storage:
        assert storage.load_settings("a") == {"hostname": "a\udcff"}

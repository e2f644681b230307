"""The state directory: settings and flash contents that survive `kill -9`.

One SQLite database holds the small things, one file per image the large ones. A row
never points to an image that is not completely on disk, because an image gets its name
(its SHA-256) only after its bytes are.
"""

import contextlib
import hashlib
import os
import secrets
import sqlite3
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from softaxe.device.identity import MAX_SEED
from softaxe.errors import ImageError, StateInUse, StorageError
from softaxe.flash.spiffs import read_spiffs

SCHEMA_VERSION = 2
"""In the database's `user_version`; 0 is a database not yet filled."""
DATABASE_NAME = "state.db"
IMAGES_NAME = "images"
IMAGE_PATTERN = "[0-9a-f]" * 64
"""Names of complete images: their SHA-256."""
LOCK_NAME = "fleet.lock"
SHARED_WAIT_S = 30.0
"""How long one process waits for another's transaction."""
_IN_USE = (
    "{} is in use by another softaxe; stop that one, or choose another directory with "
    "--state DIR (or --ephemeral)"
)
PART_SUFFIX = ".part"
"""Ending of an image that is still being received."""

SettingValue = str | int | float
FlashValue = str | int

# Values have no declared type, so that SQLite returns them as they were given.
_SCHEMA = f"""
CREATE TABLE nvs (device TEXT, key TEXT, value NOT NULL, PRIMARY KEY (device, key));
CREATE TABLE flash (device TEXT, key TEXT, value NOT NULL, PRIMARY KEY (device, key));
CREATE TABLE fleet (key TEXT PRIMARY KEY, value NOT NULL);
PRAGMA user_version = {SCHEMA_VERSION};
"""
_UPGRADE = f"""
CREATE TABLE fleet (key TEXT PRIMARY KEY, value NOT NULL);
INSERT INTO fleet VALUES ('seed', 0), ('has_neighbouring_seeds', 1);
PRAGMA user_version = {SCHEMA_VERSION};
"""
"""Schema 1 kept no seed: there it was 0 and more for every device, and stays so."""
_PUT = "INSERT OR REPLACE INTO {} (device, key, value) VALUES (?, ?, ?)"
_ERASE = "DELETE FROM nvs WHERE device = ? AND key = ?"


class State(Protocol):
    """What remembers for devices: `Storage`, or something like it elsewhere."""

    kept_images: frozenset[str]

    @property
    def has_neighbouring_seeds(self) -> bool:
        """As of `Storage`."""

    def close(self) -> None:
        """As of `Storage`."""

    def keep_seed(self, wanted: int | None) -> int:
        """As of `Storage`."""

    def save(
        self,
        settings: Iterable[tuple[str, Mapping[str, SettingValue | None]]] = (),
        flash: Mapping[str, Mapping[str, FlashValue]] | None = None,
    ) -> None:
        """As of `Storage`."""

    def save_flash(self, device_id: str, rows: Mapping[str, FlashValue]) -> None:
        """As of `Storage`."""

    def forget(self, device_ids: Iterable[str]) -> None:
        """As of `Storage`."""

    def forget_others(self, device_ids: Collection[str]) -> None:
        """As of `Storage`."""

    def load_settings(self, device_id: str) -> dict[str, object]:
        """As of `Storage`."""

    def load_flash(self, device_id: str) -> dict[str, object]:
        """As of `Storage`."""

    def new_image(self) -> "ImageSink":
        """As of `Storage`."""

    def read_image(self, sha256_hex: str) -> bytes:
        """As of `Storage`."""

    def take_image(self, part: Path, sha256_hex: str) -> None:
        """As of `Storage`."""


class Storage:
    """Everything a process remembers, for any number of devices.

    What a method has written is on disk when it returns. All methods may be called
    from any thread; they block. Call `close` at the end.

    Args:
        directory: Made when missing, for its owner alone: it holds passwords.
        is_shared: Processes of one fleet work in it together; their parent holds
            `lock_directory`.

    Raises:
        StateInUse: Another process works in the directory.
        StorageError: It cannot be used, or was written by another version.
    """

    def __init__(self, directory: Path, *, is_shared: bool = False) -> None:
        self._is_shared = is_shared
        self._path = directory / DATABASE_NAME
        self._images = directory / IMAGES_NAME
        self._lock = threading.Lock()
        self._unsaved_images: set[str] = set()
        self.kept_images: frozenset[str] = frozenset()
        """Not deleted though no flash names them: a snapshot does."""
        with _told_as_storage_error(self._path):
            _make_private_directory(directory)
            self._database = _open_database(self._path, is_shared=is_shared)
            try:
                self._images.mkdir(mode=0o700, exist_ok=True)
                if not is_shared:
                    for part in self._images.glob(f"*{PART_SUFFIX}"):
                        part.unlink()
                self._drop_unused_images()
            except (OSError, sqlite3.Error):
                self._database.close()
                raise

    def close(self) -> None:
        """Leave the directory to the next process."""
        with self._lock:
            self._database.close()

    def keep_seed(self, wanted: int | None) -> int:
        """Return the seed that is wanted, or else the directory's own.

        A directory's own is the first with which it is used, or a random one.

        Raises:
            StorageError: It cannot be read, or not kept.
        """
        with self._transaction() as database:
            query = "SELECT value FROM fleet WHERE key = 'seed'"
            row = database.execute(query).fetchone()
            if row is None:
                row = (secrets.randbelow(MAX_SEED) if wanted is None else wanted,)
                database.execute("INSERT INTO fleet VALUES ('seed', ?)", row)
        kept: int = row[0]
        return kept if wanted is None else wanted

    @property
    def has_neighbouring_seeds(self) -> bool:
        """True for a directory whose devices have had seeds in a row ever since."""
        query = "SELECT 1 FROM fleet WHERE key = 'has_neighbouring_seeds'"
        with self._lock, _told_as_storage_error(self._path):
            return self._database.execute(query).fetchone() is not None

    def save(
        self,
        settings: Iterable[tuple[str, Mapping[str, SettingValue | None]]] = (),
        flash: Mapping[str, Mapping[str, FlashValue]] | None = None,
    ) -> None:
        """Save for any number of devices: everything, or nothing.

        Images that no device's flash names any more, and `kept_images` does not, are
        deleted.

        Args:
            settings: Device ids with the settings to add or change, in order; None
                deletes one.
            flash: All that is known about a device's flash, by device id.

        Raises:
            StorageError: Nothing was stored.
        """
        flash = flash or {}
        with self._transaction() as database:
            for id_, rows in settings:
                given = [(id_, key, v) for key, v in rows.items() if v is not None]
                database.executemany(_PUT.format("nvs"), given)
                erased = [(id_, key) for key, value in rows.items() if value is None]
                database.executemany(_ERASE, erased)
            database.executemany(
                "DELETE FROM flash WHERE device = ?", [(id_,) for id_ in flash]
            )
            database.executemany(
                _PUT.format("flash"),
                [(i, k, v) for i, rows in flash.items() for k, v in rows.items()],
            )
        if not flash:
            return
        texts = [
            v for rows in flash.values() for v in rows.values() if isinstance(v, str)
        ]
        with self._lock, _told_as_storage_error(self._images):
            self._unsaved_images -= {
                name for name in self._unsaved_images if any(name in t for t in texts)
            }
            self._drop_unused_images()

    def forget(self, device_ids: Iterable[str]) -> None:
        """Delete what is stored for devices; images go with the next `save`.

        Raises:
            StorageError: Nothing was deleted.
        """
        ids = [(device_id,) for device_id in device_ids]
        with self._transaction() as database:
            database.executemany("DELETE FROM nvs WHERE device = ?", ids)
            database.executemany("DELETE FROM flash WHERE device = ?", ids)

    def forget_others(self, device_ids: Collection[str]) -> None:
        """Delete what is stored for all devices but these.

        Raises:
            StorageError: Nothing was deleted.
        """
        kept = set(device_ids)
        query = "SELECT device FROM nvs UNION SELECT device FROM flash"
        with self._lock, _told_as_storage_error(self._path):
            stored = [device_id for (device_id,) in self._database.execute(query)]
        self.forget(device_id for device_id in stored if device_id not in kept)

    def save_settings(self, device_id: str, rows: Mapping[str, SettingValue]) -> None:
        """Add or change one device's settings: all of `rows`, or none.

        Raises:
            StorageError: Nothing was stored.
        """
        self.save([(device_id, rows)])

    def load_settings(self, device_id: str) -> dict[str, object]:
        """Return the stored settings by their NVS keys, as the disk has them."""
        return self._load("nvs", device_id)

    def save_flash(self, device_id: str, rows: Mapping[str, FlashValue]) -> None:
        """Replace what is known about one device's flash.

        Raises:
            StorageError: Nothing was stored.
        """
        self.save(flash={device_id: rows})

    def load_flash(self, device_id: str) -> dict[str, object]:
        """Return the stored rows of `save_flash`, as the disk has them."""
        return self._load("flash", device_id)

    def new_image(self) -> "ImageSink":
        """Start to receive an image.

        Raises:
            StorageError: No file can be made.
        """
        with _told_as_storage_error(self._images):
            number, name = tempfile.mkstemp(suffix=PART_SUFFIX, dir=self._images)
        return ImageSink(os.fdopen(number, "w+b", buffering=0), Path(name), self)

    def read_image(self, sha256_hex: str) -> bytes:
        """Return a committed image.

        Raises:
            StorageError: It is not there or cannot be read.
        """
        path = self._images / sha256_hex
        with _told_as_storage_error(path):
            return path.read_bytes()

    def take_image(self, part: Path, sha256_hex: str) -> None:
        """Give a received file its name; for `ImageSink.commit` alone."""
        with self._lock:
            part.replace(self._images / sha256_hex)
            _sync_directory(self._images)
            # Until its row is saved, only this keeps it from being deleted.
            self._unsaved_images.add(sha256_hex)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _told_as_storage_error(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _load(self, table: str, device_id: str) -> dict[str, object]:
        query = f"SELECT key, value FROM {table} WHERE device = ?"
        with self._lock, _told_as_storage_error(self._path):
            return dict(self._database.execute(query, (device_id,)).fetchall())

    def _drop_unused_images(self) -> None:
        if self._is_shared:  # another process may be about to save its row
            return
        query = "SELECT count(*) FROM flash WHERE instr(value, ?)"
        for path in self._images.glob(IMAGE_PATTERN):
            if path.name in self._unsaved_images | self.kept_images:
                continue
            if self._database.execute(query, (path.name,)).fetchone() == (0,):
                with contextlib.suppress(OSError):  # the next start tries again
                    path.unlink()


class ImageSink:
    """Receives one image; end with `commit` or `discard`."""

    def __init__(self, file: BinaryIO, path: Path, storage: State) -> None:
        self._file = file
        self._path = path
        self._storage = storage
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StorageError: They cannot be written, or the sink has ended.
        """
        with self._lock, _told_as_storage_error(self._path):
            if self._file.closed:
                raise StorageError(f"{self._path}: the image has been discarded")
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._hash.update(chunk)

    def read(self) -> bytes:
        """Return all bytes written so far."""
        with self._lock, _told_as_storage_error(self._path):
            return self._path.read_bytes()

    def commit(self) -> str:
        """Keep the image; return its SHA-256 in hex, by which it can be read.

        Raises:
            StorageError: It could not be brought to disk.
        """
        with self._lock, _told_as_storage_error(self._path):
            os.fsync(self._file.fileno())
            self._file.close()
            sha256_hex = self._hash.hexdigest()
            self._storage.take_image(self._path, sha256_hex)
            return sha256_hex

    def discard(self) -> None:
        """Forget the image; does nothing after `commit`."""
        with self._lock:
            self._file.close()
            self._path.unlink(missing_ok=True)


def read_www(storage: State, sha256_hex: str | None) -> dict[str, bytes] | None:
    """Return the files of the stored www image.

    Returns:
        None when there is no image, or when it is no file system: then the device
        goes into recovery.

    Raises:
        StorageError: The image is not there.
    """
    if sha256_hex is None:
        return None
    try:
        return read_spiffs(storage.read_image(sha256_hex))
    except ImageError:
        return None


def _make_private_directory(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextlib.contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Keep other fleets out of a directory that several processes share.

    Raises:
        StateInUse: Another one works in it.
        StorageError: It cannot be used.
    """
    # The exclusive storage of an ordinary run looks after what was left over.
    Storage(directory).close()
    path = directory / LOCK_NAME
    with _told_as_storage_error(path), path.open("w") as file:
        try:
            import fcntl  # noqa: PLC0415 - Windows has none, and no fleets of many
        except ImportError:
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateInUse(_IN_USE.format(directory)) from error
        yield


def _open_database(path: Path, *, is_shared: bool) -> sqlite3.Connection:
    try:
        # Not opened when it exists: closing it would release SQLite's lock on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        may_be_filled = not (path.parent / IMAGES_NAME).exists()
    else:
        may_be_filled = True
    database = sqlite3.connect(
        path,
        timeout=SHARED_WAIT_S if is_shared else 0,
        isolation_level=None,
        check_same_thread=False,
    )
    # What is no UTF-8 any more is for those who judge values.
    database.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    try:
        if not is_shared:
            # Before the first access: so the lock is held from then to the end.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
        _check_schema(database, path, may_be_filled=may_be_filled)
    except sqlite3.OperationalError as error:
        database.close()
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise StateInUse(_IN_USE.format(path.parent)) from error
        raise
    except (sqlite3.Error, StorageError):
        database.close()
        raise
    return database


def _check_schema(
    database: sqlite3.Connection, path: Path, *, may_be_filled: bool
) -> None:
    (fault,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if fault != "ok":
        raise StorageError(f"{path} is damaged: {fault}")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version == 0 and tables == 0:
        # The folder of images is only made for a database that has been filled.
        if not may_be_filled:
            raise StorageError(
                f"{path} is empty: settings and images are lost. Put a copy back, or "
                "delete it to start like a new device"
            )
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    elif version == 1:
        database.executescript(f"BEGIN IMMEDIATE; {_UPGRADE} COMMIT;")
    elif version != SCHEMA_VERSION:
        raise StorageError(
            f"{path} has schema {version}; this softaxe reads {SCHEMA_VERSION}. "
            "Use the version that wrote it, or choose another --state DIR"
        )


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":  # Windows cannot open directories, and need not
        return
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def _told_as_storage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{error.filename or path}: {reason}") from error
    except sqlite3.Error as error:
        raise StorageError(f"{path}: {error}") from error

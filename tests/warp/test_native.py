"""Time of programs that are not Python: what they are told, and how they wait."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from softaxe.warp.native import LOOK_S, NEVER_NS, PAGE, Page, is_idle, library

needs_library = pytest.mark.skipif(
    library() is None or shutil.which("cc") is None,
    reason="needs Linux, and a C compiler when softaxe was built and now",
)


def make_page(
    folder: Path, *, is_driven: bool = False, code: Path | None = None
) -> Page:
    return Page(
        folder,
        code or folder / "none",
        now_s=0.0,
        epoch_s=1.7e9,
        real_s=time.monotonic() if code else 1000.0,
        is_driven=is_driven,
    )


def shown(folder: Path, real_s: float) -> float:
    """The fleet's time that a program reads."""
    told = PAGE.unpack((folder / "clock").read_bytes()[: PAGE.size])
    told_at, now, until, speed = told[:4]
    passed = max(0.0, real_s * 1e9 - told_at)
    return float(min(now + passed * speed, until) / 1e9)


def test_programs_are_a_look_behind_the_fleet_and_never_ahead(tmp_path: Path) -> None:
    page, real_s, before = make_page(tmp_path), 1000.0, 0.0
    fleet = [(60.0, 100), (0.0, 100), (600.0, 100), (7.0, 100)]
    now_s = 0.0
    for speed, looks in fleet:
        for _ in range(looks):
            real_s += LOOK_S
            now_s += LOOK_S * speed
            page.tell(now_s, real_s)
            for part in (0.0, 0.5, 1.0, 5.0):
                found = shown(tmp_path, real_s + part * LOOK_S)
                assert before <= found <= now_s + 1e-6
            before = shown(tmp_path, real_s + LOOK_S)
        assert before == pytest.approx(now_s, abs=1e-6)
        before = shown(tmp_path, real_s)


def test_a_snapshot_takes_the_fleet_back_but_no_program(tmp_path: Path) -> None:
    page = make_page(tmp_path)
    page.tell(500.0, 1000.02)
    page.tell(100.0, 1000.04)
    page.tell(110.0, 1000.06)

    assert shown(tmp_path, 1000.1) == pytest.approx(510)


def test_a_wish_is_until_when_somebody_waits_and_is_taken_once(tmp_path: Path) -> None:
    page = make_page(tmp_path, is_driven=True)
    assert page.take_wish() is None
    with (tmp_path / "clock").open("r+b") as file:
        file.seek(PAGE.size + 16)
        file.write(struct.pack("=q", 70 * 10**9))

    assert page.take_wish() == 70
    assert page.take_wish() is None
    assert NEVER_NS > 366 * 86_400 * 10**9


@pytest.mark.skipif(sys.platform != "linux", reason="where there is /proc")
def test_who_works_is_not_idle() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        assert not is_idle(os.getpid())
        deadline = time.monotonic() + 20
        while not is_idle(sleeper.pid):
            assert time.monotonic() < deadline
    finally:
        sleeper.kill()
        sleeper.wait()


LATE_S = 1000.0
"""Of the fleet: two real seconds of a busy machine, where real waits would take 60."""
PROGRAM = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void *signaller(void *none)
{
    sleep(50);
    pthread_cond_signal(&cond);
    return none;
}

int main(int count, char **given)
{
    (void)count;
    double began = of(CLOCK_MONOTONIC), day = of(CLOCK_REALTIME), last = began;
#define TOLD(what) \
    printf("%s %.3f\n", what, of(CLOCK_MONOTONIC) - last), last = of(CLOCK_MONOTONIC)
    struct timespec minute = {60, 0}, moment = {(time_t)began + 60, 0};
    sleep(60), TOLD("sleep");
    struct timespec then = {last + 60, 0};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL);
    TOLD("until");
    poll(NULL, 0, 60000), TOLD("poll");
    select(0, NULL, NULL, NULL, &(struct timeval){60, 0}), TOLD("select");
    struct epoll_event event;
    epoll_wait(epoll_create1(0), &event, 1, 60000), TOLD("epoll");
    sem_t sem;
    sem_init(&sem, 0, 0);
    sem_timedwait(&sem, &(struct timespec){of(CLOCK_REALTIME) + 60, 0}), TOLD("sem");
    int word = 0;
    syscall(SYS_futex, &word, 0, 0, &minute, NULL, 0), TOLD("futex");
    pthread_mutex_lock(&mutex);
    pthread_cond_timedwait(&cond, &mutex,
                           &(struct timespec){of(CLOCK_REALTIME) + 60, 0});
    TOLD("cond");
    pthread_t thread;
    pthread_create(&thread, NULL, signaller, NULL);
    moment.tv_sec = of(CLOCK_REALTIME) + 600;
    pthread_cond_timedwait(&cond, &mutex, &moment), TOLD("signal");
    struct sockaddr_in there = {AF_INET, htons(atoi(given[1])),
                                {htonl(INADDR_LOOPBACK)}};
    struct pollfd server = {socket(AF_INET, SOCK_STREAM, 0), POLLIN};
    if (connect(server.fd, (void *)&there, sizeof there) != 0 ||
        write(server.fd, "?", 1) != 1)
        return 1;
    printf("answers %d\n", poll(&server, 1, 5000)), TOLD("answer");
    printf("all %.3f\nday %.3f\n", last - began, of(CLOCK_REALTIME) - day);
}
"""


def answer_late(listener: socket.socket) -> None:
    with listener, listener.accept()[0] as one:
        one.recv(1)
        time.sleep(0.2)
        one.sendall(b"!")


@needs_library
def test_every_wait_ends_with_the_fleets_time_through_speeds_and_a_pause(
    tmp_path: Path,
) -> None:
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(PROGRAM)
    command = ["cc", "-pthread", "-o", str(program), str(source)]
    subprocess.run(command, check=True, timeout=60)
    code = library()
    assert code is not None
    page = make_page(tmp_path, code=code)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=answer_late, args=(listener,), daemon=True).start()
    running = subprocess.Popen(
        [program, str(listener.getsockname()[1])],
        env={**os.environ, **page.environment(os.environ)},
        stdout=subprocess.PIPE,
        text=True,
    )
    now_s, looks = 0.0, 0
    try:
        while running.poll() is None:
            time.sleep(LOOK_S)
            looks += 1
            speed = 0.0 if 8 <= looks < 20 else 600.0 if looks % 20 < 15 else 1800.0
            now_s += speed * LOOK_S
            page.tell(now_s, time.monotonic())
            assert now_s < 100 * LATE_S, "a wait does not end"
    finally:
        running.kill()
    assert running.stdout is not None
    with running.stdout:
        took = dict(line.split() for line in running.stdout)

    assert page.is_entered
    for name in ("sleep", "poll", "select", "epoll", "futex"):
        assert 60 <= float(took.pop(name)) < LATE_S, name
    for name in ("until", "sem", "cond"):  # of whole seconds
        assert 59 <= float(took.pop(name)) < LATE_S, name
    assert 50 <= float(took.pop("signal")) < LATE_S
    assert took.pop("answers") == "1", "its timeout is not shorter than it was"
    assert float(took.pop("answer")) < 5
    assert float(took.pop("all")) <= now_s, "never ahead"
    assert float(took.pop("day")) <= now_s
    assert not took

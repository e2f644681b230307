/* Puts programs that are not Python into a fleet's time: the loader puts it before libc
 * (LD_PRELOAD), so their clocks and waits come here.
 *
 * `softaxe warp` keeps the fleet's time in a page of memory that all its programs
 * share (native.py, whose words are those of `struct page`). A clock is read there. A
 * wait goes for some milliseconds at a time and then looks again; so it ends when
 * the fleet is there, whatever has become of the fleet's speed, and nothing adds up.
 *
 * What the kernel wakes by itself stays real: alarm, setitimer, timer_create, timerfd.
 * A Python turns all of this off for itself, as shim/sitecustomize.py knows more of it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL
#define TOLD_NS (21 * 1000000LL)       /* between two times that it is told, a bit more */
#define LATE_NS (5 * 1000000LL)        /* between two looks when it is late, ... */
#define DRIVE_NS (4 * 1000000LL)       /* ...when a wait says until when, ... */
#define SHORTEST_NS (50 * 1000LL)      /* ...and ever, at least */
#define ANSWER_NS (SECOND_NS / 4)      /* real, for which others may end a wait first */
#define DUE_NS (5 * SECOND_NS)         /* real, for which an answer is waited for... */
#define MORE_NS (5 * 1000000LL)        /* ...and the rest of one... */
#define WORK_NS SECOND_NS              /* real, for which a program is taken to work */
#define FRESH_NS 1000000LL             /* real, between two looks at the answers */
#define LONG_NS (366 * 86400 * SECOND_NS) /* fleet's, which nobody means to wait */
#define LEAVE ((clockid_t)0x50f7a4e)   /* sitecustomize.py has it, too */
#define FUTEX_WAIT 0                   /* Linux uapi/linux/futex.h, these five */
#define FUTEX_WAIT_BITSET 9
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_COMMAND 127
#define FUTEX_ANY 0xffffffffL
#define UNREACHABLE 3                  /* status of a program whose fleet is gone */

struct page {
    int64_t real_ns;      /* CLOCK_MONOTONIC when... */
    int64_t now_ns;       /* ...it was this for programs, ... */
    int64_t until_ns;     /* ...which is not to be passed yet */
    double speed;         /* fleet's seconds per real second */
    int64_t epoch_ns;     /* Unix time when the fleet's was 0 */
    int64_t monotonic_ns; /* CLOCK_MONOTONIC of programs then */
    int64_t is_driven;    /* whether time goes only when all wait */
    int64_t teller;       /* process that tells it */
    int64_t check;        /* of those before: all of them, combined by XOR */
    int64_t is_entered;   /* set by the first program */
    int64_t wish_ns;      /* until when somebody waits; the least is kept */
};
#define CHECKED 8

static struct page *page;
static int is_in; /* whether this program is in the fleet's time */

#define REAL(name)                                                                     \
    ({                                                                                 \
        static void *known;                                                            \
        if (known == NULL)                                                             \
            known = dlsym(RTLD_NEXT, #name);                                           \
        (__typeof__(&name))known;                                                      \
    })

/* glibc has them since 2.30, 2.30, 2.30 and 2.35. */
int pthread_cond_clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t,
                           const struct timespec *);
int pthread_mutex_clocklock(pthread_mutex_t *, clockid_t, const struct timespec *);
int sem_clockwait(sem_t *, clockid_t, const struct timespec *);
int epoll_pwait2(int, struct epoll_event *, int, const struct timespec *,
                 const sigset_t *);

static void end(void)
{
    static const char said[] = "softaxe: the fleet's time has ended\n";
    if (write(2, said, sizeof said - 1) < 0)
        _exit(UNREACHABLE);
    _exit(UNREACHABLE);
}

static struct page told(void)
{
    union {
        struct page page;
        int64_t words[sizeof(struct page) / 8];
    } copy;
    int64_t check, tries = 0;
    do {
        if (++tries > 1000000) /* who wrote it has died over it */
            end();
        memcpy(&copy, page, sizeof copy);
        __sync_synchronize();
        check = 0;
        for (int i = 0; i < CHECKED; i++)
            check ^= copy.words[i];
    } while (check != copy.page.check);
    return copy.page;
}

static int64_t ns_of(const struct timespec *time)
{
    if (time->tv_sec > INT64_MAX / 4 / SECOND_NS)
        return INT64_MAX / 4;
    return time->tv_sec * SECOND_NS + time->tv_nsec;
}

static struct timespec spec_of(int64_t ns)
{
    return (struct timespec){ns / SECOND_NS, ns % SECOND_NS};
}

static int is_valid(const struct timespec *time)
{
    return time != NULL && time->tv_sec >= 0 && time->tv_nsec >= 0 &&
           time->tv_nsec < SECOND_NS;
}

static int64_t real_ns(clockid_t clock)
{
    struct timespec time;
    REAL(clock_gettime)(clock, &time);
    return ns_of(&time);
}

static int64_t now_by(const struct page *at, int64_t real)
{
    int64_t passed = real - at->real_ns;
    double now = at->now_ns + (passed > 0 ? passed : 0) * at->speed;
    return now < at->until_ns ? (int64_t)now : at->until_ns;
}

/* ---- a program's own time ----
 * While it works, its time goes as outside, and when it waits, as the fleet's; it is
 * never ahead of that. While an answer is due on a connection that it has made, it is
 * taken to work. So no timeout of a request is shorter than it was. */

struct client {
    int file;
    uint64_t received, sent; /* bytes; `sent` when the last were received */
    int64_t asked_ns;        /* real, since when an answer is due; 0: none is */
    int64_t answered_ns;
};

#define CLIENTS 256 /* more than these have their timeouts in the fleet's time */

static struct client clients[CLIENTS];
static int client_count;
static int is_due;
static int64_t looked_ns;                /* real, when that was seen */
static int64_t began_ns, began_real_ns;  /* where and when it began to work */
static int64_t last_ns;                  /* its time never goes back */
static int is_taken;                     /* these are changed, ... */
static int64_t taken_ns;                 /* ...since this real time */
#define STUCK_NS (10 * 1000000LL)        /* by a thread that was not forked with us */

/* Source: Linux uapi/linux/tcp.h, struct tcp_info, since 4.19. */
struct tcp_told {
    uint8_t state, others[127];
    uint64_t received, more[8], sent;
};
#define IS_CONNECTED 1
#define IS_CONNECTING 2
#define TCP_TELL 11

static int is_client_due(struct client *one, int64_t real)
{
    struct tcp_told told;
    socklen_t size = sizeof told;
    if (getsockopt(one->file, IPPROTO_TCP, TCP_TELL, &told, &size) != 0 ||
        size < sizeof told) {
        one->file = -1;
        return 0;
    }
    if (told.received != one->received) {
        one->received = told.received;
        one->sent = told.sent;
        one->asked_ns = 0;
        one->answered_ns = real;
    }
    if (told.state == IS_CONNECTING ||
        (told.state == IS_CONNECTED && told.sent != one->sent)) {
        if (one->asked_ns == 0)
            one->asked_ns = real;
        return real - one->asked_ns < DUE_NS;
    }
    return real - one->answered_ns < MORE_NS;
}

static int is_any_due(int64_t real)
{
    int before = errno, found = 0;
    for (int i = 0; i < client_count; i++)
        if (clients[i].file >= 0)
            found |= is_client_due(&clients[i], real);
    errno = before;
    looked_ns = real;
    return found;
}

enum doing { WORKING, WAITING, HAS_WAITED };

/* Return the program's time, whatever another thread does, or a signal's handler. */
static int64_t program_ns(const struct page *at, int64_t real, enum doing doing)
{
    int64_t fleet = now_by(at, real);
    if (__sync_lock_test_and_set(&is_taken, 1) && real - taken_ns < STUCK_NS)
        return last_ns;
    taken_ns = real;
    if (client_count && (doing != WORKING || real - looked_ns >= FRESH_NS))
        is_due = is_any_due(real);
    if (!is_due && (doing == HAS_WAITED || real - began_real_ns > WORK_NS)) {
        began_ns = fleet;
        began_real_ns = real;
    }
    int64_t now = began_ns + real - began_real_ns;
    now = now < fleet ? now : fleet;
    last_ns = now = now > last_ns ? now : last_ns;
    __sync_lock_release(&is_taken);
    return now;
}

static int64_t now_ns(enum doing doing)
{
    struct page at = told();
    return program_ns(&at, real_ns(CLOCK_MONOTONIC), doing);
}

/* Return what a wait has found; the program works again. */
static int after_wait(int found)
{
    int before = errno;
    if (is_in)
        now_ns(HAS_WAITED);
    errno = before;
    return found;
}

static void forget(int file)
{
    for (int i = 0; i < client_count; i++)
        if (clients[i].file == file)
            clients[i].file = -1;
}

int connect(int file, const struct sockaddr *address, socklen_t size)
{
    int found = REAL(connect)(file, address, size);
    int family = address->sa_family;
    if (!is_in || (family != AF_INET && family != AF_INET6))
        return found;
    forget(file);
    int i = 0;
    while (i < client_count && !__sync_bool_compare_and_swap(&clients[i].file, -1, -2))
        i++;
    if (i == client_count) {
        i = __sync_fetch_and_add(&client_count, 1);
        if (i >= CLIENTS) {
            __sync_fetch_and_sub(&client_count, 1);
            return found;
        }
    }
    clients[i] = (struct client){.file = file};
    return found;
}

int close(int file)
{
    forget(file);
    return REAL(close)(file);
}

static void end_if_left(const struct page *at)
{
    if (kill(at->teller, 0) != 0 && errno == ESRCH)
        end();
}

__attribute__((constructor)) static void enter(void)
{
    const char *path = getenv("SOFTAXE_WARP_CLOCK");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *found = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found == MAP_FAILED)
        return;
    page = found;
    /* Who has started this one may have driven the time since it was told. */
    int64_t began = real_ns(CLOCK_MONOTONIC);
    struct timespec moment = {0, 1000000};
    for (struct page at = told(); at.is_driven && at.real_ns < began; at = told()) {
        end_if_left(&at);
        REAL(nanosleep)(&moment, NULL);
    }
    page->is_entered = is_in = 1;
    now_ns(HAS_WAITED);
}

/* A wait until a moment of the fleet's time. `answer_ns`: of real time that is left
 * before nobody but the time is thought to end it. */
struct pause {
    int64_t deadline_ns, answer_ns;
};

/* Say until when somebody waits. */
static void wish(int64_t deadline_ns)
{
    int64_t least = page->wish_ns;
    while (deadline_ns < least &&
           !__sync_bool_compare_and_swap(&page->wish_ns, least, deadline_ns))
        least = page->wish_ns;
}

/* Return for how many real nanoseconds to wait before the next look; 0: it is over. */
static int64_t next_ns(struct pause *pause)
{
    struct page at = told();
    int64_t real = real_ns(CLOCK_MONOTONIC), ns;
    int64_t program = program_ns(&at, real, WAITING);
    int64_t left_ns = pause->deadline_ns - (is_due ? program : now_by(&at, real));
    if (left_ns <= 0) {
        program_ns(&at, real, HAS_WAITED);
        return 0;
    }
    if (is_due)
        ns = left_ns < MORE_NS ? left_ns : MORE_NS;
    else if (at.is_driven) {
        ns = DRIVE_NS;
        if (pause->answer_ns <= 0 && left_ns < LONG_NS)
            wish(pause->deadline_ns);
    } else if (pause->deadline_ns <= at.until_ns)
        ns = left_ns / at.speed;
    else { /* not before it is told again */
        ns = at.real_ns + TOLD_NS - real;
        if (ns <= 0)
            ns = LATE_NS;
    }
    if (ns < SHORTEST_NS)
        ns = SHORTEST_NS;
    end_if_left(&at);
    pause->answer_ns -= ns;
    return ns;
}

static struct pause pause_for(int64_t ns, int64_t answer_ns)
{
    int64_t now = now_ns(WORKING);
    return (struct pause){ns < INT64_MAX / 2 - now ? now + ns : INT64_MAX / 2, answer_ns};
}

/* ---- clocks ---- */

/* Return what a clock told when the fleet's time was 0; -1: it is not the fleet's. */
static int64_t zero_of(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        return page->epoch_ns;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return page->monotonic_ns;
    default:
        return -1;
    }
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (is_in && clock == LEAVE) {
        is_in = 0;
        return 0;
    }
    int64_t zero = !is_in ? -1 : zero_of(clock);
    if (zero == -1)
        return REAL(clock_gettime)(clock, time);
    *time = spec_of(zero + now_ns(WORKING));
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    int found = REAL(gettimeofday)(time, zone);
    if (is_in && found == 0) {
        int64_t ns = page->epoch_ns + now_ns(WORKING);
        *time = (struct timeval){ns / SECOND_NS, ns % SECOND_NS / 1000};
    }
    return found;
}

time_t time(time_t *time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (time != NULL)
        *time = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *time, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}

/* ---- sleep ---- */

static int sleep_until(struct pause pause)
{
    int64_t ns, before = errno;
    while ((ns = next_ns(&pause)) > 0) {
        struct timespec real = spec_of(ns);
        if (REAL(nanosleep)(&real, NULL) != 0)
            return after_wait(errno);
    }
    errno = before;
    return 0;
}

static int sleep_for(const struct timespec *time, struct timespec *left)
{
    struct pause pause = pause_for(ns_of(time), 0);
    int error = sleep_until(pause);
    if (error && left) {
        int64_t ns = pause.deadline_ns - now_ns(WORKING);
        *left = spec_of(ns > 0 ? ns : 0);
    }
    return error;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    if (!is_in || !is_valid(time))
        return REAL(nanosleep)(time, left);
    int error = sleep_for(time, left);
    if (error)
        errno = error;
    return error ? -1 : 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                    struct timespec *left)
{
    int64_t zero = !is_in ? -1 : zero_of(clock);
    if (zero == -1 || !is_valid(time))
        return REAL(clock_nanosleep)(clock, flags, time, left);
    if (flags & TIMER_ABSTIME)
        return sleep_until((struct pause){ns_of(time) - zero, 0});
    return sleep_for(time, left);
}

int usleep(useconds_t us)
{
    struct timespec time = spec_of(us * 1000LL);
    return nanosleep(&time, NULL);
}

unsigned int sleep(unsigned int seconds)
{
    struct timespec time = {seconds, 0}, left = {0, 0};
    if (nanosleep(&time, &left) == 0)
        return 0;
    return left.tv_sec + (left.tv_nsec > 0);
}

/* ---- children ---- */

pid_t waitpid(pid_t child, int *status, int options)
{
    return after_wait(REAL(waitpid)(child, status, options));
}

pid_t wait(int *status)
{
    return waitpid(-1, status, 0);
}

pid_t wait4(pid_t child, int *status, int options, struct rusage *usage)
{
    return after_wait(REAL(wait4)(child, status, options, usage));
}

pid_t wait3(int *status, int options, struct rusage *usage)
{
    return wait4(-1, status, options, usage);
}

int waitid(idtype_t kind, id_t child, siginfo_t *told, int options)
{
    return after_wait(REAL(waitid)(kind, child, told, options));
}

/* ---- files and sockets ---- */

int ppoll(struct pollfd *files, nfds_t count, const struct timespec *timeout,
          const sigset_t *mask)
{
    if (timeout == NULL)
        return after_wait(REAL(ppoll)(files, count, NULL, mask));
    if (!is_in || !is_valid(timeout) || ns_of(timeout) == 0)
        return REAL(ppoll)(files, count, timeout, mask);
    struct pause pause = pause_for(ns_of(timeout), count ? ANSWER_NS : 0);
    for (;;) {
        int64_t ns = next_ns(&pause);
        struct timespec real = spec_of(ns);
        int found = REAL(ppoll)(files, count, &real, mask);
        if (found != 0 || ns == 0)
            return after_wait(found);
    }
}

int poll(struct pollfd *files, nfds_t count, int timeout_ms)
{
    if (timeout_ms < 0)
        return after_wait(REAL(poll)(files, count, timeout_ms));
    if (!is_in || timeout_ms == 0)
        return REAL(poll)(files, count, timeout_ms);
    struct timespec timeout = spec_of(timeout_ms * 1000000LL);
    return ppoll(files, count, &timeout, NULL);
}

/* What programs call that are built with _FORTIFY_SOURCE. */
int __poll_chk(struct pollfd *files, nfds_t count, int timeout_ms, size_t size)
{
    if (size / sizeof *files < count)
        abort();
    return poll(files, count, timeout_ms);
}

int __ppoll_chk(struct pollfd *files, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t size)
{
    if (size / sizeof *files < count)
        abort();
    return ppoll(files, count, timeout, mask);
}

int pselect(int count, fd_set *reads, fd_set *writes, fd_set *others,
            const struct timespec *timeout, const sigset_t *mask)
{
    if (timeout == NULL)
        return after_wait(REAL(pselect)(count, reads, writes, others, NULL, mask));
    if (!is_in || count < 0 || !is_valid(timeout) || ns_of(timeout) == 0)
        return REAL(pselect)(count, reads, writes, others, timeout, mask);
    fd_set *sets[] = {reads, writes, others};
    size_t size = ((size_t)count + NFDBITS - 1) / NFDBITS * sizeof(fd_mask);
    char before[3][size + 1]; /* a time that is over empties them */
    for (int i = 0; i < 3; i++)
        if (sets[i])
            memcpy(before[i], sets[i], size);
    struct pause pause = pause_for(ns_of(timeout), count ? ANSWER_NS : 0);
    for (;;) {
        int64_t ns = next_ns(&pause);
        struct timespec real = spec_of(ns);
        int found = REAL(pselect)(count, reads, writes, others, &real, mask);
        if (found != 0 || ns == 0)
            return after_wait(found);
        for (int i = 0; i < 3; i++)
            if (sets[i])
                memcpy(sets[i], before[i], size);
    }
}

int select(int count, fd_set *reads, fd_set *writes, fd_set *others,
           struct timeval *timeout)
{
    if (timeout == NULL)
        return after_wait(REAL(select)(count, reads, writes, others, NULL));
    if (!is_in || timeout->tv_usec < 0 ||
        timeout->tv_usec >= 1000000)
        return REAL(select)(count, reads, writes, others, timeout);
    struct timespec time = {timeout->tv_sec, timeout->tv_usec * 1000};
    int64_t deadline = now_ns(WORKING) + ns_of(&time);
    int found = pselect(count, reads, writes, others, &time, NULL);
    int64_t left = deadline - now_ns(WORKING); /* Linux tells it */
    left = left > 0 ? left : 0;
    *timeout = (struct timeval){left / SECOND_NS, left % SECOND_NS / 1000};
    return found;
}

static int wait_epoll(int file, struct epoll_event *events, int most, int64_t timeout_ns,
                      const sigset_t *mask)
{
    struct pause pause = pause_for(timeout_ns, ANSWER_NS);
    for (;;) {
        int64_t ns = next_ns(&pause);
        int found = REAL(epoll_pwait)(file, events, most, (ns + 999999) / 1000000, mask);
        if (found != 0 || ns == 0)
            return after_wait(found);
    }
}

int epoll_pwait(int file, struct epoll_event *events, int most, int timeout_ms,
                const sigset_t *mask)
{
    if (timeout_ms < 0)
        return after_wait(REAL(epoll_pwait)(file, events, most, timeout_ms, mask));
    if (!is_in || timeout_ms == 0)
        return REAL(epoll_pwait)(file, events, most, timeout_ms, mask);
    return wait_epoll(file, events, most, timeout_ms * 1000000LL, mask);
}

int epoll_wait(int file, struct epoll_event *events, int most, int timeout_ms)
{
    return epoll_pwait(file, events, most, timeout_ms, NULL);
}

int epoll_pwait2(int file, struct epoll_event *events, int most,
                 const struct timespec *timeout, const sigset_t *mask)
{
    if (REAL(epoll_pwait2) == NULL) {
        errno = ENOSYS;
        return -1;
    }
    if (timeout == NULL)
        return after_wait(REAL(epoll_pwait2)(file, events, most, NULL, mask));
    if (!is_in || !is_valid(timeout) || ns_of(timeout) == 0)
        return REAL(epoll_pwait2)(file, events, most, timeout, mask);
    return wait_epoll(file, events, most, ns_of(timeout), mask);
}

/* ---- threads; they wait until a moment of a clock ---- */

/* Return which clock a moment is of: no machine has run for thirty years. */
static clockid_t clock_of(const struct timespec *moment)
{
    return moment->tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

static int is_followed(clockid_t clock, const struct timespec *moment)
{
    return is_in && is_valid(moment) && zero_of(clock) != -1;
}

static struct pause pause_until(clockid_t clock, const struct timespec *moment)
{
    return (struct pause){ns_of(moment) - zero_of(clock), ANSWER_NS};
}

/* Return the real moment of the next look; the present when it is over. */
static struct timespec next_moment(struct pause *pause, clockid_t clock, int *is_over)
{
    int64_t ns = next_ns(pause);
    *is_over = ns == 0;
    return spec_of(real_ns(clock) + ns);
}

/* Of functions on conditions there may be an older kind, which is not meant. */
static void *real_cond(const char *name)
{
    void *found = NULL;
#ifdef __GLIBC__
    found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
#endif
    return found ? found : dlsym(RTLD_NEXT, name);
}

#define REAL_COND(name)                                                                \
    ({                                                                                 \
        static void *known;                                                            \
        if (known == NULL)                                                             \
            known = real_cond(#name);                                                  \
        (__typeof__(&name))known;                                                      \
    })

/* How often conditions were signalled, by their address. A signal between two looks of a
 * wait meets nobody; so the next look ends the wait, as any may end by POSIX. */
static int64_t signalled[256];

static int64_t *signals_of(const pthread_cond_t *cond)
{
    return &signalled[(uintptr_t)cond / sizeof *cond % 256];
}

int pthread_cond_signal(pthread_cond_t *cond)
{
    __sync_fetch_and_add(signals_of(cond), 1);
    return REAL_COND(pthread_cond_signal)(cond);
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
    __sync_fetch_and_add(signals_of(cond), 1);
    return REAL_COND(pthread_cond_broadcast)(cond);
}

static int wait_cond(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                     const struct timespec *moment, int is_named)
{
    volatile int64_t *count = signals_of(cond);
    struct pause pause = pause_until(clock, moment);
    int64_t before = *count;
    for (;;) {
        int is_over;
        struct timespec real = next_moment(&pause, clock, &is_over);
        if (is_over)
            return ETIMEDOUT;
        int found = is_named ? REAL(pthread_cond_clockwait)(cond, mutex, clock, &real)
                             : REAL_COND(pthread_cond_timedwait)(cond, mutex, &real);
        if (found != ETIMEDOUT)
            return after_wait(found);
        if (*count != before)
            return after_wait(0);
    }
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond,
                           pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict moment)
{
    if (!is_followed(clock_of(moment), moment))
        return REAL_COND(pthread_cond_timedwait)(cond, mutex, moment);
    return wait_cond(cond, mutex, clock_of(moment), moment, 0);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           clockid_t clock, const struct timespec *moment)
{
    if (!is_followed(clock, moment))
        return REAL(pthread_cond_clockwait)(cond, mutex, clock, moment);
    return wait_cond(cond, mutex, clock, moment, 1);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex,
                            const struct timespec *restrict moment)
{
    if (!is_followed(CLOCK_REALTIME, moment))
        return REAL(pthread_mutex_timedlock)(mutex, moment);
    struct pause pause = pause_until(CLOCK_REALTIME, moment);
    int found, is_over;
    do {
        struct timespec real = next_moment(&pause, CLOCK_REALTIME, &is_over);
        found = REAL(pthread_mutex_timedlock)(mutex, &real);
    } while (found == ETIMEDOUT && !is_over);
    return after_wait(found);
}

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                            const struct timespec *moment)
{
    if (!is_followed(clock, moment))
        return REAL(pthread_mutex_clocklock)(mutex, clock, moment);
    struct pause pause = pause_until(clock, moment);
    int found, is_over;
    do {
        struct timespec real = next_moment(&pause, clock, &is_over);
        found = REAL(pthread_mutex_clocklock)(mutex, clock, &real);
    } while (found == ETIMEDOUT && !is_over);
    return after_wait(found);
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict moment)
{
    if (!is_followed(CLOCK_REALTIME, moment))
        return REAL(sem_timedwait)(sem, moment);
    struct pause pause = pause_until(CLOCK_REALTIME, moment);
    int found, is_over;
    do {
        struct timespec real = next_moment(&pause, CLOCK_REALTIME, &is_over);
        found = REAL(sem_timedwait)(sem, &real);
    } while (found != 0 && errno == ETIMEDOUT && !is_over);
    return after_wait(found);
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *moment)
{
    if (!is_followed(clock, moment))
        return REAL(sem_clockwait)(sem, clock, moment);
    struct pause pause = pause_until(clock, moment);
    int found, is_over;
    do {
        struct timespec real = next_moment(&pause, clock, &is_over);
        found = REAL(sem_clockwait)(sem, clock, &real);
    } while (found != 0 && errno == ETIMEDOUT && !is_over);
    return after_wait(found);
}

/* Locks that are made of futexes, as those of Rust. */
static long wait_futex(long word, long op, long value, const struct timespec *timeout,
                       long mask)
{
    int is_moment = (op & FUTEX_COMMAND) == FUTEX_WAIT_BITSET, is_over;
    clockid_t clock = op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct pause pause = is_moment ? pause_until(clock, timeout)
                                 : pause_for(ns_of(timeout), ANSWER_NS);
    op = (op & ~(long)FUTEX_COMMAND) | FUTEX_WAIT_BITSET;
    mask = is_moment ? mask : FUTEX_ANY;
    long found;
    do {
        struct timespec real = next_moment(&pause, clock, &is_over);
        found = REAL(syscall)(SYS_futex, word, op, value, &real, NULL, mask);
    } while (found == -1 && errno == ETIMEDOUT && !is_over);
    return after_wait(found);
}

long syscall(long number, ...)
{
    long at[6];
    va_list given;
    va_start(given, number);
    for (int i = 0; i < 6; i++)
        at[i] = va_arg(given, long);
    va_end(given);
    if (is_in && number == SYS_futex && is_valid((struct timespec *)at[3])) {
        long op = at[1] & FUTEX_COMMAND;
        if (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET)
            return wait_futex(at[0], at[1], at[2], (struct timespec *)at[3], at[5]);
    }
    return REAL(syscall)(number, at[0], at[1], at[2], at[3], at[4], at[5]);
}

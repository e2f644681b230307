/* Nonce search: double SHA-256 over an 80-byte header, and that hash of any bytes.
 * Source: FIPS 180-4.
 *
 * The first 64 bytes are hashed beforehand (the midstate). Of the second block only
 * word 3, the nonce, changes. The hash read little-endian is compared from its top word
 * down, so nearly every nonce is dismissed after one comparison, and the last rounds,
 * which do not reach that word, are left out. Nonces that pass are hashed again, plainly.
 *
 * Several variants do the same: plain C with neighbouring nonces in the lanes of
 * vectors (`_kernel_lanes.h`), and the SHA instructions of x86 and of Arm with several
 * nonces interleaved. Each is compiled for its own instructions and only offered where
 * the CPU has them.
 */
#ifndef KERNEL_WITHOUT_PYTHON
#include <Python.h>
#endif
#include <stdint.h>
#include <string.h>
#include <time.h>

#define HEAD_BYTES 64
#define TAIL_BYTES 12
#define HASH_BYTES 32
#define HEADER_BYTES 80
#define HEADER_BITS 640u
#define HASH_BITS 256u
#define PADDING 0x80000000u
/* Below this the cost of releasing the interpreter lock is more than it brings. */
#define RELEASE_FROM 4096
/* Searching stops to hand over hits when this many are waiting. */
#define MAX_HITS 1024

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define HAS_X86 1
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__GNUC__) && defined(__aarch64__)
#ifdef __ARM_FEATURE_SHA2 /* Every CPU compiled for has it, such as Apple's. */
#define HAS_ARM 1
#elif defined(__linux__) && (!defined(__clang__) || __clang_major__ >= 16)
/* Clang before 16 has the intrinsics only when all is compiled for them. */
#define HAS_ARM 1
#include <sys/auxv.h>
#endif
#ifdef HAS_ARM
#include <arm_neon.h>
#endif
#endif

/* What is searched; words are in SHA-256's order. */
struct task {
    uint32_t midstate[8], tail[3], target[8];
};

/* Searches until *count nonces are tried or no more hits fit; returns the hits and
 * moves *nonce and *count on. */
typedef int searcher(const struct task *task, uint32_t *nonce, uint64_t *count,
                     uint32_t hits[MAX_HITS]);

#ifdef __GNUC__
__attribute__((aligned(64)))
#endif
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static const uint32_t H0[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* Macros, so that they do for words and for vectors of any width. */
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define SMALL0(x) (ROR(x, 7) ^ ROR(x, 18) ^ (x) >> 3)
#define SMALL1(x) (ROR(x, 17) ^ ROR(x, 19) ^ (x) >> 10)
#define BIG0(x) (ROR(x, 2) ^ ROR(x, 13) ^ ROR(x, 22))
#define BIG1(x) (ROR(x, 6) ^ ROR(x, 11) ^ ROR(x, 25))
#define CHOOSE(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define MAJORITY(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))

static uint32_t swap(uint32_t x) {
    return x << 24 | (x & 0xff00) << 8 | (x >> 8 & 0xff00) | x >> 24;
}

/* A round: what was a is b in the next one, and so on, so that nothing is moved. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                               \
    h += BIG1(e) + CHOOSE(e, f, g) + K[i] + w[i];                                      \
    d += h;                                                                            \
    h += BIG0(a) + MAJORITY(a, b, c)

/* Take a block into a state. */
static void compress(uint32_t state[8], const uint32_t block[16]) {
    uint32_t w[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    int i;

    memcpy(w, block, HEAD_BYTES);
    for (i = 16; i < 64; i++)
        w[i] = SMALL1(w[i - 2]) + w[i - 7] + SMALL0(w[i - 15]) + w[i - 16];
    for (i = 0; i < 64; i += 8) {
        ROUND(a, b, c, d, e, f, g, h, i);
        ROUND(h, a, b, c, d, e, f, g, i + 1);
        ROUND(g, h, a, b, c, d, e, f, i + 2);
        ROUND(f, g, h, a, b, c, d, e, i + 3);
        ROUND(e, f, g, h, a, b, c, d, i + 4);
        ROUND(d, e, f, g, h, a, b, c, i + 5);
        ROUND(c, d, e, f, g, h, a, b, i + 6);
        ROUND(b, c, d, e, f, g, h, a, i + 7);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}
#undef ROUND

/* Whether a nonce's hash meets the target. */
static int is_hit(const struct task *task, uint32_t nonce) {
    uint32_t hash[8], w[16] = {0};
    int i;

    memcpy(hash, task->midstate, sizeof hash);
    memcpy(w, task->tail, sizeof task->tail);
    w[3] = nonce, w[4] = PADDING, w[15] = HEADER_BITS;
    compress(hash, w);
    memset(w, 0, sizeof w);
    memcpy(w, hash, sizeof hash);
    w[8] = PADDING, w[15] = HASH_BITS;
    memcpy(hash, H0, sizeof hash);
    compress(hash, w);
    for (i = 7; i >= 0; i--)
        if (swap(hash[i]) != task->target[i])
            return swap(hash[i]) < task->target[i];
    return 1;
}

/* The nonces that are left when a variant's width does not divide their number. */
static int search_rest(const struct task *task, uint32_t *nonce, uint64_t *count,
                       uint32_t hits[MAX_HITS], int found) {
    for (; *count && found < MAX_HITS; ++*nonce, --*count)
        if (is_hit(task, *nonce))
            hits[found++] = *nonce;
    return found;
}

/* Plain C: one nonce at a time, or as many as every CPU of the kind does at once. */
#ifdef __GNUC__
#define LANES 4
#else
#define LANES 1
#endif
#define NAME(x) x##_plain
#define TARGET
#include "_kernel_lanes.h"

#ifdef HAS_X86
#define LANES 8
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2")))
#include "_kernel_lanes.h"
#define LANES 16
#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f")))
#include "_kernel_lanes.h"
#include "_kernel_x86.h"
#endif
#ifdef HAS_ARM
#include "_kernel_arm.h"
#endif

static int always(void) { return 1; }

#ifdef HAS_X86
static int has_avx2(void) { return __builtin_cpu_supports("avx2") != 0; }
static int has_avx512(void) { return __builtin_cpu_supports("avx512f") != 0; }

/* Asked once: on a virtual machine the question takes longer than a short search. */
static int has_sha(void) {
    static int known = -1;
    unsigned int a, b = 0, c, d;
    if (known < 0)
        known = __builtin_cpu_supports("avx") &&
                __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
    return known;
}
#endif
#ifdef HAS_ARM
#ifdef __ARM_FEATURE_SHA2
#define has_arm_sha2 always
#else
#define HWCAP_ARM_SHA2 (1 << 6)
static int has_arm_sha2(void) { return (getauxval(AT_HWCAP) & HWCAP_ARM_SHA2) != 0; }
#endif
#endif

static const struct variant {
    const char *name;
    searcher *search;
    int (*is_here)(void);
} VARIANTS[] = {
#ifdef HAS_X86
    {"sha-ni", search_sha_ni, has_sha},
    {"avx512", search_avx512, has_avx512},
    {"avx2", search_avx2, has_avx2},
#endif
#ifdef HAS_ARM
    {"arm-sha2", search_arm_sha2, has_arm_sha2},
#endif
    {"c", search_plain, always},
};
#define VARIANT_COUNT ((int)(sizeof VARIANTS / sizeof *VARIANTS))

static searcher *searcher_named(const char *name) {
    int i;
    for (i = 0; i < VARIANT_COUNT; i++)
        if (strcmp(VARIANTS[i].name, name) == 0 && VARIANTS[i].is_here())
            return VARIANTS[i].search;
    return NULL;
}

#ifndef KERNEL_WITHOUT_PYTHON

/* Take a block into a state, with the CPU's own instructions where it has them. */
static void compress_fast(uint32_t state[8], const uint32_t block[16]) {
#ifdef HAS_X86
    if (has_sha()) {
        compress_sha_ni(state, block);
        return;
    }
#endif
    compress(state, block);
}

static uint32_t load_be(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t load_le(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void store_be(uint8_t bytes[HASH_BYTES], const uint32_t state[8]) {
    int i;
    for (i = 0; i < HASH_BYTES; i++)
        bytes[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static PyObject *kernel_variants(PyObject *self, PyObject *nothing) {
    PyObject *names = PyList_New(0);
    int i;

    (void)self, (void)nothing;
    for (i = 0; names != NULL && i < VARIANT_COUNT; i++) {
        PyObject *name;
        if (!VARIANTS[i].is_here())
            continue;
        name = PyUnicode_FromString(VARIANTS[i].name);
        if (name == NULL || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

/* Of an object of bytes. The `y#` of argument formats would bind a module that is built
 * with Python 3.13 to 3.13. */
static const uint8_t *bytes_of(PyObject *object, Py_ssize_t wanted) {
    char *bytes;
    Py_ssize_t size;

    if (PyBytes_AsStringAndSize(object, &bytes, &size) < 0)
        return NULL;
    return size == wanted ? (const uint8_t *)bytes : NULL;
}

static PyObject *kernel_midstate(PyObject *self, PyObject *args) {
    PyObject *given;
    const uint8_t *head;
    uint32_t state[8], w[16];
    uint8_t bytes[HASH_BYTES];
    int i;

    (void)self;
    if (!PyArg_ParseTuple(args, "S", &given))
        return NULL;
    head = bytes_of(given, HEAD_BYTES);
    if (head == NULL) {
        PyErr_SetString(PyExc_ValueError, "head: 64 bytes");
        return NULL;
    }
    for (i = 0; i < 16; i++)
        w[i] = load_be(head + 4 * i);
    memcpy(state, H0, sizeof state);
    compress_fast(state, w);
    store_be(bytes, state);
    return PyBytes_FromStringAndSize((const char *)bytes, HASH_BYTES);
}

/* Hash once. */
static void sha256(uint8_t hash[HASH_BYTES], const uint8_t *data, size_t size) {
    uint8_t last[2 * HEAD_BYTES] = {0};
    const size_t rest = size % HEAD_BYTES;
    const size_t padded = rest < HEAD_BYTES - 8 ? HEAD_BYTES : 2 * HEAD_BYTES;
    const uint64_t bits = (uint64_t)size * 8;
    uint32_t state[8], w[16];
    size_t at, i;

    memcpy(state, H0, sizeof state);
    memcpy(last, data + size - rest, rest);
    last[rest] = 0x80;
    for (i = 0; i < 8; i++)
        last[padded - 1 - i] = (uint8_t)(bits >> 8 * i);
    for (at = 0; at < size - rest + padded; at += HEAD_BYTES) {
        const uint8_t *block = at < size - rest ? data + at : last + at - (size - rest);
        for (i = 0; i < 16; i++)
            w[i] = load_be(block + 4 * i);
        compress_fast(state, w);
    }
    store_be(hash, state);
}

static PyObject *kernel_sha256d(PyObject *self, PyObject *data) {
    uint8_t hash[HASH_BYTES];
    Py_ssize_t size;
    char *bytes;

    (void)self;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0)
        return NULL;
    sha256(hash, (const uint8_t *)bytes, (size_t)size);
    sha256(hash, hash, sizeof hash);
    return PyBytes_FromStringAndSize((const char *)hash, sizeof hash);
}

static PyObject *kernel_search(PyObject *self, PyObject *args) {
    const char *name;
    PyObject *given[3];
    const uint8_t *midstate, *tail, *target_le;
    unsigned long long first, total;
    uint32_t hits[MAX_HITS], nonce;
    struct task task;
    searcher *search;
    uint64_t left;
    PyObject *list;
    int i;

    (void)self;
    if (!PyArg_ParseTuple(args, "sSSKKS", &name, &given[0], &given[1], &first, &total,
                          &given[2]))
        return NULL;
    midstate = bytes_of(given[0], HASH_BYTES);
    tail = bytes_of(given[1], TAIL_BYTES);
    target_le = bytes_of(given[2], HASH_BYTES);
    if (midstate == NULL || tail == NULL || target_le == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "midstate: 32 bytes; tail: 12 bytes; target_le: 32 bytes");
        return NULL;
    }
    search = searcher_named(name);
    if (search == NULL) {
        PyErr_SetString(PyExc_ValueError, "variant: not on this CPU");
        return NULL;
    }
    for (i = 0; i < 8; i++) {
        task.midstate[i] = load_be(midstate + 4 * i);
        task.target[i] = load_le(target_le + 4 * i);
    }
    for (i = 0; i < 3; i++)
        task.tail[i] = load_be(tail + 4 * i);
    list = PyList_New(0);
    nonce = (uint32_t)first;
    left = total;
    while (list != NULL && left) {
        int found;
        if (left >= RELEASE_FROM) {
            Py_BEGIN_ALLOW_THREADS
            found = search(&task, &nonce, &left, hits);
            Py_END_ALLOW_THREADS
        } else {
            found = search(&task, &nonce, &left, hits);
        }
        for (i = 0; list != NULL && i < found; i++) {
            PyObject *number = PyLong_FromUnsignedLong(hits[i]);
            if (number == NULL || PyList_Append(list, number) < 0)
                Py_CLEAR(list);
            Py_XDECREF(number);
        }
    }
    return list;
}

/* Add what a search of one range finds: its index, nonce and hash. */
static int add_hits(PyObject *list, Py_ssize_t index, searcher *search,
                    const uint8_t target_le[HASH_BYTES], const uint8_t *head,
                    uint32_t nonce, uint64_t left) {
    uint8_t header[HEADER_BYTES], hash[HASH_BYTES];
    uint32_t hits[MAX_HITS], w[16];
    struct task task;
    int i;

    memcpy(header, head, sizeof header);
    for (i = 0; i < 16; i++)
        w[i] = load_be(header + 4 * i);
    for (i = 0; i < 3; i++)
        task.tail[i] = load_be(header + HEAD_BYTES + 4 * i);
    for (i = 0; i < 8; i++)
        task.target[i] = load_le(target_le + 4 * i);
    memcpy(task.midstate, H0, sizeof task.midstate);
    compress_fast(task.midstate, w);
    while (left) {
        const int found = search(&task, &nonce, &left, hits);
        for (i = 0; i < found; i++) {
            PyObject *hit;
            int failed;
            header[76] = (uint8_t)(hits[i] >> 24), header[77] = (uint8_t)(hits[i] >> 16);
            header[78] = (uint8_t)(hits[i] >> 8), header[79] = (uint8_t)hits[i];
            sha256(hash, header, sizeof header);
            sha256(hash, hash, sizeof hash);
            hit = Py_BuildValue(
                "nkN", index, (unsigned long)hits[i],
                PyBytes_FromStringAndSize((const char *)hash, sizeof hash));
            failed = hit == NULL || PyList_Append(list, hit) < 0;
            Py_XDECREF(hit);
            if (failed)
                return -1;
        }
    }
    return 0;
}

static PyObject *kernel_search_each(PyObject *self, PyObject *args) {
    const char *name;
    Py_ssize_t count, index;
    PyObject *ranges, *given, *list;
    const uint8_t *target_le;
    searcher *search;

    (void)self;
    if (!PyArg_ParseTuple(args, "sOS", &name, &ranges, &given))
        return NULL;
    target_le = bytes_of(given, HASH_BYTES);
    search = searcher_named(name);
    if (search == NULL || target_le == NULL) {
        PyErr_SetString(PyExc_ValueError, "variant: on this CPU; target_le: 32 bytes");
        return NULL;
    }
    count = PyList_Size(ranges);
    list = count < 0 ? NULL : PyList_New(0);
    for (index = 0; list != NULL && index < count; index++) {
        PyObject *range = PyList_GetItem(ranges, index);
        const uint8_t *head;
        unsigned int first;
        unsigned long long left;
        if (range == NULL ||
            !PyArg_ParseTuple(range, "SIK", &given, &first, &left)) {
            Py_CLEAR(list);
        } else if ((head = bytes_of(given, HEADER_BYTES)) == NULL) {
            PyErr_SetString(PyExc_ValueError, "header: 80 bytes");
            Py_CLEAR(list);
        } else if (add_hits(list, index, search, target_le, head, first, left) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *kernel_cpu_s(PyObject *self, PyObject *args) {
    const char *name;
    unsigned long long count;
    uint32_t hits[MAX_HITS], nonce = 0;
    struct task task = {{0}, {0}, {0}};
    searcher *search;
    uint64_t left;
    clock_t began;

    (void)self;
    if (!PyArg_ParseTuple(args, "sK", &name, &count))
        return NULL;
    search = searcher_named(name);
    if (search == NULL) {
        PyErr_SetString(PyExc_ValueError, "variant: not on this CPU");
        return NULL;
    }
    began = clock();
    for (left = count; left;)
        search(&task, &nonce, &left, hits);
    return PyFloat_FromDouble((double)(clock() - began) / CLOCKS_PER_SEC);
}

/* Additions that wait for each other take a cycle each, so their time tells the clock.
 * Those of a register: some CPUs do away with those of a number. */
#define ADDITIONS 64

static PyObject *kernel_add(PyObject *self, PyObject *args) {
    unsigned long long rounds;
    size_t sum = 0, one = 1; /* as wide as a register */

    (void)self;
    if (!PyArg_ParseTuple(args, "K", &rounds))
        return NULL;
    for (; rounds; rounds--) {
#ifdef HAS_X86
        __asm__ volatile(".rept 64\n\tadd %1, %0\n\t.endr" : "+r"(sum) : "r"(one));
#elif defined(__GNUC__) && defined(__aarch64__)
        __asm__ volatile(".rept 64\n\tadd %0, %0, %1\n\t.endr" : "+r"(sum) : "r"(one));
#else
        sum += ADDITIONS * one;
#endif
    }
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"variants", kernel_variants, METH_NOARGS, "variants() -> names, here on this CPU"},
    {"midstate", kernel_midstate, METH_VARARGS, "midstate(head) -> state, big-endian"},
    {"sha256d", kernel_sha256d, METH_O, "sha256d(data) -> hash"},
    {"search", kernel_search, METH_VARARGS,
     "search(variant, midstate, tail, first_nonce, count, target_le) -> nonces"},
    {"search_each", kernel_search_each, METH_VARARGS,
     "search_each(variant, [(header, first_nonce, count), ...], target_le)\n"
     "-> [(index, nonce, hash), ...]"},
    {"cpu_s", kernel_cpu_s, METH_VARARGS,
     "cpu_s(variant, count) -> CPU seconds that a search takes"},
    {"add", kernel_add, METH_VARARGS,
     "add(rounds) -> 64 additions a round, each waiting for the one before"},
    {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernel", "Nonce search in C.", 0, methods, slots,
    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&module); }

#endif

/* Nonce search: double SHA-256 over an 80-byte header, portable C.
 *
 * The first 64 bytes are hashed beforehand (the midstate). Of the second block only
 * word 3, the nonce, changes; what does not depend on it is worked out before the loop.
 * The hash read little-endian is compared from its top word down, so nearly every nonce
 * is dismissed after one comparison. Where the compiler knows vector types, neighbouring
 * nonces are hashed side by side. Source of the algorithm: FIPS 180-4.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define HEADER_BYTES 80
#define HEAD_BYTES 64
#define TAIL_BYTES 12
#define HASH_BYTES 32
/* Below this the cost of releasing the interpreter lock is more than it brings. */
#define RELEASE_FROM 4096
/* Searching stops to hand over hits when this many are waiting. */
#define MAX_HITS 1024

/* A message or state word of each nonce hashed side by side. Four fit the registers
 * that every x86-64 and every 64-bit ARM has; other compilers do one at a time. */
#ifdef __GNUC__
#define LANES 4
typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));
#else
#define LANES 1
typedef uint32_t lanes;
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

static inline lanes ror(lanes x, int n) { return x >> n | x << (32 - n); }
static inline lanes s0(lanes x) { return ror(x, 7) ^ ror(x, 18) ^ x >> 3; }
static inline lanes s1(lanes x) { return ror(x, 17) ^ ror(x, 19) ^ x >> 10; }
static inline lanes all(uint32_t x) { return (lanes){0} + x; }

static inline uint32_t one(lanes x, int lane) {
    uint32_t words[LANES];
    memcpy(words, &x, sizeof words);
    return words[lane];
}

static inline uint32_t load_be(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t load_le(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t swap(uint32_t x) {
    return x << 24 | (x & 0xff00) << 8 | (x >> 8 & 0xff00) | x >> 24;
}

/* One round; the eight state words are named anew in each instead of being moved. */
#define ROUND(a, b, c, d, e, f, g, h, i, x)                                        \
    do {                                                                           \
        lanes t = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +                      \
                  (g ^ (e & (f ^ g))) + K[i] + (x);                                \
        d += t;                                                                    \
        h = t + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) | (c & (a | b))); \
    } while (0)
#define GIVEN(i) w[i]
/* The message word of round i >= 16, kept in a ring of sixteen. */
#define NEXT(i)                                                                    \
    (w[(i) & 15] += s1(w[((i) - 2) & 15]) + w[((i) - 7) & 15] + s0(w[((i) - 15) & 15]))
#define EIGHT(WORD, i)                                                             \
    ROUND(a, b, c, d, e, f, g, h, (i), WORD(i));                                   \
    ROUND(h, a, b, c, d, e, f, g, (i) + 1, WORD((i) + 1));                         \
    ROUND(g, h, a, b, c, d, e, f, (i) + 2, WORD((i) + 2));                         \
    FIVE(WORD, (i) + 3)
#define FIVE(WORD, i)                                                              \
    ROUND(f, g, h, a, b, c, d, e, (i), WORD(i));                                   \
    ROUND(e, f, g, h, a, b, c, d, (i) + 1, WORD((i) + 1));                         \
    ROUND(d, e, f, g, h, a, b, c, (i) + 2, WORD((i) + 2));                         \
    ROUND(c, d, e, f, g, h, a, b, (i) + 3, WORD((i) + 3));                         \
    ROUND(b, c, d, e, f, g, h, a, (i) + 4, WORD((i) + 4))

/* Rounds 0..2 turn `state` into `early`, their words in the places of round 3. */
static inline void first_rounds(const lanes state[8], const lanes w[3], lanes early[8]) {
    lanes a = state[0], b = state[1], c = state[2], d = state[3];
    lanes e = state[4], f = state[5], g = state[6], h = state[7];
    ROUND(a, b, c, d, e, f, g, h, 0, w[0]);
    ROUND(h, a, b, c, d, e, f, g, 1, w[1]);
    ROUND(g, h, a, b, c, d, e, f, 2, w[2]);
    early[0] = a, early[1] = b, early[2] = c, early[3] = d;
    early[4] = e, early[5] = f, early[6] = g, early[7] = h;
}

/* Rounds 3..63 over the message words w, which are used up; the result is added to
 * `state` and goes to `out`. */
static inline void last_rounds(const lanes state[8], const lanes early[8], lanes w[16],
                               lanes out[8]) {
    lanes a = early[0], b = early[1], c = early[2], d = early[3];
    lanes e = early[4], f = early[5], g = early[6], h = early[7];
    FIVE(GIVEN, 3);
    EIGHT(GIVEN, 8);
    EIGHT(NEXT, 16);
    EIGHT(NEXT, 24);
    EIGHT(NEXT, 32);
    EIGHT(NEXT, 40);
    EIGHT(NEXT, 48);
    EIGHT(NEXT, 56);
    out[0] = state[0] + a, out[1] = state[1] + b, out[2] = state[2] + c;
    out[3] = state[3] + d, out[4] = state[4] + e, out[5] = state[5] + f;
    out[6] = state[6] + g, out[7] = state[7] + h;
}

static inline void compress(const lanes state[8], lanes w[16], lanes out[8]) {
    lanes early[8];
    first_rounds(state, w, early);
    last_rounds(state, early, w, out);
}

/* The end of a message whose first `used` words of the block are in w. */
static inline void pad(lanes w[16], int used, uint32_t message_bytes) {
    int i;
    w[used] = all(0x80000000);
    for (i = used + 1; i < 15; i++)
        w[i] = all(0);
    w[15] = all(message_bytes * 8);
}

static int meets(const lanes hash[8], int lane, const uint32_t target[8]) {
    int i;
    for (i = 7; i >= 0; i--) {
        uint32_t word = swap(one(hash[i], lane));
        if (word != target[i])
            return word < target[i];
    }
    return 1;
}

/* Search until `count` nonces are tried or no more hits fit; returns the hits and
 * moves *nonce and *count on. */
static int search(const uint8_t *midstate, const uint8_t *tail_bytes, uint32_t *nonce,
                  uint64_t *count, const uint32_t target[8], uint32_t hits[MAX_HITS]) {
    lanes start[8], middle[8], early[8], hash[8], w[16], tail[3], place;
    uint32_t numbers[LANES];
    int found = 0, i, lane;

    for (i = 0; i < 8; i++) {
        start[i] = all(H0[i]);
        middle[i] = all(load_be(midstate + 4 * i));
    }
    for (i = 0; i < 3; i++)
        tail[i] = all(load_be(tail_bytes + 4 * i));
    first_rounds(middle, tail, early);
    for (i = 0; i < LANES; i++)
        numbers[i] = (uint32_t)i;
    memcpy(&place, numbers, sizeof place);

    while (*count && found <= MAX_HITS - LANES) {
        int used = *count < LANES ? (int)*count : LANES;

        w[0] = tail[0], w[1] = tail[1], w[2] = tail[2], w[3] = place + *nonce;
        pad(w, 4, HEADER_BYTES);
        last_rounds(middle, early, w, hash);

        memcpy(w, hash, sizeof hash);
        pad(w, 8, HASH_BYTES);
        compress(start, w, hash);

        for (lane = 0; lane < used; lane++)
            if (meets(hash, lane, target))
                hits[found++] = *nonce + (uint32_t)lane;
        *nonce += (uint32_t)used;
        *count -= (uint64_t)used;
    }
    return found;
}

static PyObject *kernel_midstate(PyObject *self, PyObject *args) {
    const char *head;
    Py_ssize_t size;
    lanes start[8], w[16], hash[8];
    uint8_t state[HASH_BYTES];
    int i;

    (void)self;
    if (!PyArg_ParseTuple(args, "y#", &head, &size))
        return NULL;
    if (size != HEAD_BYTES) {
        PyErr_SetString(PyExc_ValueError, "head: 64 bytes");
        return NULL;
    }
    for (i = 0; i < 8; i++)
        start[i] = all(H0[i]);
    for (i = 0; i < 16; i++)
        w[i] = all(load_be((const uint8_t *)head + 4 * i));
    compress(start, w, hash);
    for (i = 0; i < 8; i++) {
        uint32_t word = one(hash[i], 0);
        state[4 * i] = (uint8_t)(word >> 24), state[4 * i + 1] = (uint8_t)(word >> 16);
        state[4 * i + 2] = (uint8_t)(word >> 8), state[4 * i + 3] = (uint8_t)word;
    }
    return PyBytes_FromStringAndSize((const char *)state, HASH_BYTES);
}

static PyObject *kernel_search(PyObject *self, PyObject *args) {
    const char *midstate, *tail, *target_le;
    Py_ssize_t midstate_size, tail_size, target_size;
    unsigned long long first, total;
    uint32_t target[8], hits[MAX_HITS], nonce;
    uint64_t left;
    PyObject *list;
    int i;

    (void)self;
    if (!PyArg_ParseTuple(args, "y#y#KKy#", &midstate, &midstate_size, &tail,
                          &tail_size, &first, &total, &target_le, &target_size))
        return NULL;
    if (midstate_size != HASH_BYTES || tail_size != TAIL_BYTES ||
        target_size != HASH_BYTES) {
        PyErr_SetString(PyExc_ValueError,
                        "midstate: 32 bytes; tail: 12 bytes; target_le: 32 bytes");
        return NULL;
    }
    for (i = 0; i < 8; i++)
        target[i] = load_le((const uint8_t *)target_le + 4 * i);
    list = PyList_New(0);
    if (list == NULL)
        return NULL;
    nonce = (uint32_t)first;
    left = total;
    while (left) {
        int found;
        if (left >= RELEASE_FROM) {
            Py_BEGIN_ALLOW_THREADS
            found = search((const uint8_t *)midstate, (const uint8_t *)tail, &nonce, &left,
                           target, hits);
            Py_END_ALLOW_THREADS
        } else {
            found = search((const uint8_t *)midstate, (const uint8_t *)tail, &nonce, &left,
                           target, hits);
        }
        for (i = 0; i < found; i++) {
            PyObject *number = PyLong_FromUnsignedLong(hits[i]);
            int failed = number == NULL || PyList_Append(list, number) < 0;
            Py_XDECREF(number);
            if (failed) {
                Py_DECREF(list);
                return NULL;
            }
        }
    }
    return list;
}

static PyMethodDef methods[] = {
    {"midstate", kernel_midstate, METH_VARARGS, "midstate(head) -> state, big-endian"},
    {"search", kernel_search, METH_VARARGS,
     "search(midstate, tail, first_nonce, count, target_le) -> list of nonces"},
    {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernel", "Nonce search in C.", 0, methods, slots,
    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&module); }

/* The search in plain C, LANES nonces in the lanes of vectors. A template: included once
 * per width with LANES, NAME and TARGET defined, which it takes back at its end. */
#if LANES > 1
typedef uint32_t NAME(lanes) __attribute__((vector_size(4 * LANES)));
#else
typedef uint32_t NAME(lanes);
#endif
#define lanes NAME(lanes)
#define ALL(x) ((lanes){0} + (x))

/* One round; the eight state words are named anew in each instead of being moved. */
#define ROUND(a, b, c, d, e, f, g, h, i, x)                                        \
    do {                                                                           \
        lanes t = h + BIG1(e) + CHOOSE(e, f, g) + K[i] + (x);                      \
        d += t;                                                                    \
        h = t + BIG0(a) + MAJORITY(a, b, c);                                       \
    } while (0)
#define GIVEN(i) w[i]
/* The message word of round i >= 16, kept in a ring of sixteen. */
#define NEXT(i)                                                                    \
    (w[(i) & 15] += SMALL1(w[((i) - 2) & 15]) + w[((i) - 7) & 15] +                \
                    SMALL0(w[((i) - 15) & 15]))
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
#define FROM_16_ON                                                                 \
    EIGHT(NEXT, 16);                                                               \
    EIGHT(NEXT, 24);                                                               \
    EIGHT(NEXT, 32);                                                               \
    EIGHT(NEXT, 40);                                                               \
    EIGHT(NEXT, 48)

TARGET static int NAME(search)(const struct task *task, uint32_t *nonce, uint64_t *count,
                               uint32_t hits[MAX_HITS]) {
    const uint32_t *m = task->midstate;
    lanes a, b, c, d, e, f, g, h, w[16], early[8], place;
    uint32_t tops[LANES], numbers[LANES];
    int found = 0, i;

    for (i = 0; i < LANES; i++)
        numbers[i] = (uint32_t)i;
    memcpy(&place, numbers, sizeof place);
    /* Rounds 0..2 are the same for all nonces. */
    a = ALL(m[0]), b = ALL(m[1]), c = ALL(m[2]), d = ALL(m[3]);
    e = ALL(m[4]), f = ALL(m[5]), g = ALL(m[6]), h = ALL(m[7]);
    ROUND(a, b, c, d, e, f, g, h, 0, ALL(task->tail[0]));
    ROUND(h, a, b, c, d, e, f, g, 1, ALL(task->tail[1]));
    ROUND(g, h, a, b, c, d, e, f, 2, ALL(task->tail[2]));
    early[0] = a, early[1] = b, early[2] = c, early[3] = d;
    early[4] = e, early[5] = f, early[6] = g, early[7] = h;

    for (; *count >= LANES && found <= MAX_HITS - LANES;
         *nonce += LANES, *count -= LANES) {
        a = early[0], b = early[1], c = early[2], d = early[3];
        e = early[4], f = early[5], g = early[6], h = early[7];
        for (i = 0; i < 3; i++)
            w[i] = ALL(task->tail[i]);
        w[3] = place + *nonce;
        w[4] = ALL(PADDING);
        for (i = 5; i < 15; i++)
            w[i] = ALL(0);
        w[15] = ALL(HEADER_BITS);
        FIVE(GIVEN, 3);
        EIGHT(GIVEN, 8);
        FROM_16_ON;
        EIGHT(NEXT, 56);

        w[0] = a + m[0], w[1] = b + m[1], w[2] = c + m[2], w[3] = d + m[3];
        w[4] = e + m[4], w[5] = f + m[5], w[6] = g + m[6], w[7] = h + m[7];
        w[8] = ALL(PADDING);
        for (i = 9; i < 15; i++)
            w[i] = ALL(0);
        w[15] = ALL(HASH_BITS);
        a = ALL(H0[0]), b = ALL(H0[1]), c = ALL(H0[2]), d = ALL(H0[3]);
        e = ALL(H0[4]), f = ALL(H0[5]), g = ALL(H0[6]), h = ALL(H0[7]);
        EIGHT(GIVEN, 0);
        EIGHT(GIVEN, 8);
        FROM_16_ON;
        /* The top word is e of round 60. */
        ROUND(a, b, c, d, e, f, g, h, 56, NEXT(56));
        ROUND(h, a, b, c, d, e, f, g, 57, NEXT(57));
        ROUND(g, h, a, b, c, d, e, f, 58, NEXT(58));
        ROUND(f, g, h, a, b, c, d, e, 59, NEXT(59));
        h += d + BIG1(a) + CHOOSE(a, b, c) + K[60] + NEXT(60) + H0[7];

        memcpy(tops, &h, sizeof tops);
        for (i = 0; i < LANES; i++)
            if (swap(tops[i]) <= task->target[7] && is_hit(task, *nonce + (uint32_t)i))
                hits[found++] = *nonce + (uint32_t)i;
    }
    return *count < LANES ? search_rest(task, nonce, count, hits, found) : found;
}

#undef lanes
#undef ALL
#undef ROUND
#undef GIVEN
#undef NEXT
#undef EIGHT
#undef FIVE
#undef FROM_16_ON
#undef LANES
#undef NAME
#undef TARGET

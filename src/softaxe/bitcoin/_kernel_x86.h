/* The search with the SHA extensions of x86, STREAMS nonces interleaved.
 *
 * `sha256rnds2` takes four cycles but a new one starts every cycle, so several nonces
 * must be under way at once; three fit the sixteen registers best. Words that do not
 * depend on the nonce, and what the schedule makes of them, are worked out before the
 * loop. AVX is asked for only because its instructions need fewer copies.
 */
#define STREAMS 3
#define TARGET __attribute__((target("sha,avx")))
#define EACH _Pragma("GCC unroll 3") for (s = 0; s < STREAMS; s++)
#define WORDS(a, b, c, d) _mm_set_epi32((int)(d), (int)(c), (int)(b), (int)(a))
#define CONSTANTS(group) _mm_load_si128((const __m128i *)(K + 4 * (group)))

/* Four rounds over a group of words. The words must be in xmm0, so one nonce does all
 * its four before the next begins: side by side they would wait in memory. The CPU
 * runs them at once all the same. */
#define ROUNDS(w, group)                                                           \
    EACH {                                                                         \
        __m128i x = _mm_add_epi32(w[s], CONSTANTS(group));                         \
        cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], x);                      \
        x = _mm_shuffle_epi32(x, 0x0e);                                            \
        abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], x);                      \
    }
/* The same over words of all nonces, to which the constants have been added. */
#define ROUNDS_OF(words)                                                           \
    EACH cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], words);                 \
    EACH abef[s] =                                                                 \
        _mm_sha256rnds2_epu32(abef[s], cdgh[s], _mm_shuffle_epi32(words, 0x0e))
/* The group of words after w3 takes the place of w0. */
#define NEXT(w0, w1, w2, w3)                                                       \
    EACH {                                                                         \
        w0[s] = _mm_sha256msg1_epu32(w0[s], w1[s]);                                \
        w0[s] = _mm_add_epi32(w0[s], _mm_alignr_epi8(w3[s], w2[s], 4));            \
        w0[s] = _mm_sha256msg2_epu32(w0[s], w3[s]);                                \
    }
/* Groups 8 to 14, and the words of 15. */
#define GROUPS_8_TO_14                                                             \
    NEXT(w0, w1, w2, w3);                                                          \
    ROUNDS(w0, 8);                                                                 \
    NEXT(w1, w2, w3, w0);                                                          \
    ROUNDS(w1, 9);                                                                 \
    NEXT(w2, w3, w0, w1);                                                          \
    ROUNDS(w2, 10);                                                                \
    NEXT(w3, w0, w1, w2);                                                          \
    ROUNDS(w3, 11);                                                                \
    NEXT(w0, w1, w2, w3);                                                          \
    ROUNDS(w0, 12);                                                                \
    NEXT(w1, w2, w3, w0);                                                          \
    ROUNDS(w1, 13);                                                                \
    NEXT(w2, w3, w0, w1);                                                          \
    ROUNDS(w2, 14);                                                                \
    NEXT(w3, w0, w1, w2)

TARGET static int search_sha_ni(const struct task *task, uint32_t *nonce,
                                uint64_t *count, uint32_t hits[MAX_HITS]) {
    const uint32_t *m = task->midstate, *t = task->tail;
    /* Words 16 and 17, and what 18 and 19 get from words of all nonces. */
    const uint32_t w16 = SMALL0(t[1]) + t[0];
    const uint32_t w17 = SMALL1(HEADER_BITS) + SMALL0(t[2]) + t[1];
    const uint32_t w18 = SMALL1(w16) + t[2];
    const uint32_t w19 = SMALL1(w17) + SMALL0(PADDING);
    const __m128i group4 = WORDS(w16, w17, w18, w19);
    const __m128i group5 = WORDS(PADDING, 0, HEADER_BITS, w16);
    const __m128i group7 = WORDS(0, 0, SMALL0(HEADER_BITS), HEADER_BITS + SMALL0(w16));
    const __m128i k1 = _mm_add_epi32(CONSTANTS(1), WORDS(PADDING, 0, 0, 0));
    const __m128i k2 = CONSTANTS(2);
    const __m128i k3 = _mm_add_epi32(CONSTANTS(3), WORDS(0, 0, 0, HEADER_BITS));
    const __m128i middle_abef = WORDS(m[5], m[4], m[1], m[0]);
    const __m128i middle_cdgh = WORDS(m[7], m[6], m[3], m[2]);
    /* Rounds 0 and 1 are those of all nonces; 2 and 3 get the nonce. */
    const __m128i early = _mm_sha256rnds2_epu32(middle_cdgh, middle_abef,
                                                WORDS(t[0] + K[0], t[1] + K[1], 0, 0));
    const __m128i words2 = WORDS(t[2] + K[2], K[3], 0, 0);
    /* The second message: its words 8 to 15 are padding. */
    const __m128i start_abef = WORDS(H0[5], H0[4], H0[1], H0[0]);
    const __m128i start_cdgh = WORDS(H0[7], H0[6], H0[3], H0[2]);
    const __m128i pad2 = WORDS(PADDING, 0, 0, 0), pad3 = WORDS(0, 0, 0, HASH_BITS);
    const __m128i l2 = _mm_add_epi32(CONSTANTS(2), pad2);
    const __m128i l3 = _mm_add_epi32(CONSTANTS(3), pad3);
    const __m128i pad9 = _mm_alignr_epi8(pad3, pad2, 4);
    const __m128i later6 = _mm_sha256msg1_epu32(pad2, pad3);
    int found = 0, s;

    while (*count && found <= MAX_HITS - STREAMS) {
        /* At the end some of the nonces may be too many. */
        const int wanted = *count < STREAMS ? (int)*count : STREAMS;
        __m128i abef[STREAMS], cdgh[STREAMS];
        __m128i w0[STREAMS], w1[STREAMS], w2[STREAMS], w3[STREAMS];

        EACH {
            const uint32_t n = *nonce + (uint32_t)s;
            const long long pair = (long long)((uint64_t)n << 32 | SMALL0(n));
            const __m128i low = _mm_slli_epi64(_mm_cvtsi32_si128((int)n), 32);
            cdgh[s] = early;
            abef[s] = _mm_sha256rnds2_epu32(middle_abef, early,
                                            _mm_add_epi32(words2, low));
            w0[s] = _mm_add_epi32(group4, _mm_slli_si128(_mm_set_epi64x(0, pair), 8));
        }
        ROUNDS_OF(k1);
        ROUNDS_OF(k2);
        ROUNDS_OF(k3);
        ROUNDS(w0, 4);
        EACH w1[s] = _mm_sha256msg2_epu32(group5, w0[s]);
        ROUNDS(w1, 5);
        EACH w2[s] = _mm_alignr_epi8(w1[s], w0[s], 4);
        EACH w2[s] = _mm_sha256msg2_epu32(w2[s], w1[s]);
        ROUNDS(w2, 6);
        EACH w3[s] = _mm_add_epi32(group7, _mm_alignr_epi8(w2[s], w1[s], 4));
        EACH w3[s] = _mm_sha256msg2_epu32(w3[s], w2[s]);
        ROUNDS(w3, 7);
        GROUPS_8_TO_14;
        ROUNDS(w3, 15);

        EACH {
            const __m128i p = _mm_shuffle_epi32(_mm_add_epi32(abef[s], middle_abef), 0x1b);
            const __m128i q = _mm_shuffle_epi32(_mm_add_epi32(cdgh[s], middle_cdgh), 0x1b);
            w0[s] = _mm_unpacklo_epi64(p, q), w1[s] = _mm_unpackhi_epi64(p, q);
            abef[s] = start_abef, cdgh[s] = start_cdgh;
        }
        ROUNDS(w0, 0);
        ROUNDS(w1, 1);
        ROUNDS_OF(l2);
        ROUNDS_OF(l3);
        EACH w0[s] = _mm_add_epi32(_mm_sha256msg1_epu32(w0[s], w1[s]), pad9);
        EACH w0[s] = _mm_sha256msg2_epu32(w0[s], pad3);
        ROUNDS(w0, 4);
        EACH w1[s] = _mm_add_epi32(_mm_sha256msg1_epu32(w1[s], pad2),
                                   _mm_alignr_epi8(w0[s], pad3, 4));
        EACH w1[s] = _mm_sha256msg2_epu32(w1[s], w0[s]);
        ROUNDS(w1, 5);
        EACH w2[s] = _mm_add_epi32(later6, _mm_alignr_epi8(w1[s], w0[s], 4));
        EACH w2[s] = _mm_sha256msg2_epu32(w2[s], w1[s]);
        ROUNDS(w2, 6);
        EACH w3[s] = _mm_add_epi32(_mm_sha256msg1_epu32(pad3, w0[s]),
                                   _mm_alignr_epi8(w2[s], w1[s], 4));
        EACH w3[s] = _mm_sha256msg2_epu32(w3[s], w2[s]);
        ROUNDS(w3, 7);
        GROUPS_8_TO_14;
        /* The top word is e of round 60, which is f of round 61. */
        EACH {
            const __m128i x = _mm_add_epi32(w3[s], CONSTANTS(15));
            const __m128i last = _mm_sha256rnds2_epu32(cdgh[s], abef[s], x);
            const uint32_t top = (uint32_t)_mm_cvtsi128_si32(last) + H0[7];
            const uint32_t n = *nonce + (uint32_t)s;
            if (swap(top) <= task->target[7] && s < wanted && is_hit(task, n))
                hits[found++] = n;
        }
        *nonce += (uint32_t)wanted, *count -= (uint64_t)wanted;
    }
    return found;
}

/* One block, for which all else waits. */
TARGET static void compress_sha_ni(uint32_t state[8], const uint32_t block[16]) {
    const __m128i abef = WORDS(state[5], state[4], state[1], state[0]);
    const __m128i cdgh = WORDS(state[7], state[6], state[3], state[2]);
    __m128i x = abef, y = cdgh, w[4];
    uint32_t words[8];
    int i;

    for (i = 0; i < 4; i++)
        w[i] = _mm_loadu_si128((const __m128i *)(block + 4 * i));
    for (i = 0; i < 16; i++) {
        const __m128i keyed = _mm_add_epi32(w[0], CONSTANTS(i));
        const __m128i far = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]),
                                          _mm_alignr_epi8(w[3], w[2], 4));
        y = _mm_sha256rnds2_epu32(y, x, keyed);
        x = _mm_sha256rnds2_epu32(x, y, _mm_shuffle_epi32(keyed, 0x0e));
        w[0] = w[1], w[1] = w[2], w[2] = w[3];
        w[3] = _mm_sha256msg2_epu32(far, w[2]);
    }
    _mm_storeu_si128((__m128i *)words, _mm_add_epi32(x, abef));
    _mm_storeu_si128((__m128i *)(words + 4), _mm_add_epi32(y, cdgh));
    state[0] = words[3], state[1] = words[2], state[4] = words[1], state[5] = words[0];
    state[2] = words[7], state[3] = words[6], state[6] = words[5], state[7] = words[4];
}

#undef STREAMS
#undef TARGET
#undef EACH

/* The search with the SHA2 instructions of 64-bit Arm, STREAMS nonces interleaved.
 *
 * As on x86 the instructions take several cycles each, but do not wait for those of
 * another nonce; Arm has registers for four.
 */
#define STREAMS 4
#ifdef __ARM_FEATURE_SHA2
#define TARGET
#elif defined(__clang__)
#define TARGET __attribute__((target("sha2")))
#else
#define TARGET __attribute__((target("+crypto")))
#endif
#define EACH _Pragma("GCC unroll 4") for (s = 0; s < STREAMS; s++)
#define CONSTANTS(group) vld1q_u32(K + 4 * (group))

/* Four rounds over the words in w. */
#define ROUNDS(w, group)                                                           \
    EACH x[s] = vaddq_u32(w[s], CONSTANTS(group));                                 \
    EACH old[s] = abcd[s];                                                         \
    EACH abcd[s] = vsha256hq_u32(abcd[s], efgh[s], x[s]);                          \
    EACH efgh[s] = vsha256h2q_u32(efgh[s], old[s], x[s])
/* The group of words after w3 takes the place of w0. */
#define NEXT(w0, w1, w2, w3)                                                       \
    EACH w0[s] = vsha256su1q_u32(vsha256su0q_u32(w0[s], w1[s]), w2[s], w3[s])
#define FOUR_GROUPS(group)                                                         \
    ROUNDS(w0, group);                                                             \
    ROUNDS(w1, (group) + 1);                                                       \
    ROUNDS(w2, (group) + 2);                                                       \
    ROUNDS(w3, (group) + 3)
#define NEXT_GROUPS(group)                                                         \
    NEXT(w0, w1, w2, w3);                                                          \
    ROUNDS(w0, group);                                                             \
    NEXT(w1, w2, w3, w0);                                                          \
    ROUNDS(w1, (group) + 1);                                                       \
    NEXT(w2, w3, w0, w1);                                                          \
    ROUNDS(w2, (group) + 2);                                                       \
    NEXT(w3, w0, w1, w2);                                                          \
    ROUNDS(w3, (group) + 3)

TARGET static int search_arm_sha2(const struct task *task, uint32_t *nonce,
                                  uint64_t *count, uint32_t hits[MAX_HITS]) {
    const uint32x4_t middle_abcd = vld1q_u32(task->midstate);
    const uint32x4_t middle_efgh = vld1q_u32(task->midstate + 4);
    const uint32x4_t start_abcd = vld1q_u32(H0), start_efgh = vld1q_u32(H0 + 4);
    const uint32x4_t zero = vdupq_n_u32(0);
    const uint32x4_t padding = vsetq_lane_u32(PADDING, zero, 0);
    const uint32x4_t header_end = vsetq_lane_u32(HEADER_BITS, zero, 3);
    const uint32x4_t hash_end = vsetq_lane_u32(HASH_BITS, zero, 3);
    uint32_t tail[4] = {task->tail[0], task->tail[1], task->tail[2], 0};
    const uint32x4_t first = vld1q_u32(tail);
    int found = 0, s;

    for (; *count >= STREAMS && found <= MAX_HITS - STREAMS;
         *nonce += STREAMS, *count -= STREAMS) {
        uint32x4_t abcd[STREAMS], efgh[STREAMS], old[STREAMS], x[STREAMS];
        uint32x4_t w0[STREAMS], w1[STREAMS], w2[STREAMS], w3[STREAMS];

        EACH {
            w0[s] = vsetq_lane_u32(*nonce + (uint32_t)s, first, 3);
            w1[s] = padding, w2[s] = zero, w3[s] = header_end;
            abcd[s] = middle_abcd, efgh[s] = middle_efgh;
        }
        FOUR_GROUPS(0);
        NEXT_GROUPS(4);
        NEXT_GROUPS(8);
        NEXT_GROUPS(12);
        EACH {
            w0[s] = vaddq_u32(abcd[s], middle_abcd);
            w1[s] = vaddq_u32(efgh[s], middle_efgh);
            w2[s] = padding, w3[s] = hash_end;
            abcd[s] = start_abcd, efgh[s] = start_efgh;
        }
        FOUR_GROUPS(0);
        NEXT_GROUPS(4);
        NEXT_GROUPS(8);
        NEXT_GROUPS(12);
        EACH {
            const uint32_t top = vgetq_lane_u32(efgh[s], 3) + H0[7];
            const uint32_t n = *nonce + (uint32_t)s;
            if (swap(top) <= task->target[7] && is_hit(task, n))
                hits[found++] = n;
        }
    }
    return *count < STREAMS ? search_rest(task, nonce, count, hits, found) : found;
}

#undef STREAMS
#undef TARGET
#undef EACH

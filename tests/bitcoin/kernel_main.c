/* The kernel without Python, for CPUs that only an emulator has.
 *
 * Each line of the input is `variant midstate tail first_nonce count target`, numbers in
 * decimal and bytes in hexadecimal; each line of the output the nonces found.
 */
#define KERNEL_WITHOUT_PYTHON
#include "_kernel.c"
#include <inttypes.h>
#include <stdio.h>

static void read_words(const char *hex, uint32_t *words, int count, int is_little) {
    int i;
    for (i = 0; i < count; i++) {
        sscanf(hex + 8 * i, "%8" SCNx32, words + i);
        if (is_little)
            words[i] = swap(words[i]);
    }
}

int main(void) {
    char name[16], midstate[65], tail[25], target[65];
    uint32_t nonce, hits[MAX_HITS];
    uint64_t count;

    while (scanf("%15s %64s %24s %" SCNu32 " %" SCNu64 " %64s", name, midstate, tail,
                 &nonce, &count, target) == 6) {
        searcher *search = searcher_named(name);
        struct task task;
        int i;

        if (search == NULL) {
            puts("not on this CPU");
            fflush(stdout);
            continue;
        }
        read_words(midstate, task.midstate, 8, 0);
        read_words(tail, task.tail, 3, 0);
        read_words(target, task.target, 8, 1);
        while (count) {
            int found = search(&task, &nonce, &count, hits);
            for (i = 0; i < found; i++)
                printf("%" PRIu32 " ", hits[i]);
        }
        puts("");
        fflush(stdout);
    }
    return 0;
}

/* arena.h - measure, then carve: every module registers what it needs, one aligned slab is taken, pointers
 * are handed out.
 *
 *   arena a = {0};
 *   arena_add(&a, "gates", (void **)&l->gates, bytes);  any number of times; nothing is allocated yet
 *   if (!arena_commit(&a)) ...                      one allocation, zeroed and touched; sets all the pointers
 *   arena_free(&a);
 *
 * Blocks start at multiples of 64 bytes and follow each other in the order of arena_add, without a gap
 * beyond that; the slab is 2 MB aligned with huge pages advised, and every page is touched at commit, so
 * that nothing is allocated or faulted in while training.  arena_bytes() before commit is the exact answer
 * to "how much memory?". The pointers that were registered must stay where they are until commit.  One
 * thread. */
#ifndef KERNELS_ARENA_H
#define KERNELS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct arena_block {
    const char *name;
    void **pointer;
    size_t offset, bytes;
} arena_block;

typedef struct arena {
    arena_block *block;
    size_t blocks, capacity, bytes;
    void *slab;
} arena;

void arena_add(arena *a, const char *name, void **pointer, size_t bytes);
size_t arena_bytes(const arena *a);
bool arena_commit(arena *a); /* false: the system has not that much memory */
void arena_refuse(arena *a); /* something that belongs to the plan could not be had: arena_commit will fail */
void arena_free(arena *a);

#endif

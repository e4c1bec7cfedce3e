/* params.h - the one list of parameters: names, shapes, places in the slab, blocks, buckets and owners.
 *
 * Parameters are PyTorch's, under word_language_model's names, true shapes (padding exists in activations
 * only):
 *
 *   decoder.weight (V,H)  decoder.bias (V)   rnn.weight_hh_l1 (G*H,H)  rnn.weight_ih_l1 (G*H,I)  rnn.bias_hh_l1  rnn.bias_ih_l1  ...  encoder.weight (V,E)
 *   '------ bucket 0 -------------------'    '------ bucket 1: the layer that backward finishes first --------------------'      '-- last bucket -'
 *
 * in the order in which backward finishes them, so that a bucket is one contiguous slice which can leave as
 * soon as it is ready. Tied: encoder.weight stands in decoder.weight's place, in a bucket of its own, and has
 * two gradients, the output layer's and the embedding's.  Each is summed over the tree on its own and the two
 * sums are added at the root: any other order would depend on the number of ranks.  The second one has a
 * slice and a bucket of its own behind the slab ("gradients are longer than parameters").
 *
 *   slab of parameters  | encoder.weight | decoder.bias | layers ... |
 *   slab of gradients   | encoder.weight | decoder.bias | layers ... | scatter |       one such slab per shard node of the rank
 *
 * Blocks of BLOCK_FLOATS elements of one tensor (kernels/sums.h) are the unit of ownership and of the
 * norm.  Rank r of P owns, of the nb blocks of a bucket, the blocks floor(r*nb/P) .. floor((r+1)*nb/P)-1.
 * Memory: fixed arrays plus the cut tables (malloc, freed by params_free).  Not collective. */
#ifndef TRAINER_PARAMS_H
#define TRAINER_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#define PARAMS_MAX 256
#define PARAM_NAME 64

typedef struct param {
    char name[PARAM_NAME];
    int rows, cols; /* cols = 0: a vector */
    size_t offset;  /* floats into the slab, a multiple of 16 */
    size_t count;   /* rows * max(cols,1) */
    int bucket;
    size_t block0; /* index of its first block */
} param;

typedef struct params_bucket {
    size_t begin, end; /* floats of the gradient slab */
    size_t block0, blocks;
    size_t *cut;       /* size+1: rank r owns [cut[r], cut[r+1]) */
    size_t *cut_block; /* size+1: the same as block indices */
} params_bucket;

typedef struct params {
    param list[PARAMS_MAX];
    int count;
    size_t floats;          /* length of the parameter slab */
    size_t gradient_floats; /* floats, plus V*E (rounded up) when tied */
    size_t blocks;
    int buckets; /* of parameters; the scatter bucket of a tied model comes after them */
    params_bucket bucket[PARAMS_MAX];
    int scatter_of; /* tied: index of encoder.weight; else -1 */
    size_t scatter; /* tied: offset of its second gradient */
} params;

/* Build: init, add in order (a change of bucket number starts a new bucket), finish for a group of `size`
 * ranks. */
void params_init(params *p);
int params_add(params *p, int bucket, const char *name, int rows, int cols);
void params_finish(params *p, int size, int tied_param /* -1 */);
void params_free(params *p);

const param *params_find(const params *p, const char *name); /* NULL if absent */
/* How many places below the top parameter i's group stands, as fine-tuning goes down through a model:
 * 0 all that is neither recurrent nor the embedding (head, attention, decoder), 1 the last recurrent layer (both
 * directions), 2 the one below it, ..., last encoder.weight, also where it is tied. */
int params_depth(const params *p, int i);
/* Elements of all tensors: the size of the model.  The slab has gaps besides. */
size_t params_elements(const params *p);
/* Number of buckets on the wire: p->buckets, plus the scatter bucket when tied. */
int params_wire_buckets(const params *p);

/* A contiguous piece of one tensor that a rank owns; begins at a block. */
typedef struct piece {
    int param, bucket;
    size_t offset, count; /* floats of the slab */
    size_t block0, blocks;
} piece;
/* The pieces of rank r, in slab order; returns how many (at most count of parameters + buckets). */
int params_pieces(const params *p, int rank, piece *out, int capacity);
size_t params_owned_floats(const params *p, int rank);

#endif

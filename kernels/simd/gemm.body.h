/* gemm.body.h - the packed product: a tile of C in registers, A broadcast, B in panels of 16 columns,
 * [panel][k][16].
 *
 * An element of C is one chain of fma over k, whatever the shape of the tile, so the bits depend neither
 * on the register tile below nor on how callers cut M, P and K.  Tiles hold at most 24 accumulators of 32
 * registers (AVX-512, NEON) or 12 of 16 (AVX2).  The wider of two equal ones is taken: a step of 6 x 4 panels
 * fetches 6 + 4 operands for its 24 products, one of 12 x 2 fetches 12 + 2, and what a core can decode decides.
 * For the same reason a product with one or two panels has elements of A fetched by the multiply-add itself
 * (vf_fma_at): all of one panel, every third row of two, for what is decoded less is loaded more (10 x 2 panels
 * 0.86 to 0.92 of the fma peak; wider tiles became slower).  Rows and panels are cut as evenly as possible
 * (20 = 4 x 5). */

#include "kernels/simd/ahead.h"
#include "kernels/simd/side_by_side.h"

#if VF == 16
#define GEMM_ROWS   12
#define GEMM_PANELS 4
#define BY_COLUMNS  3 /* panels at most of a tile whose A is stored by columns */
static const int FN(gemm_rows)[GEMM_PANELS] = {12, 12, 8, 6}; /* by panels less one */
#elif VF == 8 || VF == 4
#define GEMM_ROWS   6
#define GEMM_PANELS 1
#define BY_COLUMNS  1
static const int FN(gemm_rows)[GEMM_PANELS] = {6};
#else
#define GEMM_ROWS   1
#define GEMM_PANELS 1
#define BY_COLUMNS  1
static const int FN(gemm_rows)[GEMM_PANELS] = {1};
#endif
#define PANEL_VECTORS (16 / VF)
#define TILE_VECTORS  (GEMM_PANELS * PANEL_VECTORS)

/* Three rows share a pointer (p, p + stride, p + 2 stride are x86 addresses).  The compiler must not know
 * that the pointers belong together: it would keep an offset for each row and step in memory, and load it
 * again at every use. */
#define ROW_POINTERS      ((GEMM_ROWS + 2) / 3)
#define HIDE_FROM_PLAN(x) __asm__("" : "+r"(x))

/* A tile's product: its operands and what goes with them (gemm_extra). */
typedef struct gemm_tile_call {
    int K;
    const float *a, *b;
    size_t a_stride, b_panel;
    float *c;
    size_t c_row;
    gemm_start start;
    const float *bias;
    const float *ahead;
    size_t ahead_step; /* floats from one request to the next, with each k */
    int merges;
    size_t below;
    float *out;
    size_t out_row, out_panel;
} gemm_tile_call;

/* by_rows: A is stored by rows (a_k = 1), else by columns (a_row = 1); fetch: something is asked for ahead.
 * All but `call` are constants. */
VEC void gemm_tile(const int rows, const int panels, const int by_rows, const int fetch,
                   const gemm_tile_call *call)
{
    int K = call->K;
    const float *a = call->a, *b = call->b, *ahead = call->ahead;
    size_t a_stride = call->a_stride, b_panel = call->b_panel;
    const size_t ahead_step = call->ahead_step;
    vf x[GEMM_ROWS][TILE_VECTORS];
    UNROLLED for (int i = 0; i < rows; i++)
    {
        UNROLLED for (int v = 0; v < panels * PANEL_VECTORS; v++)
        {
            if (call->start == GEMM_ZERO)
                x[i][v] = vf_zero();
            else
                x[i][v] = vf_load(
                    (call->start == GEMM_BIAS ? call->bias : call->c + (size_t)i * call->c_row) + v * VF);
        }
    }
    const float *row[ROW_POINTERS], *far = panels > 2 ? b + 2 * b_panel : b; /* panels 2 and 3 */
    UNROLLED for (int i = 0; i < rows; i += 3) row[i / 3] = a + (by_rows ? (size_t)i * a_stride : 0);
#define GEMM_STEP(k)                                                                                        \
    do {                                                                                                    \
        vf bk[TILE_VECTORS];                                                                                \
        UNROLLED for (int v = 0; v < panels * PANEL_VECTORS; v++) bk[v] =                                   \
            vf_load((v / PANEL_VECTORS < 2 ? b : far) + (size_t)(v / PANEL_VECTORS % 2) * b_panel +         \
                    16 * (k) + v % PANEL_VECTORS * VF);                                                     \
        UNROLLED for (int i = 0; i < rows; i++)                                                             \
        {                                                                                                   \
            const float *at = by_rows ? row[i / 3] + (size_t)(i % 3) * a_stride + (k) : a + i;              \
            if (panels == 1 || (panels == 2 && i % 3 == 0)) {                                               \
                UNROLLED for (int v = 0; v < panels * PANEL_VECTORS; v++) x[i][v] =                         \
                    vf_fma_at(at, bk[v], x[i][v]);                                                          \
                continue;                                                                                   \
            }                                                                                               \
            vf ai = vf_set1(*at);                                                                           \
            UNROLLED for (int v = 0; v < panels * PANEL_VECTORS; v++) x[i][v] = vf_fma(ai, bk[v], x[i][v]); \
        }                                                                                                   \
        if (!by_rows) {                                                                                     \
            a = floats_ahead(a, a_stride); /* with the last k behind A */                                   \
            HIDE_FROM_PLAN(a);                                                                              \
        }                                                                                                   \
    } while (0)
    for (; K >= 4; K -= 4) {
        UNROLLED for (int i = 0; i < 4 * fetch; i++)
            __builtin_prefetch(floats_ahead(ahead, (size_t)i * ahead_step), 0, 2);
        if (fetch)
            ahead = floats_ahead(ahead, 4 * ahead_step);
        HIDE_FROM_PLAN(a_stride);
        HIDE_FROM_PLAN(b_panel);
        UNROLLED for (int i = 0; i < rows; i += 3) HIDE_FROM_PLAN(row[i / 3]);
        GEMM_STEP(0);
        GEMM_STEP(1);
        GEMM_STEP(2);
        GEMM_STEP(3);
        UNROLLED for (int i = 0; i < rows; i += 3) row[i / 3] += 4;
        b += 64;
        far += 64;
    }
    for (; K > 0; K--) {
        GEMM_STEP(0);
        UNROLLED for (int i = 0; i < rows; i += 3) row[i / 3] += 1;
        b += 16;
        far += 16;
    }
#undef GEMM_STEP
    const float *sum = call->c;
    for (int merges = call->merges; merges > 0; merges--) {
        sum -= call->below;
        UNROLLED for (int i = 0; i < rows; i++)
        {
            UNROLLED for (int v = 0; v < panels * PANEL_VECTORS; v++) x[i][v] =
                vf_add(vf_load(sum + (size_t)i * call->c_row + v * VF), x[i][v]);
        }
    }
    float *const out = call->out; /* a store could change *call, for all that the compiler knows */
    const size_t out_row = call->out_row, out_panel = call->out_panel;
    UNROLLED for (int i = 0; i < rows; i++)
    {
        UNROLLED for (int v = 0; v < panels * PANEL_VECTORS; v++) vf_store(
            out + (size_t)i * out_row + (size_t)(v / PANEL_VECTORS) * out_panel + v % PANEL_VECTORS * VF,
            x[i][v]);
    }
}

/* One function for each shape, so that each has its registers to itself. */
typedef void (*gemm_tile_function)(const gemm_tile_call *call);
#define TILE_OF(rows, panels, by_rows, fetch)                                                    \
    static __attribute__((noinline)) void FN(gemm_tile_##rows##_##panels##_##by_rows##_##fetch)( \
        const gemm_tile_call *call)                                                              \
    {                                                                                            \
        gemm_tile(rows, panels, by_rows, fetch, call);                                           \
    }
#define TILE(rows, panels, by_rows)   \
    TILE_OF(rows, panels, by_rows, 0) \
    TILE_OF(rows, panels, by_rows, 1)
#define TILE_NAME(rows, panels, by_rows) \
    {FN(gemm_tile_##rows##_##panels##_##by_rows##_0), FN(gemm_tile_##rows##_##panels##_##by_rows##_1)},

#define TO_6(X, panels, by_rows) \
    X(1, panels, by_rows)        \
    X(2, panels, by_rows)        \
    X(3, panels, by_rows)        \
    X(4, panels, by_rows)        \
    X(5, panels, by_rows)        \
    X(6, panels, by_rows)
#define TO_8(X, panels, by_rows) \
    TO_6(X, panels, by_rows)     \
    X(7, panels, by_rows)        \
    X(8, panels, by_rows)
#define TO_12(X, panels, by_rows) \
    TO_8(X, panels, by_rows)      \
    X(9, panels, by_rows)         \
    X(10, panels, by_rows)        \
    X(11, panels, by_rows)        \
    X(12, panels, by_rows)
#define TO_1(X, panels, by_rows) X(1, panels, by_rows)

#if GEMM_ROWS == 12
#define EACH_ROWS TO_12
#elif GEMM_ROWS == 6
#define EACH_ROWS TO_6
#else
#define EACH_ROWS TO_1
#endif

EACH_ROWS(TILE, 1, 0)
EACH_ROWS(TILE, 1, 1)
#if GEMM_PANELS == 4
TO_12(TILE, 2, 0)
TO_12(TILE, 2, 1)
TO_8(TILE, 3, 0)
TO_8(TILE, 3, 1)
TO_6(TILE, 4, 1)
#endif

static const gemm_tile_function FN(gemm_tiles)[GEMM_PANELS][2][GEMM_ROWS][2] = {
    {{EACH_ROWS(TILE_NAME, 1, 0)}, {EACH_ROWS(TILE_NAME, 1, 1)}},
#if GEMM_PANELS == 4
    {{TO_12(TILE_NAME, 2, 0)}, {TO_12(TILE_NAME, 2, 1)}},
    {{TO_8(TILE_NAME, 3, 0)}, {TO_8(TILE_NAME, 3, 1)}},
    {{{NULL}}, {TO_6(TILE_NAME, 4, 1)}},
#endif
};

/* What the tiles of a product fetch: run after run, each shared by `sharers` tiles, `step` floats further
 * with each k; from tile `line0` on a line of rows each. */
typedef struct gemm_fetch {
    int sharers, line0;
    size_t step;
} gemm_fetch;

static gemm_fetch FN(gemm_fetch_plan)(const gemm_extra *extra, int tiles, int K)
{
    const int runs = extra->runs, spared = tiles - extra->lines, of_runs = spared >= runs ? spared : tiles;
    if (runs == 0 || K == 0)
        return (gemm_fetch){1, runs, 0};
    const int sharers = of_runs > runs ? of_runs / runs : 1;
    const size_t slots = (size_t)sharers * (size_t)K;
    size_t step = 4; /* not a quotient: a division of 64 bits takes as long as some steps of a tile */
    while (step < 16 && step * slots < extra->run_floats)
        step += 4;
    return (gemm_fetch){sharers, sharers * runs, step};
}

/* What tile `number` asks for; false: nothing. */
static bool FN(gemm_fetch_of)(gemm_tile_call *call, const gemm_extra *extra, const gemm_fetch *fetch,
                              int number)
{
    const int line = number - fetch->line0;
    if (line >= 0) {
        call->ahead = floats_ahead(extra->ahead_rows, 16 * (size_t)line);
        call->ahead_step = extra->ahead_row;
        return line < extra->lines;
    }
    const int run = number / fetch->sharers;
    const size_t offset = (size_t)(number % fetch->sharers) * (size_t)call->K * fetch->step;
    call->ahead = floats_ahead(extra->ahead, (size_t)run * extra->apart + offset);
    call->ahead_step = fetch->step;
    return offset < extra->run_floats;
}

/* A row need not begin with a cache line, so its last column is asked for, too. */
static void FN(gemm_fetch_later)(const gemm_extra *extra, int m, int rows, size_t column, int panels)
{
    for (int i = extra->later_part; i < rows; i += extra->later_parts) {
        const float *row = extra->later + (size_t)(m + i) * extra->later_row + column;
        for (int q = 0; q < panels; q++)
            __builtin_prefetch(row + 16 * (size_t)q, 0, 2);
        __builtin_prefetch(row + 16 * (size_t)panels - 1, 0, 2);
    }
}

static void FN(gemm_also)(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b,
                          size_t b_panel, float *c, size_t c_row, gemm_start start, const float *bias,
                          const gemm_extra *extra)
{
    const int by_rows = a_k == 1, widest = by_rows ? GEMM_PANELS : BY_COLUMNS;
    const int groups = (P + widest - 1) / widest;
    const size_t a_stride = by_rows ? a_row : a_k;
    const int narrow = groups ? P / groups : 0, wide_groups = P - narrow * groups;
    int tiles = 0;
    for (int group = 0; group < groups; group++) {
        const int most = FN(gemm_rows)[narrow + (group < wide_groups) - 1];
        tiles += (M + most - 1) / most;
    }
    const gemm_fetch fetch = FN(gemm_fetch_plan)(extra, tiles, K);
    float *const out = extra->out ? extra->out : c - (size_t)extra->merges * extra->below;
    const size_t out_row = extra->out ? extra->out_row : c_row,
                 out_panel = extra->out ? extra->out_panel : 16;
    gemm_tile_call call = {.K = K,
                           .a_stride = a_stride,
                           .b_panel = b_panel,
                           .c_row = c_row,
                           .start = start,
                           .merges = extra->merges,
                           .below = extra->below,
                           .out_row = out_row,
                           .out_panel = out_panel};
    int number = 0;
    for (int group = 0, p = 0; group < groups; group++) {
        const int panels = narrow + (group < wide_groups), most = FN(gemm_rows)[panels - 1];
        const int blocks = (M + most - 1) / most, low = M / blocks, high_blocks = M - low * blocks;
        const gemm_tile_function(*tile)[2] = FN(gemm_tiles)[panels - 1][by_rows];
        call.b = b + (size_t)p * b_panel;
        call.bias = start == GEMM_BIAS ? bias + 16 * (size_t)p : NULL;
        for (int block = 0, m = 0; block < blocks; block++, number++) {
            const int rows = low + (block < high_blocks);
            const bool more = FN(gemm_fetch_of)(&call, extra, &fetch, number);
            call.a = a + (size_t)m * a_row;
            call.c = c + (size_t)m * c_row + 16 * (size_t)p;
            call.out = out + (size_t)m * out_row + (size_t)p * out_panel;
            if (extra->later)
                FN(gemm_fetch_later)(extra, m, rows, 16 * (size_t)p, panels);
            for (int i = 0; extra->far && i < rows; i++)
                for (int q = 0; q < panels; q++)
                    __builtin_prefetch(call.out + (size_t)i * out_row + (size_t)q * out_panel, 1);
            tile[rows - 1][more](&call);
            m += rows;
        }
        p += panels;
    }
}

static void FN(gemm)(int M, int P, int K, const float *a, size_t a_row, size_t a_k, const float *b,
                     size_t b_panel, float *c, size_t c_row, gemm_start start, const float *bias)
{
    FN(gemm_also)(M, P, K, a, a_row, a_k, b, b_panel, c, c_row, start, bias, &(gemm_extra){0});
}

/* Columns k .. k+n-1 of eight rows, n <= 8; whole: there are eight of both. */
VEC void pack_eight(float *b, const float *const row[8], bool whole, int k, int n)
{
    if (whole) {
        const float *at[8];
        for (int j = 0; j < 8; j++)
            at[j] = row[j] + k;
        vec_transpose8(b, 16, at);
        return;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 8; j++)
            b[16 * i + j] = row[j] ? row[j][k + i] : 0.0f;
}

static bool FN(all_rows)(const float *const row[8])
{
    for (int j = 0; j < 8; j++)
        if (!row[j])
            return false;
    return true;
}

/* Both halves of a line before the next one.  Lines are asked for PACK_AHEAD floats before they are written: another
 * core had them last, or none. */
#define PACK_AHEAD 512
static void FN(gemm_pack_rows)(float *b, const float *const row[16], int K)
{
    const bool left = FN(all_rows)(row), right = FN(all_rows)(row + 8);
    for (int k = 0; k < K; k += 8) {
        float *const to = b + (size_t)k * 16;
        const int n = K - k < 8 ? K - k : 8;
        for (int i = 0; i < n; i++)
            __builtin_prefetch(floats_ahead(to, PACK_AHEAD + 16 * (size_t)i), 1);
        pack_eight(to, row, left && n == 8, k, n);
        pack_eight(to + 8, row + 8, right && n == 8, k, n);
    }
}

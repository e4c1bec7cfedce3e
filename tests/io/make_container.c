#include "tests/io/make_container.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float f32[2 * 3];
static double f64[4];
static uint8_t u8[1 * 2 * 3 * 4];
static uint32_t u32[(1 << 18) + 5]; /* a MiB and a bit: two hashes */
static uint64_t u64[2 * 2 * 2];
static int64_t i64[1];

void sample_tensors(tensor tensors[SAMPLE_TENSORS])
{
    for (size_t i = 0; i < sizeof f32 / sizeof f32[0]; i++)
        f32[i] = (float)i * 0.5f - 1;
    for (size_t i = 0; i < sizeof f64 / sizeof f64[0]; i++)
        f64[i] = (double)i / 3;
    for (size_t i = 0; i < sizeof u8; i++)
        u8[i] = (uint8_t)(250 + i);
    for (size_t i = 0; i < sizeof u32 / sizeof u32[0]; i++)
        u32[i] = (uint32_t)(i * 2654435761u);
    for (size_t i = 0; i < sizeof u64 / sizeof u64[0]; i++)
        u64[i] = UINT64_MAX - i;
    i64[0] = INT64_MIN;
    tensors[0] = tensor_of("encoder.weight", DTYPE_F32, f32, 2, (uint64_t[]){2, 3});
    tensors[1] = tensor_of("rnn/l0/m", DTYPE_F64, f64, 1, (uint64_t[]){4});
    tensors[2] = tensor_of("rnn/l0/v", DTYPE_U8, u8, 4, (uint64_t[]){1, 2, 3, 4});
    tensors[3] = tensor_of("train", DTYPE_U32, u32, 1, (uint64_t[]){(1 << 18) + 5});
    tensors[4] = tensor_of("rnn/l1", DTYPE_U64, u64, 3, (uint64_t[]){2, 2, 2});
    tensors[5] = tensor_of("step", DTYPE_I64, i64, 0, NULL);
    tensors[6] = tensor_of("rnn.l1", DTYPE_F32, f32, 2, (uint64_t[]){1, 5});
}

record *sample_meta(void)
{
    record *r = record_new();
    record_set_int(r, "int", -7);
    record_set_double(r, "double", 0.1);
    record_set_double(r, "best", INFINITY);
    record_set_text(r, "text", "z\xC3\xBCge");
    record_set_text(r, "empty", "");
    record_set_bool(r, "yes", true);
    record_set_doubles(r, "list", (double[]){1, 0.25, NAN}, 3);
    return r;
}

static void put_u64(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

void reseal(unsigned char *bytes, size_t n)
{
    char hex[SHA256_HEX];
    sha256_of(bytes + 48, n - 48, hex);
    for (int i = 0; i < 32; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[16 + i] = (unsigned char)byte;
    }
}

size_t forge_user_block(size_t manifest_bytes)
{
    size_t block = 4096;
    while (block < 72 + manifest_bytes)
        block *= 2;
    return block;
}

unsigned char *forge(const char *manifest, size_t manifest_bytes, size_t data_bytes, size_t *bytes,
                     size_t *data)
{
    *data = forge_user_block(manifest_bytes);
    *bytes = *data + data_bytes;
    unsigned char *made = calloc(1, *bytes);
    if (made == NULL)
        abort();
    memcpy(made, "\x89UNROLL\n", 8);
    put_u64(made + 8, 1);
    put_u64(made + 48, *bytes);
    put_u64(made + 56, *data);
    put_u64(made + 64, manifest_bytes);
    memcpy(made + 72, manifest, manifest_bytes);
    reseal(made, *bytes);
    return made;
}

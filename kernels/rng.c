#include "kernels/rng.h"

#include <Random123/philox.h>

void rng_block(const rng_place *p, uint32_t unit4, uint32_t out[4])
{
    uint32_t use = (uint32_t)p->purpose << 24 | (uint32_t)p->layer << 16 | p->time;
    philox4x32_ctr_t counter = {{unit4, p->row, p->step, use}};
    philox4x32_key_t key = {{(uint32_t)p->seed, (uint32_t)(p->seed >> 32)}};
    philox4x32_ctr_t random = philox4x32(counter, key); /* ten rounds */
    for (int i = 0; i < 4; i++)
        out[i] = random.v[i];
}

static float uniform(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f; /* exact: 24 bits fit a float */
}

float rng_uniform(const rng_place *p, uint32_t unit)
{
    uint32_t word[4];
    rng_block(p, unit / 4, word);
    return uniform(word[unit % 4]);
}

double rng_uniform53(const rng_place *p, uint32_t unit)
{
    uint32_t word[4];
    rng_block(p, unit / 2, word); /* words 2*unit and 2*unit+1 stand in block 2*unit/4 */
    uint32_t high = word[unit % 2 * 2] >> 5, low = word[unit % 2 * 2 + 1] >> 6;
    return ((double)high * 0x1p26 + (double)low) * 0x1p-53;
}

void rng_fill(const rng_place *p, float *out, uint32_t n)
{
    uint32_t word[4];
    for (uint32_t unit = 0; unit < n; unit++) {
        if (unit % 4 == 0)
            rng_block(p, unit / 4, word);
        out[unit] = uniform(word[unit % 4]);
    }
}

#include "trainer/tasks/wilson.h"

#include <math.h>

wilson_share wilson_interval(uint64_t right, uint64_t count)
{
    const double z = 1.959963984540054; /* 97.5 % point of the normal distribution */
    wilson_share r = {.n = count, .share = NAN, .low = NAN, .high = NAN};
    if (count == 0)
        return r;
    double n = (double)count, p = (double)right / n;
    double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    r.share = p;
    r.low = fmin(fmax(middle - half, 0), p); /* rounding: at 0 and n right answers an end is p itself */
    r.high = fmax(fmin(middle + half, 1), p);
    return r;
}

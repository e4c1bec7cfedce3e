/* tables.h - tables of kernels that this machine cannot run are not passed over in silence. */
#ifndef TESTS_KERNELS_TABLES_H
#define TESTS_KERNELS_TABLES_H

#include "kernels/kernels.h"

#include <stdio.h>

/* kernels_usable(k) for k of kernels_all(); the first time that it is not, a line says so. */
static inline bool table_usable(const kernels *k)
{
    static const kernels *missing[8];
    int i = 0;
    if (kernels_usable(k))
        return true;
    while (i < 7 && missing[i] && missing[i] != k)
        i++;
    if (missing[i] != k)
        printf("%s is not tested: this machine cannot run it\n", kernels_name(k));
    missing[i] = k;
    return false;
}

#endif

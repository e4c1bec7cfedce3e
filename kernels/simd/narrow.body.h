/* narrow.body.h - gates of eight columns (kernels/window.h) as the bodies of cells want them, 16 columns each, and
 * back.  A store that a later load takes apart or puts together costs more than the copy: each row is written in
 * the size in which it will be read. */

static void FN(widen)(float *to, size_t to_ld, const float *from, size_t from_ld, int columns, int rows)
{
    for (int m = 0; m < rows; m++, to += to_ld, from += from_ld) {
#if VF == 16
        vf_store(to, columns == 16 ? vf_load(from) : vf_load_part(from, 8));
#else
        for (int j = 0; j < 16; j += VF)
            vf_store(to + j, j < columns ? vf_load(from + j) : vf_zero());
#endif
    }
}

static void FN(narrow)(float *to, size_t to_ld, const float *from, size_t from_ld, int columns, int rows)
{
    for (int m = 0; m < rows; m++, to += to_ld, from += from_ld) {
#if VF == 16
        if (columns == 8) {
            vf_store_part(to, 8, vf_load(from));
            continue;
        }
#endif
        for (int j = 0; j < columns; j += VF)
            vf_store(to + j, vf_load(from + j));
    }
}

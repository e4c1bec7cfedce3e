/* join.c - the outputs of a bidirectional layer's two directions side by side, and their gradients apart again, tile by
 * tile while these are hot:
 *
 *   y[t,b,:] = h[t,b,0..H-1] of the one, h[t,b,0..H-1] of the other        y (T,B,PAD16(2H)), padding zero */
#include "kernels/window.h"

#include <string.h>

void window_join(const window *w, int t, int b0, int unit, const cell_tile *tile)
{
    const size_t H = (size_t)w->r->H, n = (size_t)valid_of(w->r->H, unit), behind = w->ld - 2 * H;
    const bool ends = w->column > 0 && unit == units_of(w->r) - 1;
    float *y = w->y + row_at(w, t, b0) * w->ld + (size_t)(w->column + unit * 16);
    for (int m = 0; m < tile->rows; m++, y += w->ld) {
        memcpy(y, tile->h + (size_t)m * tile->ld, n * sizeof *y);
        if (ends)
            memset(y + n, 0, behind * sizeof *y);
    }
}

void window_split(const window *w, int unit, cell_tile *tile, float *room)
{
    const size_t n = (size_t)valid_of(w->r->H, unit);
    if (n == 16)
        return;
    memset(room, 0, (size_t)tile->rows * 16 * sizeof *room);
    for (int m = 0; m < tile->rows; m++)
        memcpy(room + m * 16, tile->dh + (size_t)m * tile->dh_ld, n * sizeof *room);
    tile->dh = room;
    tile->dh_ld = 16;
}

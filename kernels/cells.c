/* cells.c - the list of cells: the only place where a new one is named besides its own files. */
#include "kernels/cell.h"
#include "kernels/recurrent.h"

#include <string.h>

static const cell_kind cells[] = {
    {"rnn_tanh", 1, 1, "h", &cell_rnn_tanh},
    {"rnn_relu", 1, 1, "h", &cell_rnn_relu},
    {"lstm", 4, 2, "hc", &cell_lstm},
    {"gru", 3, 1, "h", &cell_gru},
    {"gru_before", 3, 1, "h", &cell_gru_before},
};

const cell_kind *cell_find(const char *name)
{
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        if (strcmp(cells[i].name, name) == 0)
            return &cells[i];
    return NULL;
}

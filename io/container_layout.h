/* container_layout.h - where HDF5 puts things: the only part of io/ that calls libhdf5.
 *
 * HDF5 lays the file out in memory (core driver, no backing store) and never sees the data: datasets are
 * allocated early and not filled, and a metadata block in front, large enough for all of it, keeps every
 * dataset behind the metadata.  So the head of the file is all that HDF5 writes, a corpus of any size
 * costs a few hundred kB here, and no HDF5 call ever touches the disk.
 *
 * Same arguments, same bytes: no object times, no free lists, contiguous storage.  Not thread-safe. */
#ifndef IO_CONTAINER_LAYOUT_H
#define IO_CONTAINER_LAYOUT_H

#include "io/container.h"

typedef struct layout {
    unsigned char *head; /* bytes 0 .. head_bytes-1 of the file; the user block in it is zero; owned */
    uint64_t head_bytes; /* where the first tensor begins (or the file ends) */
    uint64_t file_bytes;
    uint64_t *offsets; /* of the tensors' data, from the start of the file; owned */
} layout;

/* Room kept for the attributes that meta becomes: its keys, and the bytes of its JSON text. */
typedef struct layout_room {
    size_t keys, bytes;
} layout_room;
layout_room layout_room_of(const record *meta, const char *meta_text);

/* meta may be NULL (none yet).  With equal tensors, user block and room the offsets are the same whatever
 * meta holds, as long as it fits into the room. */
status layout_make(layout *l, uint64_t user_block, const record *meta, layout_room meta_room,
                   const tensor *tensors, size_t count, error *e);
void layout_free(layout *l);

#endif

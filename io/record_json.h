/* record_json.h - the inside of a record, for the parts of io/ that store one inside other JSON
 * (manifest.c) or turn its values into HDF5 attributes (container_layout.c).  Nobody else includes it. */
#ifndef IO_RECORD_JSON_H
#define IO_RECORD_JSON_H

#include "io/record.h"

#include <jansson.h>

/* The object itself, borrowed. */
json_t *record_json(const record *r);
/* Takes a reference to `object` if it is flat; else IO_FAILED naming `where` and the key. */
status record_from_json(record **r, json_t *object, const char *where, error *e);
/* A number, or one of the strings that stand for nan and the infinities. */
bool record_number(const json_t *value, double *number);

#endif

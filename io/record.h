/* record.h - a flat JSON object: a container's metadata, a line of metrics.jsonl, status.json.
 *
 * Keys keep the order in which they were first set.  Numbers survive a round trip exactly: int64 as
 * integers, doubles with 17 significant digits; NaN and infinities, which JSON lacks, are written as the
 * strings "nan", "inf", "-inf" and read back.
 *
 * Ownership: record_new / record_free; strings are copied in and borrowed out (until the record changes or
 * is freed).  Memory: setting aborts through BUG_IF when memory is out (records are small).
 * Threads: one at a time. */
#ifndef IO_RECORD_H
#define IO_RECORD_H

#include "io/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct record record;

record *record_new(void);
/* One for other programs, which know no such strings: null stands for NaN and infinities.  We do not read it back. */
record *record_new_nulls(void);
void record_free(record *r); /* NULL is fine */
void record_set_int(record *r, const char *key, int64_t value);
void record_set_double(record *r, const char *key, double value);
void record_set_bool(record *r, const char *key, bool value);
void record_set_doubles(record *r, const char *key, const double *values, size_t n);
/* Valid UTF-8; each other byte becomes U+FFFD. */
void record_set_text(record *r, const char *key, const char *text);

/* Each returns false and leaves *value alone when the key is missing or of another type. */
bool record_get_int(const record *r, const char *key, int64_t *value);
bool record_get_double(const record *r, const char *key, double *value); /* takes integers too */
bool record_get_bool(const record *r, const char *key, bool *value);
bool record_get_text(const record *r, const char *key, const char **text);
bool record_get_doubles(const record *r, const char *key, double *values, size_t n); /* exactly n */

/* One line without newline, to be freed with free(). */
char *record_to_text(const record *r);
/* Parses `length` bytes; duplicate keys, nested objects, null and trailing bytes are IO_FAILED.  `where`
 * names the source in the message. */
status record_parse(record **r, const char *text, size_t length, const char *where, error *e);

#endif

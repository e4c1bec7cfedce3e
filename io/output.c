#include "io/output.h"

#include "io/bug.h"

#include <errno.h>
#include <stdlib.h>

enum { BUFFER = 1 << 16 };

/* stdio's way down to the disk: 0 says that nothing was written. */
static ssize_t write_down(void *cookie, const char *bytes, size_t n)
{
    output *o = cookie;
    if (!o->ended)
        o->ended = disk_write_at(&o->file, bytes, n, o->bytes, &o->why) != STATUS_OK;
    if (o->ended) {
        errno = EIO;
        return 0;
    }
    o->bytes += n;
    return (ssize_t)n;
}

status output_open(output *o, const char *path, error *e)
{
    *o = (output){.file.fd = -1};
    status s = disk_create_stream(&o->file, path, e);
    if (s != STATUS_OK)
        return s;
    o->stream = fopencookie(o, "w", (cookie_io_functions_t){.write = write_down});
    o->buffer = malloc(BUFFER); /* without one of ours glibc takes its own, of another size */
    BUG_IF(o->stream == NULL || o->buffer == NULL || setvbuf(o->stream, o->buffer, _IOFBF, BUFFER) != 0,
           "out of memory for a stream");
    return STATUS_OK;
}

status output_flush(output *o, error *e)
{
    if (fflush(o->stream) == 0 && ferror(o->stream) == 0)
        return STATUS_OK;
    return fail(e, STATUS_IO_FAILED, "%s", o->why.text);
}

status output_close(output *o, error *e)
{
    status s = output_flush(o, e);
    if (s == STATUS_OK)
        s = disk_commit(&o->file, e);
    output_discard(o);
    return s;
}

/* What is still in the buffer has nowhere to go. */
void output_discard(output *o)
{
    if (o->stream == NULL)
        return;
    o->ended = true;
    disk_discard(&o->file);
    fclose(o->stream);
    free(o->buffer);
    o->stream = NULL;
    o->buffer = NULL;
}

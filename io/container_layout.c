/* container_layout.c - see container_layout.h.  Every return value of HDF5 is checked; ids are released in
 * reverse. */
#include "io/container_layout.h"

#include "io/bug.h"
#include "io/manifest.h"
#include "io/record_json.h"

#include <hdf5.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CORE_INCREMENT = 512, /* also what the length of a very small file is rounded up to */
    ATTRIBUTE_MAX =
        60000, /* HDF5 keeps at most 64 kB in an object header; longer texts stand in the manifest only */
    OBJECT_BYTES = 1024,   /* more than a dataset's header, its link and a group take */
    ATTRIBUTE_BYTES = 256, /* more than an attribute takes besides name and value */
};

/* The core driver's memory, which it would free at the end: its callbacks hand the buffer to us instead. */
typedef struct image {
    unsigned char *bytes;
    size_t n, room;
} image;

/* The driver asks for a little more each time; doubling keeps the copies few. */
static void *image_grow(image *im, size_t n)
{
    if (n > im->room) {
        size_t room = n > 2 * im->room ? n : 2 * im->room;
        unsigned char *grown = realloc(im->bytes, room);
        if (grown == NULL)
            return NULL;
        memset(grown + im->room, 0, room - im->room);
        im->bytes = grown;
        im->room = room;
    }
    im->n = n;
    return im->bytes;
}

static void *image_malloc(size_t n, H5FD_file_image_op_t op, void *udata)
{
    (void)op;
    return image_grow(udata, n);
}

static void *image_copy(void *to, const void *from, size_t n, H5FD_file_image_op_t op, void *udata)
{
    (void)op, (void)udata;
    return memcpy(to, from, n);
}

static void *image_realloc(void *bytes, size_t n, H5FD_file_image_op_t op, void *udata)
{
    (void)bytes, (void)op; /* the one buffer that there is */
    return image_grow(udata, n);
}

static herr_t image_free(void *bytes, H5FD_file_image_op_t op, void *udata)
{
    (void)bytes, (void)op, (void)udata; /* ours; layout_make frees it */
    return 0;
}

static void *udata_copy(void *udata)
{
    return udata;
}

static herr_t udata_free(void *udata)
{
    (void)udata;
    return 0;
}

static hid_t stored_type(dtype t)
{
    switch (t) {
    case DTYPE_F32:
        return H5T_IEEE_F32LE;
    case DTYPE_F64:
        return H5T_IEEE_F64LE;
    case DTYPE_U8:
        return H5T_STD_U8LE;
    case DTYPE_U32:
        return H5T_STD_U32LE;
    case DTYPE_U64:
        return H5T_STD_U64LE;
    case DTYPE_I64:
        return H5T_STD_I64LE;
    }
    BUG_IF(true, "no such type: %d", (int)t);
    return -1;
}

/* The alignment of the file is that of its most demanding tensor.  HDF5 aligns whatever is not smaller
 * than a threshold; with the smallest tensor as threshold all tensors are aligned and most metadata is
 * not. */
typedef struct room {
    uint64_t alignment, threshold, metadata;
} room;

static room room_of(const tensor *tensors, size_t count, layout_room meta)
{
    room r = {.alignment = 64, .threshold = 1 << 16};
    uint64_t folders = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = tensor_count(&tensors[i]) * dtype_bytes(tensors[i].type);
        r.threshold = bytes < r.threshold ? bytes : r.threshold;
        uint64_t alignment = manifest_alignment(tensors[i].type);
        r.alignment = alignment > r.alignment ? alignment : r.alignment;
        for (const char *p = tensors[i].name; *p; p++)
            folders += *p == '/';
    }
    /* A number of a list takes 8 bytes and may be 3 in JSON.  What is smaller than the threshold needs no
     * alignment. */
    uint64_t objects = count + folders + 4;
    uint64_t bytes = objects * OBJECT_BYTES + meta.keys * ATTRIBUTE_BYTES + 3 * meta.bytes;
    uint64_t pieces = objects + meta.keys, large = bytes / r.threshold + 1;
    if (r.threshold > OBJECT_BYTES)
        pieces = pieces < large ? pieces : large;
    r.metadata = bytes + pieces * r.alignment;
    r.metadata += (r.alignment - r.metadata % r.alignment) % r.alignment;
    return r;
}

layout_room layout_room_of(const record *meta, const char *meta_text)
{
    return (layout_room){.keys = json_object_size(record_json(meta)), .bytes = strlen(meta_text)};
}

static hid_t creation_properties(uint64_t user_block)
{
    hid_t p = H5Pcreate(H5P_FILE_CREATE);
    /* Everything stays in object headers: no heaps and trees, whose blocks would have room left over. */
    if (p >= 0 && (H5Pset_userblock(p, user_block) < 0 || H5Pset_obj_track_times(p, false) < 0 ||
                   H5Pset_attr_phase_change(p, 65535, 0) < 0 || H5Pset_link_phase_change(p, 65535, 0) < 0)) {
        H5Pclose(p);
        return -1;
    }
    return p;
}

static hid_t access_properties(image *im, const room *r)
{
    H5FD_file_image_callbacks_t callbacks = {image_malloc, image_copy, image_realloc, image_free, udata_copy,
                                             udata_free,   im};
    hid_t p = H5Pcreate(H5P_FILE_ACCESS);
    /* The format of HDF5 1.8 has checksums in its metadata and is read by all that is in use. */
    if (p >= 0 &&
        (H5Pset_fapl_core(p, CORE_INCREMENT, false) < 0 ||
         H5Pset_libver_bounds(p, H5F_LIBVER_V18, H5F_LIBVER_V18) < 0 ||
         H5Pset_alignment(p, r->threshold, r->alignment) < 0 || H5Pset_meta_block_size(p, r->metadata) < 0 ||
         H5Pset_small_data_block_size(p, 0) < 0 || H5Pset_fclose_degree(p, H5F_CLOSE_SEMI) < 0 ||
         H5Pset_file_image_callbacks(p, &callbacks) < 0)) {
        H5Pclose(p);
        return -1;
    }
    return p;
}

static hid_t open_file(image *im, const room *r, uint64_t user_block)
{
    hid_t create = creation_properties(user_block), access = access_properties(im, r), file = -1;
    /* HDF5 first looks whether a file of this name exists, so it must be one that cannot. */
    if (create >= 0 && access >= 0)
        file = H5Fcreate("/dev/null/unroll", H5F_ACC_TRUNC, create, access);
    if (access >= 0)
        H5Pclose(access);
    if (create >= 0)
        H5Pclose(create);
    return file;
}

static bool write_attribute(hid_t root, const char *key, hid_t type, hid_t space, const void *value)
{
    hid_t a = type < 0 || space < 0 ? -1 : H5Acreate2(root, key, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = a >= 0 && H5Awrite(a, type, value) >= 0;
    if (a >= 0 && H5Aclose(a) < 0)
        ok = false;
    if (space >= 0)
        H5Sclose(space);
    return ok;
}

static bool write_text(hid_t root, const char *key, const json_t *value)
{
    size_t n = json_string_length(value);
    if (n > ATTRIBUTE_MAX)
        return true;
    hid_t type = H5Tcopy(H5T_C_S1);
    bool ok = type >= 0 && H5Tset_size(type, n ? n : 1) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
              H5Tset_cset(type, H5T_CSET_UTF8) >= 0 &&
              write_attribute(root, key, type, H5Screate(H5S_SCALAR), json_string_value(value));
    if (type >= 0)
        H5Tclose(type);
    return ok;
}

static bool write_list(hid_t root, const char *key, const json_t *value)
{
    hsize_t n = json_array_size(value);
    if (n * sizeof(double) > ATTRIBUTE_MAX)
        return true;
    double *numbers = malloc((n ? n : 1) * sizeof *numbers);
    BUG_IF(numbers == NULL, "no memory for an attribute");
    for (size_t i = 0; i < n; i++)
        record_number(json_array_get(value, i), &numbers[i]);
    bool ok = write_attribute(root, key, H5T_IEEE_F64LE, H5Screate_simple(1, &n, NULL), numbers);
    free(numbers);
    return ok;
}

static bool write_value(hid_t root, const char *key, const json_t *value)
{
    if (json_is_string(value))
        return write_text(root, key, value);
    if (json_is_array(value))
        return write_list(root, key, value);
    if (json_is_real(value)) {
        double x = json_real_value(value);
        return write_attribute(root, key, H5T_IEEE_F64LE, H5Screate(H5S_SCALAR), &x);
    }
    int64_t x = json_is_integer(value) ? json_integer_value(value) : json_is_true(value);
    return write_attribute(root, key, H5T_STD_I64LE, H5Screate(H5S_SCALAR), &x);
}

static status write_meta(hid_t file, const record *meta, error *e)
{
    hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    status s = root < 0 ? fail(e, STATUS_INTERNAL, "HDF5 cannot open the root group") : STATUS_OK;
    const char *key;
    json_t *value;
    json_object_foreach(record_json(meta), key, value)
    {
        if (s == STATUS_OK && !write_value(root, key, value))
            s = fail(e, STATUS_INTERNAL, "HDF5 cannot write the attribute '%s'", key);
    }
    if (root >= 0 && H5Gclose(root) < 0 && s == STATUS_OK)
        s = fail(e, STATUS_INTERNAL, "HDF5 cannot close the root group");
    return s;
}

/* Groups one by one, since those that HDF5 makes in passing carry times. */
static bool make_groups(hid_t file, const char *name)
{
    char path[sizeof((tensor *)0)->name];
    hid_t properties = H5Pcreate(H5P_GROUP_CREATE);
    bool ok = properties >= 0 && H5Pset_obj_track_times(properties, false) >= 0 &&
              H5Pset_link_phase_change(properties, 65535, 0) >= 0;
    for (const char *slash = strchr(name, '/'); ok && slash != NULL; slash = strchr(slash + 1, '/')) {
        memcpy(path, name, (size_t)(slash - name));
        path[slash - name] = '\0';
        htri_t there = H5Lexists(file, path, H5P_DEFAULT);
        if (there == 0) {
            hid_t group = H5Gcreate2(file, path, H5P_DEFAULT, properties, H5P_DEFAULT);
            ok = group >= 0 && H5Gclose(group) >= 0;
        } else {
            ok = there > 0;
        }
    }
    if (properties >= 0)
        H5Pclose(properties);
    return ok;
}

static hid_t dataset_properties(void)
{
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    if (p >= 0 && (H5Pset_layout(p, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(p, H5D_ALLOC_TIME_EARLY) < 0 ||
                   H5Pset_fill_time(p, H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(p, false) < 0)) {
        H5Pclose(p);
        return -1;
    }
    return p;
}

static status make_dataset(uint64_t *offset, hid_t file, const tensor *t, error *e)
{
    hsize_t shape[TENSOR_DIMS];
    for (int i = 0; i < t->dims; i++)
        shape[i] = t->shape[i];
    hid_t properties = dataset_properties(), space = H5Screate_simple(t->dims, shape, NULL), set = -1;
    if (properties >= 0 && space >= 0 && make_groups(file, t->name))
        set = H5Dcreate2(file, t->name, stored_type(t->type), space, H5P_DEFAULT, properties, H5P_DEFAULT);
    haddr_t at = set < 0 ? HADDR_UNDEF : H5Dget_offset(set);
    status s = STATUS_OK;
    if (at == HADDR_UNDEF || at % manifest_alignment(t->type) != 0)
        s = fail(e, STATUS_INTERNAL, "HDF5 cannot lay out the dataset '%s'", t->name);
    else
        *offset = at;
    if (set >= 0 && H5Dclose(set) < 0 && s == STATUS_OK)
        s = fail(e, STATUS_INTERNAL, "HDF5 cannot close the dataset '%s'", t->name);
    if (space >= 0)
        H5Sclose(space);
    if (properties >= 0)
        H5Pclose(properties);
    return s;
}

static status fill_file(layout *l, hid_t file, const record *meta, const tensor *tensors, size_t count,
                        error *e)
{
    status s = meta == NULL ? STATUS_OK : write_meta(file, meta, e);
    for (size_t i = 0; s == STATUS_OK && i < count; i++)
        s = make_dataset(&l->offsets[i], file, &tensors[i], e);
    hsize_t bytes = 0;
    if (s == STATUS_OK && (H5Fget_filesize(file, &bytes) < 0 || H5Fget_obj_count(file, H5F_OBJ_ALL) != 1))
        s = fail(e, STATUS_INTERNAL, "HDF5 cannot finish the layout");
    l->file_bytes = bytes;
    return s;
}

/* Cuts the image where the first tensor begins: what HDF5 wrote must all lie before it. */
static status take_head(layout *l, image *im, size_t count, error *e)
{
    l->head_bytes = l->file_bytes;
    for (size_t i = 0; i < count; i++)
        l->head_bytes = l->offsets[i] < l->head_bytes ? l->offsets[i] : l->head_bytes;
    for (size_t i = l->head_bytes; i < im->n; i++)
        if (im->bytes[i] != 0)
            return fail(e, STATUS_INTERNAL, "HDF5 put metadata behind the data, at byte %zu", i);
    l->head = calloc(1, l->head_bytes);
    if (l->head == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory for %" PRIu64 " bytes of layout", l->head_bytes);
    memcpy(l->head, im->bytes, im->n < l->head_bytes ? im->n : l->head_bytes);
    return STATUS_OK;
}

/* HDF5's own exit handler can crash after a failure, so it is never registered; messages are ours to
 * print. */
static bool start_hdf5(void)
{
    static bool started; /* H5dont_atexit fails when called twice */
    if (!started && (H5dont_atexit() < 0 || H5open() < 0))
        return false;
    started = true;
    return H5Eset_auto2(H5E_DEFAULT, NULL, NULL) >= 0;
}

status layout_make(layout *l, uint64_t user_block, const record *meta, layout_room meta_room,
                   const tensor *tensors, size_t count, error *e)
{
    *l = (layout){.offsets = calloc(count ? count : 1, sizeof *l->offsets)};
    if (l->offsets == NULL)
        return fail(e, STATUS_NO_MEMORY, "no memory for the layout of %zu tensors", count);
    if (!start_hdf5()) {
        layout_free(l);
        return fail(e, STATUS_INTERNAL, "HDF5 cannot start");
    }
    image im = {0};
    room r = room_of(tensors, count, meta_room);
    hid_t file = open_file(&im, &r, user_block);
    status s = file < 0 ? fail(e, STATUS_INTERNAL, "HDF5 cannot make a file in memory")
                        : fill_file(l, file, meta, tensors, count, e);
    if (file >= 0 && H5Fclose(file) < 0 && s == STATUS_OK)
        s = fail(e, STATUS_INTERNAL, "HDF5 cannot close the file in memory");
    if (s == STATUS_OK)
        s = take_head(l, &im, count, e);
    free(im.bytes);
    if (s != STATUS_OK)
        layout_free(l);
    return s;
}

void layout_free(layout *l)
{
    free(l->head);
    free(l->offsets);
    *l = (layout){0};
}

const char *container_library(void)
{
    static char text[32];
    unsigned major, minor, release;
    if (H5get_libversion(&major, &minor, &release) < 0)
        return "unknown";
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}

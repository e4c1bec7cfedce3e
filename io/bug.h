/* bug.h - checks of our own promises, always compiled in (outside kernels/, which uses assert).
 *
 * BUG_IF(cond, format, ...) prints the process label, the place, the condition and the values, then
 * aborts; under mpirun the launcher ends the other ranks.  It is for shapes and states that cannot be,
 * never for input. */
#ifndef IO_BUG_H
#define IO_BUG_H

/* The label in front of every message ("rank 3 on node7"); set once at start, "" until then.  Copies the
 * text. */
void bug_label(const char *label);
_Noreturn void bug_abort(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define BUG_IF(condition, ...)                                      \
    do {                                                            \
        if (condition)                                              \
            bug_abort(__FILE__, __LINE__, #condition, __VA_ARGS__); \
    } while (0)

#endif

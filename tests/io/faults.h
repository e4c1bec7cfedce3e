/* faults.h - a table of system calls in which the n-th call fails, or the process ends there.
 *
 * For every n from 1 until nothing fails any more: that loop visits every point at which the world can
 * disappoint. */
#ifndef TESTS_IO_FAULTS_H
#define TESTS_IO_FAULTS_H

#include <stdbool.h>

typedef enum {
    FAULT_NONE,
    FAULT_ERROR, /* the n-th call fails with errno_value and does nothing (but close closes, as on Linux) */
    FAULT_ERROR_STAYS,  /* so does every later one, unlink excepted */
    FAULT_SHORT,        /* the n-th call, if it is pwrite or pread, does half of the work */
    FAULT_NOTHING,      /* the n-th call, if it is pwrite, returns 0 */
    FAULT_CRASH_BEFORE, /* the process ends before the n-th call */
    FAULT_CRASH_AFTER,  /* ... or right behind it */
} fault_kind;

/* Arms the table: disk_calls points to it afterwards, and the count of calls starts anew. */
void faults_arm(fault_kind kind, int n, int errno_value);
/* Disarms; true if the n-th call was reached. */
bool faults_disarm(void);
/* One letter per call so far: o open, f fallocate, w pwrite or write, r pread, s fsync, c close, R rename, u
 * unlink. */
const char *faults_trace(void);
/* The letter of the call that failed; 0 if none did. */
char faults_struck(void);

#endif

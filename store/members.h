/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files by their names inside an archive or a directory, read by offset: the outside of an OCI
 * layout and of 'docker save'.
 *
 * Sequence: store_members_open_tar() or store_members_open_dir(); store_members_read(),
 * store_members_stream(); store_members_close().
 */
#ifndef STORE_MEMBERS_H
#define STORE_MEMBERS_H

#include <stdbool.h>

#include "fetch/fetch.h"
#include "util/buf.h"
#include "util/err.h"

struct store_members;

/*
 * An uncompressed tar file, FD, which is taken. All headers are read now.
 *
 * Bounds:  1 Mi members.
 * Errors:  HR_CORRUPT no archive; HR_SYS.
 */
int store_members_open_tar(int fd, struct store_members **out, struct hr_err *e) HR_MUST_USE;
/* A directory. Errors: HR_NOTFOUND, HR_DENIED, HR_SYS. */
int store_members_open_dir(const char *path, struct store_members **out,
			   struct hr_err *e) HR_MUST_USE;
void store_members_close(struct store_members *m);

/* Whether there is a regular file of this name. */
bool store_members_has(const struct store_members *m, const char *name);
/* Append all of a member of at most LIMIT bytes. Errors: HR_NOTFOUND, HR_CORRUPT, HR_SYS. */
int store_members_read(const struct store_members *m, const char *name, uint64_t limit,
		       struct hr_buf *b, struct hr_err *e) HR_MUST_USE;
/* Give all bytes of a member to SINK. Threads: any. */
int store_members_stream(const struct store_members *m, const char *name, fetch_sink *sink,
			 void *arg, struct hr_err *e) HR_MUST_USE;

#endif

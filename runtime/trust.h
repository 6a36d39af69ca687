/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that decide what happens on the host: used only if nobody but root and the user himself
 * could have written them.
 *
 * Sequence: fd = rt_trust_list(dir, suffixes, &names, e); rt_trust_read(fd, dir, name, ...) for
 * each; rt_trust_program for what they name to be executed.
 */
#ifndef RT_TRUST_H
#define RT_TRUST_H

#include <stddef.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#define RT_TRUST_FILES_MAX 256 /* of one directory */

/*
 * Open directory DIR and list, in the order of their bytes, its names that end in one of SUFFIXES
 * (NULL-ended) and do not begin with a dot.
 *
 * Returns a descriptor; -1 with e->kind HR_NOTFOUND when the directory is not there.
 * Errors:  HR_DENIED when it is another user's, or others may write it; HR_SYS.
 */
int rt_trust_list(const char *dir, const char *const *suffixes, struct hr_strv *names,
		  struct hr_err *e) HR_MUST_USE;

/* Append file NAME of DIRFD, of at most LIMIT bytes; symlinks are followed, what they lead to
 * counts. DIR is for messages. Errors: HR_DENIED as above, HR_CORRUPT, HR_SYS. */
int rt_trust_read(int dirfd, const char *dir, const char *name, size_t limit, struct hr_buf *out,
		  struct hr_err *e) HR_MUST_USE;

/* PATH is a regular file that nobody else may write. */
int rt_trust_program(const char *path, struct hr_err *e) HR_MUST_USE;

#endif

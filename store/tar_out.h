/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a tar stream entry by entry, with libarchive; for tree_tar*.c.
 *
 * Sequence: tar_out_open(); for each entry tar_out_entry(), and tar_out_data() for all bytes of a
 * regular file; tar_out_close(); tar_out_release() in any case.
 */
#ifndef STORE_TAR_OUT_H
#define STORE_TAR_OUT_H

#include "store/layer.h"
#include "util/err.h"

struct archive;
struct archive_entry;

struct tar_out {
	struct archive *a;
	struct archive_entry *entry;
	fetch_sink *sink;
	void *arg;
	struct hr_err failure; /* of the sink */
};

int tar_out_open(struct tar_out *t, fetch_sink *sink, void *arg, struct hr_err *e) HR_MUST_USE;
/* PATH is relative, "." the root. LINK: target of a symlink, or the path that a hardlink is to. */
int tar_out_entry(struct tar_out *t, const char *path, const struct store_attr *attr,
		  const char *link, bool hardlink, const struct store_xattr *xattrs,
		  size_t n_xattrs, struct hr_err *e) HR_MUST_USE;
int tar_out_data(struct tar_out *t, const void *p, size_t n, struct hr_err *e) HR_MUST_USE;
int tar_out_zeros(struct tar_out *t, uint64_t n, struct hr_err *e) HR_MUST_USE;
int tar_out_close(struct tar_out *t, struct hr_err *e) HR_MUST_USE;
void tar_out_release(struct tar_out *t);

#endif

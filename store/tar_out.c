/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/tar_out.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/poison.h"

static la_ssize_t on_write(struct archive *a, void *arg, const void *p, size_t n)
{
	struct tar_out *t = arg;

	(void)a;
	return t->sink(t->arg, p, n, &t->failure) < 0 ? -1 : (la_ssize_t)n;
}

/* Why libarchive failed: the sink's reason if it was that. */
static int failed(struct tar_out *t, struct hr_err *e)
{
	const char *why = archive_error_string(t->a);

	if (t->failure.kind == HR_OK)
		return hr_fail(e, HR_SYS, 0, "cannot write the archive: %s", why ? why : "?");
	*e = t->failure;
	return -1;
}

int tar_out_open(struct tar_out *t, fetch_sink *sink, void *arg, struct hr_err *e)
{
	memset(t, 0, sizeof(*t));
	t->sink = sink;
	t->arg = arg;
	t->a = archive_write_new();
	t->entry = archive_entry_new();
	HR_BUG_ON(!t->a || !t->entry); /* out of memory */
	if (archive_write_set_format_pax_restricted(t->a) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(t->a, 256 << 10) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(t->a, 1) != ARCHIVE_OK ||
	    archive_write_open(t->a, t, NULL, on_write, NULL) != ARCHIVE_OK)
		return failed(t, e);
	return 0;
}

int tar_out_entry(struct tar_out *t, const char *path, const struct store_attr *attr,
		  const char *link, bool hardlink, const struct store_xattr *xattrs,
		  size_t n_xattrs, struct hr_err *e)
{
	struct archive_entry *n = archive_entry_clear(t->entry);

	archive_entry_set_pathname(n, path);
	archive_entry_set_mode(n, attr->mode);
	archive_entry_set_uid(n, attr->uid);
	archive_entry_set_gid(n, attr->gid);
	archive_entry_set_mtime(n, attr->mtime, attr->mtime_ns);
	archive_entry_set_size(n, S_ISREG(attr->mode) && !hardlink ? (la_int64_t)attr->size : 0);
	if (S_ISCHR(attr->mode) || S_ISBLK(attr->mode))
		archive_entry_set_rdev(n, makedev(attr->dev >> 20, attr->dev & 0xfffff));
	if (hardlink)
		archive_entry_set_hardlink(n, link);
	else if (link)
		archive_entry_set_symlink(n, link);
	for (size_t i = 0; i < n_xattrs; i++)
		archive_entry_xattr_add_entry(n, xattrs[i].name.p, xattrs[i].value.p,
					      xattrs[i].value.len);
	return archive_write_header(t->a, n) < ARCHIVE_WARN ? failed(t, e) : 0;
}

int tar_out_data(struct tar_out *t, const void *p, size_t n, struct hr_err *e)
{
	return archive_write_data(t->a, p, n) != (la_ssize_t)n ? failed(t, e) : 0;
}

int tar_out_zeros(struct tar_out *t, uint64_t n, struct hr_err *e)
{
	static const uint8_t zeros[64 << 10];

	for (size_t len; n > 0; n -= len) {
		len = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		if (tar_out_data(t, zeros, len, e) < 0)
			return -1;
	}
	return 0;
}

int tar_out_close(struct tar_out *t, struct hr_err *e)
{
	return archive_write_close(t->a) != ARCHIVE_OK ? failed(t, e) : 0;
}

void tar_out_release(struct tar_out *t)
{
	archive_entry_free(t->entry);
	if (t->a)
		archive_write_free(t->a);
	memset(t, 0, sizeof(*t));
}

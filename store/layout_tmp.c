/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/layout_names.h"
#include "store/process.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define OBJECT_MODE 0644
#define TMP_OLD_S   86400 /* of a process that we cannot see: it was abandoned after a day */

int store_tmp_open(const struct store *st, struct store_tmp *t, struct hr_err *e)
{
	static atomic_uint serial;
	char process[STORE_PROCESS_NAME];

	store_process_name(process);
	snprintf(t->name, sizeof(t->name), "tmp/%s-%u", process, atomic_fetch_add(&serial, 1));
	t->fd = openat(st->fd, t->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, OBJECT_MODE);
	if (t->fd < 0 && errno == ENOENT) {
		if (hr_mkdir_all(st->fd, "tmp", LAYOUT_DIR_MODE, e) < 0)
			return hr_wrap(e, "store '%s'", st->path);
		t->fd = openat(st->fd, t->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, OBJECT_MODE);
	}
	if (t->fd < 0)
		return hr_fail(e, errno == EACCES ? HR_DENIED : HR_SYS, errno,
			       "cannot create a file in store '%s'", st->path);
	t->st = st;
	/* whatever the umask and a default ACL say */
	if (fchmod(t->fd, OBJECT_MODE) < 0) {
		hr_fail(e, HR_SYS, errno, "cannot set the mode of a file in store '%s'", st->path);
		store_tmp_discard(t);
		return -1;
	}
	return 0;
}

int store_tmp_sync(struct store_tmp *t, struct hr_err *e)
{
	if (fsync(t->fd) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot sync a file in store '%s'", t->st->path);
	if (hr_close(&t->fd, t->name, e) < 0)
		return hr_wrap(e, "store '%s'", t->st->path);
	return 0;
}

int store_tmp_publish(struct store_tmp *t, enum store_kind kind, const struct fetch_digest *d,
		      struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];

	HR_BUG_ON(!t->st || t->fd >= 0);
	store_object_path(kind, d, path);
	if (renameat(t->st->fd, t->name, t->st->fd, path) < 0) {
		if (errno != ENOENT)
			return hr_fail(e, HR_SYS, errno, "cannot rename '%s' to '%s/%s'", t->name,
				       t->st->path, path);
		if (store_object_prepare(t->st, kind, d, e) < 0)
			return -1;
		if (renameat(t->st->fd, t->name, t->st->fd, path) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot rename '%s' to '%s/%s'", t->name,
				       t->st->path, path);
	}
	store_names_add(t->st, kind, d);
	t->st = NULL;
	return 0;
}

void store_tmp_discard(struct store_tmp *t)
{
	if (!t->st)
		return;
	hr_fd_cleanup(&t->fd);
	t->fd = -1;
	/* a failure leaves a name in tmp/, which the next writer removes */
	(void)unlinkat(t->st->fd, t->name, 0);
	t->st = NULL;
}

/* Was the file NAME left by a process that is gone? */
static bool is_left_over(const char *name, const struct stat *sb)
{
	switch (store_process_state(name)) {
	case STORE_PROCESS_ALIVE:
		return false;
	case STORE_PROCESS_GONE:
		return true;
	default:
		return sb->st_mtime + TMP_OLD_S < time(NULL);
	}
}

int store_tmp_clean(const struct store *st, bool dry, uint64_t *bytes, struct hr_err *e)
{
	hr_autodir DIR *d = NULL;
	struct dirent *n;
	int fd = openat(st->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		hr_fail(e, HR_SYS, errno, "cannot list '%s/tmp'", st->path);
		hr_fd_cleanup(&fd);
		return -1;
	}
	while ((n = readdir(d))) {
		struct stat sb;

		if (n->d_name[0] == '.' ||
		    fstatat(dirfd(d), n->d_name, &sb, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(sb.st_mode) || !is_left_over(n->d_name, &sb))
			continue;
		if (!dry && unlinkat(dirfd(d), n->d_name, 0) < 0 && errno != ENOENT)
			return hr_fail(e, HR_SYS, errno, "cannot remove '%s/tmp/%s'", st->path,
				       n->d_name);
		*bytes += (uint64_t)sb.st_blocks * 512;
	}
	return 0;
}

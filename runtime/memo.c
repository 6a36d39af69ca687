/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/memo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/key.h"
#include "util/boot.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/poison.h"

#define MAGIC	  "hpcrun libraries 1"
#define PREFIX	  "libs."
#define ENTRIES	  64 /* in a directory; the oldest makes room for one more */
#define NAME_SIZE (sizeof(PREFIX) + RT_KEY_SIZE)
#define SETTLED_S 2 /* coarser than any file system's clock */

void rt_memo_release(struct rt_memo *m)
{
	hr_strv_release(&m->key);
	hr_strv_release(&m->seen);
	hr_strv_release(&m->answer);
	m->unsure = false;
}

/* ---- files of the host ---- */

/* How PATH is now, and the path: changes with anything that can change what is read of it. */
static char *state_of(const char *path, struct stat *st)
{
	if (stat(path, st) < 0)
		return hr_xasprintf("%d %s", errno == ENOTDIR ? ENOENT : errno, path);
	return hr_xasprintf("%ju:%ju:%jd:%jd.%09ld:%jd.%09ld:%o %s", (uintmax_t)st->st_dev,
			    (uintmax_t)st->st_ino, (intmax_t)st->st_size,
			    (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
			    (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec,
			    (unsigned int)st->st_mode, path);
}

void rt_memo_saw(struct rt_memo *m, const char *path)
{
	struct timespec now = { 0 };
	struct stat st = { 0 };

	if (!m)
		return;
	hr_strv_take(&m->seen, state_of(path, &st));
	/* written just now, a file can be written again and look the same */
	clock_gettime(CLOCK_REALTIME, &now);
	if (st.st_ctim.tv_sec > now.tv_sec - SETTLED_S)
		m->unsure = true;
}

static bool still_so(const char *seen)
{
	const char *path = strchr(seen, ' ');
	hr_autofree char *now = NULL;
	struct stat st;

	if (!path || path[1] != '/')
		return false;
	now = state_of(path + 1, &st);
	return strcmp(now, seen) == 0;
}

/* ---- the key ---- */

void rt_memo_key(struct rt_memo *m, const char *what, const char *value)
{
	hr_strv_take(&m->key, hr_xasprintf("%s=%s", what, value));
}

void rt_memo_begin(struct rt_memo *m, const char *question)
{
	char boot[HR_BOOT_ID + 1];
	hr_autofree char *self = NULL;
	struct stat st;

	(void)hr_boot_id(boot); /* a masked /proc: then the files alone must do */
	self = state_of("/proc/self/exe", &st);
	rt_memo_release(m);
	rt_memo_key(m, "question", question);
	rt_memo_key(m, "version", PACKAGE_VERSION);
	rt_memo_key(m, "program", self);
	rt_memo_key(m, "boot", boot);
}

void rt_memo_answer(struct rt_memo *m, char tag, const char *text)
{
	hr_strv_take(&m->answer, hr_xasprintf("%c%s", tag, text));
}

/* ---- the bytes of an entry ----
 *
 * Strings with a NUL behind each: MAGIC, the key, the files and the answer with a letter before
 * each, and the sum of all bytes before.
 */

static const struct part {
	char letter;
	size_t offset; /* of a struct hr_strv */
} parts[] = {
	{ 'k', offsetof(struct rt_memo, key) },
	{ 's', offsetof(struct rt_memo, seen) },
	{ 'a', offsetof(struct rt_memo, answer) },
};

static struct hr_strv *list_of(struct rt_memo *m, const struct part *part)
{
	return (struct hr_strv *)((char *)m + part->offset);
}

static void sum_of(const char *p, size_t n, char text[RT_KEY_SIZE])
{
	struct rt_key k;

	rt_key_init(&k);
	for (const char *end = p + n; p < end; p += strlen(p) + 1)
		rt_key_add(&k, "", p);
	rt_key_hex(&k, text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void rt_memo_write(struct rt_memo *m, struct hr_buf *out)
{
	char sum[RT_KEY_SIZE];

	/* a file that was looked for twice is asked for once */
	if (m->seen.n > 1)
		qsort(m->seen.v, m->seen.n, sizeof(*m->seen.v), by_text);
	hr_buf_add(out, MAGIC, sizeof(MAGIC));
	for (size_t i = 0; i < HR_COUNT(parts); i++) {
		const struct hr_strv *l = list_of(m, &parts[i]);

		for (size_t j = 0; j < l->n; j++) {
			if (l == &m->seen && j > 0 && strcmp(l->v[j], l->v[j - 1]) == 0)
				continue;
			hr_buf_add(out, &parts[i].letter, 1);
			hr_buf_add(out, l->v[j], strlen(l->v[j]) + 1);
		}
	}
	sum_of((const char *)out->p, out->len, sum);
	hr_buf_add(out, sum, sizeof(sum));
}

static int take(struct rt_memo *m, const char *s, struct hr_err *e)
{
	for (size_t i = 0; i < HR_COUNT(parts); i++) {
		if (s[0] == parts[i].letter) {
			hr_strv_add(list_of(m, &parts[i]), s + 1);
			return 0;
		}
	}
	return hr_fail(e, HR_CORRUPT, 0, "the entry has a part '%c'", s[0]);
}

int rt_memo_parse(const uint8_t *p, size_t n, struct rt_memo *out, struct hr_err *e)
{
	const char *s = (const char *)p, *end;
	char sum[RT_KEY_SIZE];

	memset(out, 0, sizeof(*out));
	if (n < sizeof(MAGIC) + sizeof(sum) || n > RT_MEMO_MAX || p[n - 1] != '\0')
		return hr_fail(e, HR_CORRUPT, 0, "an entry of %zu bytes, or without an end", n);
	end = s + n - sizeof(sum);
	if (strcmp(s, MAGIC) != 0 || end[-1] != '\0')
		return hr_fail(e, HR_CORRUPT, 0, "no entry of this version");
	sum_of(s, n - sizeof(sum), sum);
	if (memcmp(end, sum, sizeof(sum)) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "the sum of the entry is not %s", sum);
	for (s += sizeof(MAGIC); s < end; s += strlen(s) + 1)
		if (take(out, s, e) < 0)
			return -1;
	return 0;
}

/* ---- the directory ---- */

static void entry_name(const struct rt_memo *m, char name[NAME_SIZE])
{
	char hex[RT_KEY_SIZE];
	struct rt_key k;

	rt_key_init(&k);
	for (size_t i = 0; i < m->key.n; i++)
		rt_key_add(&k, "", m->key.v[i]);
	rt_key_hex(&k, hex);
	snprintf(name, NAME_SIZE, PREFIX "%s", hex);
}

static bool same(const struct hr_strv *a, const struct hr_strv *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && strcmp(a->v[i], b->v[i]) == 0)
		i++;
	return i == a->n && i == b->n;
}

static int read_own(int dirfd, const char *name, struct hr_buf *out, struct hr_err *e)
{
	hr_autofd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return hr_fail(e, HR_NOTFOUND, errno, "no entry '%s'", name);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0077))
		return hr_fail(e, HR_DENIED, 0, "'%s' is not a file of yours alone", name);
	return hr_fd_read(fd, RT_MEMO_MAX, name, out, e);
}

bool rt_memo_recall(struct rt_memo *m, int dirfd)
{
	struct rt_memo found = { 0 };
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };
	char name[NAME_SIZE];
	bool good;

	entry_name(m, name);
	good = read_own(dirfd, name, &b, &e) == 0 && rt_memo_parse(b.p, b.len, &found, &e) == 0;
	if (!good)
		hr_debug("libraries: %s", e.text);
	good = good && same(&m->key, &found.key);
	for (size_t i = 0; good && i < found.seen.n; i++) {
		good = still_so(found.seen.v[i]);
		if (!good)
			hr_debug("libraries: this was otherwise: %s", found.seen.v[i]);
	}
	if (good) {
		hr_strv_release(&m->key);
		*m = found;
	} else {
		rt_memo_release(&found);
	}
	return good;
}

static int replace(int dirfd, const char *name, const struct hr_buf *b, struct hr_err *e)
{
	/* Two that write at once spoil the sum. No fsync: no entry outlives the boot. */
	hr_autofree char *temp = hr_xasprintf("%s.new", name);
	hr_autofd int fd =
		openat(dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make '%s'", temp);
	if (hr_write_all(fd, b->p, b->len, temp, e) < 0 || hr_close(&fd, temp, e) < 0)
		return -1;
	if (renameat(dirfd, temp, dirfd, name) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rename '%s' to '%s'", temp, name);
	return 0;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* One is added at a time, so one is removed; that of a session that was killed meanwhile, too. */
static void make_room(int dirfd)
{
	hr_autofd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct timespec oldest = { 0 };
	const struct dirent *entry;
	char name[NAME_MAX + 1];
	size_t n = 0;

	if (!d)
		return;
	fd = -1;
	while ((entry = readdir(d)) != NULL) {
		struct stat st;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
		    fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (n++ == 0 || is_before(&st.st_mtim, &oldest)) {
			oldest = st.st_mtim;
			snprintf(name, sizeof(name), "%s", entry->d_name);
		}
	}
	if (n >= ENTRIES && unlinkat(dirfd, name, 0) < 0)
		hr_debug("libraries: cannot remove '%s': %s", name, strerror(errno));
}

void rt_memo_keep(struct rt_memo *m, int dirfd)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err e = { 0 };
	char name[NAME_SIZE];

	if (m->unsure)
		return;
	rt_memo_write(m, &b);
	entry_name(m, name);
	if (b.len > RT_MEMO_MAX)
		return;
	make_room(dirfd);
	if (replace(dirfd, name, &b, &e) < 0)
		hr_debug("libraries are found anew the next time: %s", e.text);
}

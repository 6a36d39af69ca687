/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/layout_names.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

#define FORMAT_FILE "format"
#define FORMAT_LINE STORE_FORMAT "\n"
/* A new store is private: images may be. Who shares one opens its top directory. */
#define STORE_DIR_MODE 0700

/* A directory for each kind and first byte of a digest. */
struct store_names {
	_Atomic bool changed[STORE_KINDS][256];
};

static const struct {
	const char *dir, *suffix;
	bool flat; /* no directory for the first byte */
} kinds[STORE_KINDS] = {
	[STORE_DOC] = { "docs", "", false },
	[STORE_BLOB] = { "blobs", "", false },
	[STORE_LAYER] = { "layers", "", false },
	[STORE_LAYER_LOC] = { "layers", ".loc", false },
	[STORE_IMAGE] = { "images", "", false },
	[STORE_META] = { "meta", "", false },
	[STORE_INDEX] = { "index", "", false },
	[STORE_INDEX_LOC] = { "index", ".loc", false },
	[STORE_INDEX_SUM] = { "index", ".sum", false },
	[STORE_PACK] = { "packs", "", false },
	[STORE_PACK_OLD] = { "packs", ".old", false },
	[STORE_TRACE] = { "traces", "", false },
	[STORE_DICT] = { "dict", "", true },
};

const char *store_kind_suffix(enum store_kind kind)
{
	return kinds[kind].suffix;
}

bool store_kind_dir_path(enum store_kind kind, unsigned int ab, char path[STORE_KIND_DIR])
{
	if (kinds[kind].flat)
		snprintf(path, STORE_KIND_DIR, "%s", kinds[kind].dir);
	else
		snprintf(path, STORE_KIND_DIR, "%s/%02x", kinds[kind].dir, ab);
	return !kinds[kind].flat || ab == 0;
}

/* ---- which stores ---- */

static void add_once(struct hr_strv *out, char *path)
{
	for (size_t i = 0; i < out->n; i++) {
		if (strcmp(out->v[i], path) == 0) {
			free(path);
			return;
		}
	}
	hr_strv_take(out, path);
}

bool store_is_url(const char *name)
{
	return strncmp(name, "https://", 8) == 0 || strncmp(name, "http://", 7) == 0;
}

/* A URL without the slashes at its end, so that each store has one name. */
static void add_url(struct hr_strv *out, const char *url, size_t n)
{
	while (n > 0 && url[n - 1] == '/')
		n--;
	add_once(out, hr_xstrndup(url, n));
}

/* BY is the variable that names the store; NULL: the command line. */
static int add_path(struct hr_strv *out, const char *by, const char *path, size_t n,
		    struct hr_err *e)
{
	hr_autofree char *cwd = NULL;

	if (n == 0)
		return hr_fail(e, HR_USAGE, 0, "the path of a store is empty");
	if (store_is_url(path)) {
		add_url(out, path, n);
		return 0;
	}
	if (path[0] == '/') {
		add_once(out, hr_xstrndup(path, n));
		return 0;
	}
	if (memmem(path, n, "://", 3)) {
		hr_hint(e,
			"a bucket has a URL that begins with https://; hpcrun-store(5) shows one");
		return hr_fail(e, HR_USAGE, 0,
			       "the store '%.*s' is neither a path nor an https or http URL",
			       (int)n, path);
	}
	if (by) { /* a session works in another directory than its caller */
		hr_hint(e, "a variable holds wherever a command runs; --store may be relative");
		return hr_fail(e, HR_USAGE, 0, "%s: '%.*s' is not an absolute path", by, (int)n,
			       path);
	}
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return hr_fail(e, HR_SYS, errno, "cannot get the working directory");
	add_once(out, hr_xasprintf("%s/%.*s", cwd, (int)n, path));
	return 0;
}

static int add_user_store(struct hr_strv *out)
{
	const char *xdg = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		add_once(out, hr_xasprintf("%s/hpcrun", xdg));
	else if (home && home[0] == '/')
		add_once(out, hr_xasprintf("%s/.local/share/hpcrun", home));
	return 0;
}

int store_trust(const struct hr_conf *conf, struct store_owners *out, struct hr_err *e)
{
	const struct hr_strv *owners = &conf->owners;
	uint64_t uid;

	if (owners->n > STORE_OWNERS_MAX)
		return hr_fail(e, HR_USAGE, 0, "more than %d lines of 'store_owner'",
			       STORE_OWNERS_MAX);
	for (size_t i = 0; i < owners->n; i++) {
		if (hr_parse_u64(owners->v[i], "store_owner", 0, UINT32_MAX - 1, &uid, e) < 0)
			return hr_wrap(e, "hpcrun.conf");
		out->v[i] = (uid_t)uid;
	}
	out->n = owners->n;
	return 0;
}

static int list(const struct hr_strv *given, const struct hr_conf *conf, struct hr_strv *out,
		struct hr_err *e)
{
	const char *env = getenv("HPCRUN_STORE");
	bool from_env = env && env[strspn(env, " ")] != '\0';

	if (given && given->n > 0) {
		if (conf && hr_conf_check_override(conf, "store", "--store", e) < 0)
			return -1;
		for (size_t i = 0; i < given->n; i++)
			if (add_path(out, NULL, given->v[i], strlen(given->v[i]), e) < 0)
				return -1;
	} else if (from_env) {
		if (conf && hr_conf_check_override(conf, "store", "HPCRUN_STORE", e) < 0)
			return -1;
		for (env += strspn(env, " "); *env; env += strspn(env, " ")) {
			size_t n = strcspn(env, " ");

			if (add_path(out, "HPCRUN_STORE", env, n, e) < 0)
				return -1;
			env += n;
		}
	} else {
		add_user_store(out);
		for (size_t i = 0; conf && i < conf->stores.n; i++)
			if (add_path(out, NULL, conf->stores.v[i], strlen(conf->stores.v[i]), e) <
			    0)
				return -1;
	}
	if (out->n > 0)
		return 0;
	hr_fail(e, HR_USAGE, 0, "there is no store: HOME is not set");
	hr_hint(e, "name one with --store or HPCRUN_STORE");
	return -1;
}

int store_list(const struct hr_strv *given, const struct hr_conf *conf, struct store_paths *out,
	       struct hr_err *e)
{
	struct hr_strv paths = { 0 };

	if ((conf && store_trust(conf, &out->trusted, e) < 0) || list(given, conf, &paths, e) < 0) {
		hr_strv_release(&paths);
		return -1;
	}
	out->v = paths.v;
	out->n = paths.n;
	return 0;
}

void store_paths_release(struct store_paths *paths)
{
	struct hr_strv list = { paths->v, paths->n };

	hr_strv_release(&list);
	memset(paths, 0, sizeof(*paths));
}

/* ---- opening ---- */

static bool is_among(const struct store_owners *owners, uid_t uid)
{
	for (size_t i = 0; i < owners->n; i++)
		if (owners->v[i] == uid)
			return true;
	return false;
}

/* Only the user, root and whom the configuration trusts may be able to change a store. */
static int check_trust(const struct store_owners *trusted, const struct stat *st, const char *what,
		       struct hr_err *e)
{
	if (st->st_uid != geteuid() && st->st_uid != 0 && !is_among(trusted, st->st_uid)) {
		hr_fail(e, HR_DENIED, 0, "'%s' belongs to user %u, neither to you nor to root",
			what, st->st_uid);
		hr_hint(e,
			"whoever owns a store decides what its images contain; a site trusts one "
			"with 'store_owner = %u' in hpcrun.conf",
			st->st_uid);
		return -1;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		hr_fail(e, HR_DENIED, 0, "others may write '%s' (mode %04o)", what,
			st->st_mode & 07777);
		hr_hint(e, "make it safe with: chmod go-w '%s'", what);
		return -1;
	}
	return 0;
}

/* 1 when the store's directory holds nothing but what a creator of a store makes first. */
static int is_fresh(const struct store *st, struct hr_err *e)
{
	int fd = openat(st->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	hr_autodir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *n;

	if (!d) {
		hr_fail(e, HR_SYS, errno, "cannot list '%s'", st->path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((n = readdir(d)))
		if (n->d_name[0] != '.')
			return 0;
	return 1;
}

/* 1 when the file was read, 0 when it is not there. */
static int read_format(const struct store *st, struct hr_buf *line, struct hr_err *e)
{
	if (hr_file_read(st->fd, FORMAT_FILE, 256, line, e) == 0)
		return 1;
	if (e->kind != HR_NOTFOUND)
		return -1;
	hr_err_clear(e);
	return 0;
}

static int check_format(struct store *st, enum store_mode mode, struct hr_err *e)
{
	hr_autobuf struct hr_buf line = { 0 };
	int fresh, there = read_format(st, &line, e);

	if (there == 0) {
		fresh = is_fresh(st, e);
		if (fresh < 0)
			return -1;
		/* a writer may have got no further */
		if (fresh && mode == STORE_READ)
			return hr_fail(e, HR_NOTFOUND, 0, "the directory is empty");
		if (fresh)
			return hr_file_replace(st->fd, FORMAT_FILE, FORMAT_LINE,
					       strlen(FORMAT_LINE), 0644, e);
		there = read_format(st, &line, e); /* another writer may have made it meanwhile */
	}
	if (there < 0)
		return -1;
	if (there == 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "it is no store: the file '" FORMAT_FILE "' is missing");
	if (line.len == strlen(FORMAT_LINE) && memcmp(line.p, FORMAT_LINE, line.len) == 0)
		return 0;
	hr_fail(e, HR_CORRUPT, 0, "its format is not '" STORE_FORMAT "'");
	hr_hint(e, "another version of hpcrun made it; use that one, or another store");
	return -1;
}

static int open_dir(struct store *st, enum store_mode mode, struct hr_err *e)
{
	struct stat sb;

	if (mode == STORE_WRITE && hr_mkdir_all(AT_FDCWD, st->path, STORE_DIR_MODE, e) < 0)
		return -1;
	st->fd = open(st->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->fd < 0)
		return hr_fail(e,
			       errno == ENOENT	 ? HR_NOTFOUND
			       : errno == EACCES ? HR_DENIED
						 : HR_SYS,
			       errno, "cannot open the directory");
	if (fstat(st->fd, &sb) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot stat the directory");
	if (check_trust(&st->trusted, &sb, st->path, e) < 0)
		return -1;
	return check_format(st, mode, e);
}

int store_open(const char *path, enum store_mode mode, const struct store_owners *trusted,
	       struct store **out, struct hr_err *e)
{
	HR_CLEANUP(store_closep) struct store *st = hr_xmalloc(sizeof(*st));

	st->fd = -1;
	st->path = hr_xstrdup(path);
	if (trusted)
		st->trusted = *trusted;
	st->names = hr_xmalloc(sizeof(*st->names));
	if (open_dir(st, mode, e) < 0)
		return hr_wrap(e, "cannot open store '%s'", path);
	*out = hr_steal(&st);
	return 0;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	hr_fd_cleanup(&st->fd);
	free(st->names);
	free(st->path);
	free(st);
}

void store_closep(struct store **st)
{
	store_close(*st);
}

/* ---- objects ---- */

char *store_object_path(enum store_kind kind, const struct fetch_digest *d,
			char buf[STORE_OBJECT_PATH])
{
	char hex[FETCH_DIGEST_HEX], dir[STORE_KIND_DIR];

	store_kind_dir_path(kind, d->b[0], dir);
	snprintf(buf, STORE_OBJECT_PATH, "%s/%s%s", dir, fetch_digest_hex(d, hex),
		 kinds[kind].suffix);
	return buf;
}

int store_object_open(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		      uint64_t *size, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	struct stat sb;
	hr_autofd int fd = openat(st->fd, store_object_path(kind, d, path),
				  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return hr_fail(e,
			       errno == ENOENT	 ? HR_NOTFOUND
			       : errno == EACCES ? HR_DENIED
						 : HR_SYS,
			       errno, "cannot open '%s/%s'", st->path, path);
	if (fstat(fd, &sb) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot stat '%s/%s'", st->path, path);
	if (!S_ISREG(sb.st_mode))
		return hr_fail(e, HR_CORRUPT, 0, "'%s/%s' is not a regular file", st->path, path);
	if (check_trust(&st->trusted, &sb, path, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	if (size)
		*size = (uint64_t)sb.st_size;
	return hr_steal_fd(&fd);
}

bool store_object_exists(const struct store *st, enum store_kind kind, const struct fetch_digest *d)
{
	char path[STORE_OBJECT_PATH];
	struct stat sb;

	return fstatat(st->fd, store_object_path(kind, d, path), &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(sb.st_mode);
}

static int read_object(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		       uint64_t limit, struct hr_buf *b, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	uint64_t size;
	hr_autofd int fd = store_object_open(st, kind, d, &size, e);

	if (fd < 0)
		return -1;
	if (size <= limit)
		hr_buf_reserve(b, size + 65536);
	return hr_fd_read(fd, limit, store_object_path(kind, d, path), b, e);
}

int store_object_read(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		      uint64_t limit, struct hr_buf *b, struct hr_err *e)
{
	unsigned int stale = 0;
	size_t before = b->len;
	int r;

	while ((r = read_object(st, kind, d, limit, b, e)) < 0 && hr_io_stale(&stale, e))
		b->len = before;
	return r;
}

int store_object_write(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		       const void *p, size_t n, struct hr_err *e)
{
	struct store_tmp t = STORE_TMP_EMPTY;

	if (store_tmp_open(st, &t, e) < 0)
		return -1;
	if (hr_write_all(t.fd, p, n, t.name, e) < 0) {
		store_tmp_discard(&t);
		return hr_wrap(e, "store '%s'", st->path);
	}
	if (store_tmp_sync(&t, e) < 0 || store_tmp_publish(&t, kind, d, e) < 0) {
		store_tmp_discard(&t);
		return -1;
	}
	return 0;
}

int store_object_remove(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
			struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];

	if (unlinkat(st->fd, store_object_path(kind, d, path), 0) < 0 && errno != ENOENT)
		return hr_fail(e, HR_SYS, errno, "cannot remove '%s/%s'", st->path, path);
	store_names_add(st, kind, d);
	return 0;
}

bool store_object_age(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		      uint64_t *seconds)
{
	char path[STORE_OBJECT_PATH];
	struct stat sb;
	time_t now = time(NULL);

	if (fstatat(st->fd, store_object_path(kind, d, path), &sb, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	/* a time to come, by another host's clock, is just now */
	*seconds = sb.st_mtime < now ? (uint64_t)(now - sb.st_mtime) : 0;
	return true;
}

/* ---- names whose coming or going is not durable yet ---- */

void store_names_add(const struct store *st, enum store_kind kind, const struct fetch_digest *d)
{
	st->names->changed[kind][d->b[0]] = true;
}

int store_sync_names(struct store *st, struct hr_err *e)
{
	for (unsigned int kind = 0; kind < STORE_KINDS; kind++) {
		for (unsigned int ab = 0; ab < 256; ab++) {
			char path[STORE_KIND_DIR];
			hr_autofd int fd = -1;

			if (!st->names->changed[kind][ab])
				continue;
			store_kind_dir_path(kind, ab, path);
			fd = openat(st->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (fd < 0 || fsync(fd) < 0)
				return hr_fail(e, HR_SYS, errno, "cannot sync '%s/%s'", st->path,
					       path);
			st->names->changed[kind][ab] = false;
		}
	}
	return 0;
}

int store_object_prepare(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
			 struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];

	store_object_path(kind, d, path);
	*strrchr(path, '/') = '\0';
	if (hr_mkdir_all(st->fd, path, LAYOUT_DIR_MODE, e) < 0)
		return hr_wrap(e, "store '%s'", st->path);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/libtree.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/ldcache.h"
#include "runtime/path.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

struct rt_libtree {
	int root;
	char *label;
	struct hr_strv front, behind;
	struct hr_buf bytes; /* of its ld.so.cache */
	struct rt_ldcache cache;
	struct rt_memo *memo; /* or NULL */
};

/* What the loader searches at last: Debian's directories of one machine each, RHEL's, and those of
 * ld.so(8). */
static const struct default_dir {
	uint16_t machine; /* EM_NONE: any */
	const char *path;
} default_dirs[] = {
	{ EM_X86_64, "/lib/x86_64-linux-gnu" },
	{ EM_X86_64, "/usr/lib/x86_64-linux-gnu" },
	{ EM_AARCH64, "/lib/aarch64-linux-gnu" },
	{ EM_AARCH64, "/usr/lib/aarch64-linux-gnu" },
	{ EM_PPC64, "/lib/powerpc64le-linux-gnu" },
	{ EM_PPC64, "/usr/lib/powerpc64le-linux-gnu" },
	{ EM_RISCV, "/lib/riscv64-linux-gnu" },
	{ EM_RISCV, "/usr/lib/riscv64-linux-gnu" },
	{ EM_NONE, "/lib64" },
	{ EM_NONE, "/usr/lib64" },
	{ EM_NONE, "/lib" },
	{ EM_NONE, "/usr/lib" },
};

/* Where people install what programs find by RPATH, or after an ldconfig that was not run. */
static const char *const local_dirs[] = { "/usr/local/lib", "/usr/local/lib64" };

/* What $LIB may stand for. */
static const char *const lib_words[] = { "lib64", "lib", "lib/x86_64-linux-gnu",
					 "lib/aarch64-linux-gnu" };

void rt_lib_release(struct rt_lib *lib)
{
	free(lib->path);
	free(lib->file);
	rt_elf_release(&lib->elf);
	memset(lib, 0, sizeof(*lib));
}

/* Absolute parts of a list like LD_LIBRARY_PATH. */
static void add_dirs(struct hr_strv *l, const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, ":");

		if (text[0] == '/')
			hr_strv_take(l, hr_xstrndup(text, n));
		text += n + (text[n] == ':');
	}
}

int rt_libtree_open(int root, const char *label, const char *front, const char *behind,
		    struct rt_memo *memo, struct rt_libtree **out, struct hr_err *e)
{
	HR_CLEANUP(rt_libtree_closep) struct rt_libtree *t = hr_xmalloc(sizeof(*t));
	struct hr_err bad = { 0 };

	t->root = root;
	t->label = hr_xstrdup(label);
	t->memo = memo;
	add_dirs(&t->front, front);
	add_dirs(&t->behind, behind);
	rt_memo_saw(memo, RT_LDCACHE_PATH);
	if (rt_path_read(root, RT_LDCACHE_PATH, RT_LDCACHE_MAX, &t->bytes, e) < 0)
		return hr_wrap(e, "cannot search the libraries of %s", label);
	if (t->bytes.len > 0 && rt_ldcache_parse(t->bytes.p, t->bytes.len, &t->cache, &bad) < 0) {
		hr_debug("ld.so.cache of %s is not used: %s", label, bad.text);
		memset(&t->cache, 0, sizeof(t->cache));
	}
	*out = hr_steal(&t);
	return 0;
}

void rt_libtree_close(struct rt_libtree *t)
{
	if (!t)
		return;
	free(t->label);
	hr_strv_release(&t->front);
	hr_strv_release(&t->behind);
	hr_buf_release(&t->bytes);
	free(t);
}

void rt_libtree_closep(struct rt_libtree **t)
{
	rt_libtree_close(*t);
}

const char *rt_libtree_label(const struct rt_libtree *t)
{
	return t->label;
}

int rt_libtree_root(const struct rt_libtree *t)
{
	return t->root;
}

struct rt_memo *rt_libtree_memo(const struct rt_libtree *t)
{
	return t->memo;
}

/* The name of the file behind a descriptor, for people: its last part. */
static char *real_name(int fd, const char *path)
{
	char link[64], target[4096];
	const char *slash;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n > 0)
		target[n] = '\0';
	slash = strrchr(n > 0 ? target : path, '/');
	return hr_xstrdup(slash ? slash + 1 : path);
}

/* Open what the loader would open; -1 with e->kind HR_OK when it would go on searching. */
static int open_library(struct rt_libtree *t, const char *path, struct hr_err *e)
{
	struct hr_err why = { 0 };
	int fd;

	rt_memo_saw(t->memo, path);
	fd = rt_path_open(t->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &why);
	if (fd >= 0)
		return fd;
	switch (why.sys) {
	case ENOENT:
	case ENOTDIR:
	case EACCES:
	case ELOOP:
	case ENAMETOOLONG:
	case ENXIO:
	case ENODEV:
	case EXDEV: /* a magic link */
		return -1;
	default:
		*e = why;
		return -1;
	}
}

int rt_libtree_at(struct rt_libtree *t, const char *path, const struct rt_elf *like,
		  struct rt_lib *out, struct hr_err *e)
{
	hr_autofd int fd = open_library(t, path, e);
	struct hr_err why = { 0 };
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return e->kind == HR_OK ? 0 : -1;
	if (fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at '%s' of %s", path, t->label);
	if (rt_elf_read(fd, path, &out->elf, &why) < 0 ||
	    (like && !rt_elf_same_machine(&out->elf, like))) {
		if (why.kind != HR_OK)
			hr_debug("passed over: %s", why.text);
		rt_lib_release(out);
		return 0;
	}
	out->path = hr_xstrdup(path);
	out->file = real_name(fd, path);
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return 1;
}

/* Called for each path that a name can mean, in the loader's order; not 0 ends the search. */
struct visit {
	int (*fn)(struct rt_libtree *t, const char *path, struct visit *v, struct hr_err *e);
	const struct rt_elf *like;
	struct rt_lib *out;
	bool loader_only; /* no directories but those that the loader searches by itself */
	struct hr_strv *paths;
	struct rt_lib *seen; /* of paths */
	size_t n_seen;
};

static int visit_dirs(struct rt_libtree *t, const char *const *dirs, size_t n, const char *name,
		      struct visit *v, struct hr_err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		hr_autofree char *path = hr_xasprintf("%s/%s", dirs[i], name);

		r = v->fn(t, path, v, e);
	}
	return r;
}

static int visit_defaults(struct rt_libtree *t, const char *name, struct visit *v, struct hr_err *e)
{
	int r = 0;

	for (size_t i = 0; i < HR_COUNT(default_dirs) && r == 0; i++) {
		const struct default_dir *d = &default_dirs[i];

		if (d->machine == EM_NONE || !v->like || v->like->machine == d->machine)
			r = visit_dirs(t, &d->path, 1, name, v, e);
	}
	return r;
}

static int visit_cache(struct rt_libtree *t, const char *name, struct visit *v, struct hr_err *e)
{
	struct rt_ldcache_entry entry;
	int r = 0;

	for (uint32_t i = 0; i < t->cache.count && r == 0; i++) {
		rt_ldcache_get(&t->cache, i, &entry);
		if (entry.hwcap == 0 && strcmp(entry.soname, name) == 0)
			r = v->fn(t, entry.path, v, e);
	}
	return r;
}

static int visit_all(struct rt_libtree *t, const char *name, struct visit *v, struct hr_err *e)
{
	int r = visit_dirs(t, (const char *const *)t->front.v, t->front.n, name, v, e);

	if (r == 0)
		r = visit_cache(t, name, v, e);
	if (r == 0)
		r = visit_defaults(t, name, v, e);
	if (r == 0 && !v->loader_only)
		r = visit_dirs(t, local_dirs, HR_COUNT(local_dirs), name, v, e);
	if (r == 0 && !v->loader_only)
		r = visit_dirs(t, (const char *const *)t->behind.v, t->behind.n, name, v, e);
	return r;
}

static int take_first(struct rt_libtree *t, const char *path, struct visit *v, struct hr_err *e)
{
	return rt_libtree_at(t, path, v->like, v->out, e);
}

int rt_libtree_find(struct rt_libtree *t, const char *name, const struct rt_elf *like,
		    struct rt_lib *out, struct hr_err *e)
{
	struct visit v = { .fn = take_first, .like = like, .out = out };

	memset(out, 0, sizeof(*out));
	return visit_all(t, name, &v, e);
}

int rt_libtree_find_loaded(struct rt_libtree *t, const char *name, const struct rt_elf *like,
			   struct rt_lib *out, struct hr_err *e)
{
	struct visit v = { .fn = take_first, .like = like, .out = out, .loader_only = true };

	memset(out, 0, sizeof(*out));
	return visit_all(t, name, &v, e);
}

static int take_each(struct rt_libtree *t, const char *path, struct visit *v, struct hr_err *e)
{
	struct rt_lib lib;
	int r = rt_libtree_at(t, path, v->like, &lib, e);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < v->n_seen; i++) {
		if (v->seen[i].dev == lib.dev && v->seen[i].ino == lib.ino) {
			rt_lib_release(&lib);
			return 0;
		}
	}
	hr_strv_add(v->paths, path);
	v->seen = hr_xrealloc(v->seen, (v->n_seen + 1) * sizeof(*v->seen));
	v->seen[v->n_seen++] = lib;
	return 0;
}

int rt_libtree_all(struct rt_libtree *t, const struct hr_strv *names, const struct rt_elf *like,
		   struct hr_strv *paths, struct hr_err *e)
{
	struct visit v = { .fn = take_each, .like = like, .paths = paths };
	int r = 0;

	for (size_t i = 0; i < names->n && r == 0; i++)
		r = visit_all(t, names->v[i], &v, e);
	for (size_t i = 0; i < v.n_seen; i++)
		rt_lib_release(&v.seen[i]);
	free(v.seen);
	return r;
}

/* The word behind a '$' at S: ORIGIN, LIB or PLATFORM, with or without braces; its length, or 0. */
static size_t token(const char *s, const char *word)
{
	size_t n = strlen(word);

	if (s[1] == '{')
		return strncmp(s + 2, word, n) == 0 && s[2 + n] == '}' ? n + 3 : 0;
	return strncmp(s + 1, word, n) == 0 ? n + 1 : 0;
}

/* One directory of an RPATH, its tokens replaced; NULL when it cannot be. */
static char *expand(const char *dir, size_t n, const char *origin, const char *lib)
{
	hr_autobuf struct hr_buf b = { 0 };
	const char *end = dir + n;
	size_t skip;

	hr_buf_str(&b, "");
	while (dir < end) {
		if (*dir != '$')
			hr_buf_add(&b, dir, skip = 1);
		else if ((skip = token(dir, "ORIGIN")) > 0)
			hr_buf_str(&b, origin);
		else if ((skip = token(dir, "LIB")) > 0)
			hr_buf_str(&b, lib);
		else
			return NULL; /* $PLATFORM: hardly ever used, and the kernel's to say */
		dir += skip;
	}
	return b.len > 0 && b.p[0] == '/' ? hr_xstrdup((const char *)b.p) : NULL;
}

static void add_run_path(struct hr_strv *dirs, const struct rt_lib *from, const char *text)
{
	const char *slash = strrchr(from->path, '/');
	hr_autofree char *origin =
		hr_xstrndup(from->path, slash ? (size_t)(slash - from->path) : 0);

	while (*text) {
		size_t n = strcspn(text, ":");
		bool lib = memmem(text, n, "$LIB", 4) || memmem(text, n, "${LIB}", 6);

		for (size_t i = 0; i < (lib ? HR_COUNT(lib_words) : 1); i++) {
			char *dir = expand(text, n, origin, lib_words[i]);

			if (dir)
				hr_strv_take(dirs, dir);
		}
		text += n + (text[n] == ':');
	}
}

int rt_libtree_find_for(struct rt_libtree *t, const struct rt_lib *from, const char *name,
			struct rt_lib *out, struct hr_err *e)
{
	struct visit v = { .fn = take_first, .like = &from->elf, .out = out };
	const char *own = from->elf.runpath ? from->elf.runpath : from->elf.rpath;
	struct hr_strv dirs = { 0 };
	int r;

	memset(out, 0, sizeof(*out));
	if (own)
		add_run_path(&dirs, from, own);
	r = visit_dirs(t, (const char *const *)dirs.v, dirs.n, name, &v, e);
	hr_strv_release(&dirs);
	return r != 0 ? r : visit_all(t, name, &v, e);
}

int rt_libtree_symbols(struct rt_libtree *t, const struct rt_lib *lib, struct rt_elf_symbols *out,
		       struct hr_err *e)
{
	hr_autofd int fd = rt_path_open(t->root, lib->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, e);

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return -1;
	if (rt_elf_symbols_read(fd, lib->path, out, e) == 0)
		return 0;
	rt_elf_symbols_release(out);
	if (e->kind != HR_CORRUPT)
		return -1;
	hr_debug("%s: %s", t->label, e->text);
	hr_err_clear(e);
	return 0;
}

bool rt_libtree_has(struct rt_libtree *t, const char *path)
{
	struct hr_err ignored = { 0 }; /* out of reach is not there */
	hr_autofd int fd = rt_path_open(t->root, path, O_PATH, &ignored);

	return fd >= 0;
}

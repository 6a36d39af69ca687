/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/bind.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define FORM_HINT "the form is SRC[:DST[:ro]], with DST absolute and no colon in a path"

void rt_binds_add(struct rt_binds *l, const char *src, const char *dst, bool ro, bool optional)
{
	l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = (struct rt_bind) {
		.src = hr_xstrdup(src), .dst = hr_xstrdup(dst), .ro = ro, .optional = optional
	};
}

void rt_binds_add_made(struct rt_binds *l, enum rt_bind_kind kind, const char *src, const char *dst)
{
	rt_binds_add(l, src, dst, false, false);
	l->v[l->n - 1].kind = kind;
	l->v[l->n - 1].file = kind == RT_BIND_FILE;
	l->v[l->n - 1].ro = kind == RT_BIND_FILE;
}

static void bind_release(struct rt_bind *b)
{
	free(b->src);
	free(b->dst);
}

void rt_binds_release(struct rt_binds *l)
{
	for (size_t i = 0; i < l->n; i++)
		bind_release(&l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

char *rt_path_normal(const char *path)
{
	hr_autofree char *out = NULL;
	size_t len = 0;

	if (path[0] != '/')
		return NULL;
	out = hr_xmalloc(strlen(path) + 2);
	while (*path) {
		size_t part;

		path += strspn(path, "/");
		part = strcspn(path, "/");
		if (part == 2 && memcmp(path, "..", 2) == 0)
			return NULL;
		if (part > 0 && !(part == 1 && path[0] == '.')) {
			out[len++] = '/';
			memcpy(out + len, path, part);
			len += part;
		}
		path += part;
	}
	if (len == 0)
		out[len++] = '/';
	out[len] = '\0';
	return hr_steal(&out);
}

bool rt_path_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1) /* "/" */
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The default target of a source: its normal form, through the file system only if it has "..". */
static char *target_of(const char *src)
{
	char *normal = rt_path_normal(src);

	return normal ? normal : realpath(src, NULL);
}

static int check_mode(const char *mode, bool *ro)
{
	if (!mode || strcmp(mode, "rw") == 0)
		*ro = false;
	else if (strcmp(mode, "ro") == 0)
		*ro = true;
	else
		return -1;
	return 0;
}

int rt_bind_parse(struct rt_binds *l, const char *spec, const char *cwd, struct hr_err *e)
{
	hr_autofree char *copy = hr_xstrdup(spec);
	hr_autofree char *src = NULL;
	hr_autofree char *dst = NULL;
	char *to = strchr(copy, ':');
	char *mode = to ? strchr(to + 1, ':') : NULL;
	bool ro = false;

	if (to)
		*to++ = '\0';
	if (mode)
		*mode++ = '\0';
	if (copy[0] == '\0')
		return hr_fail(e, HR_USAGE, 0, "bind '%s' names no source", spec);
	if (check_mode(mode, &ro) < 0) {
		hr_fail(e, HR_USAGE, 0, "bind '%s': '%s' is neither ro nor rw", spec, mode);
		hr_hint(e, FORM_HINT);
		return -1;
	}
	src = copy[0] == '/' ? hr_xstrdup(copy) : hr_xasprintf("%s/%s", cwd, copy);
	dst = to && to[0] ? rt_path_normal(to) : target_of(src);
	if (!dst && to && to[0]) {
		hr_hint(e, FORM_HINT);
		return hr_fail(e, HR_USAGE, 0,
			       "bind '%s': target '%s' is not an absolute path without '..'", spec,
			       to);
	}
	if (!dst)
		return hr_fail(e, HR_USAGE, 0, "bind '%s': source '%s' does not exist", spec, src);
	if (strcmp(dst, "/") == 0)
		return hr_fail(e, HR_USAGE, 0, "bind '%s': the root of the image cannot be covered",
			       spec);
	rt_binds_add(l, src, dst, ro, false);
	return 0;
}

static size_t depth(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

static void drop_covered(struct rt_binds *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		bool again = false;

		for (size_t j = i + 1; j < l->n && !again; j++)
			again = strcmp(l->v[i].dst, l->v[j].dst) == 0;
		if (again)
			bind_release(&l->v[i]);
		else
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
}

void rt_binds_order(struct rt_binds *l)
{
	drop_covered(l);
	/* insertion sort: stable, and the lists are a dozen long */
	for (size_t i = 1; i < l->n; i++) {
		struct rt_bind b = l->v[i];
		size_t d = depth(b.dst), j = i;

		for (; j > 0 && depth(l->v[j - 1].dst) > d; j--)
			l->v[j] = l->v[j - 1];
		l->v[j] = b;
	}
}

int rt_binds_below(const struct rt_binds *l, size_t i)
{
	int below = -1;

	for (size_t j = 0; j < i; j++) /* the deepest comes last */
		if (rt_path_within(l->v[i].dst, l->v[j].dst))
			below = (int)j;
	return below;
}

/* What an image brings itself; a host directory there would hide it. */
static const char *const system_trees[] = { "/usr",   "/etc",	"/bin",	   "/sbin", "/lib",
					    "/lib32", "/lib64", "/libx32", "/proc", "/sys",
					    "/dev",   "/boot",	"/run",	   "/var" };
static const char *const system_dirs[] = { "/", "/opt", "/mnt", "/srv", "/home", "/media" };

bool rt_bind_wants_cwd(const char *cwd, const struct rt_binds *l)
{
	for (size_t i = 0; i < HR_COUNT(system_dirs); i++)
		if (strcmp(cwd, system_dirs[i]) == 0)
			return false;
	for (size_t i = 0; i < HR_COUNT(system_trees); i++)
		if (rt_path_within(cwd, system_trees[i]) && !rt_path_within(cwd, "/var/tmp"))
			return false;
	for (size_t i = 0; i < l->n; i++)
		if (rt_path_within(cwd, l->v[i].dst) && strcmp(l->v[i].src, l->v[i].dst) == 0)
			return false;
	return true;
}

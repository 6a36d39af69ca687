/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/mount.h"
#include "runtime/path.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void add_strings(struct hr_strv *l, const struct hr_strv *from)
{
	for (size_t i = 0; i < from->n; i++) {
		size_t j = 0;

		while (j < l->n && strcmp(l->v[j], from->v[i]) != 0)
			j++;
		if (j == l->n)
			hr_strv_add(l, from->v[i]);
	}
}

struct rt_inject_item *rt_inject_file(struct rt_inject *in, const char *src)
{
	for (size_t i = 0; i < in->n; i++)
		if (strcmp(in->v[i].src, src) == 0)
			return &in->v[i];
	in->v = hr_xrealloc(in->v, (in->n + 1) * sizeof(*in->v));
	in->v[in->n] = (struct rt_inject_item) { .src = hr_xstrdup(src) };
	return &in->v[in->n++];
}

void rt_inject_add(struct rt_inject *in, const struct rt_closure *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct rt_inject_item *item;

		if (c->v[i].verdict != RT_LIB_HOST || c->v[i].bound)
			continue;
		item = rt_inject_file(in, c->v[i].lib.path);
		add_strings(&item->names, &c->v[i].names);
		add_strings(&item->covers, &c->v[i].covers);
	}
}

void rt_inject_release(struct rt_inject *in)
{
	for (size_t i = 0; i < in->n; i++) {
		free(in->v[i].src);
		hr_strv_release(&in->v[i].names);
		hr_strv_release(&in->v[i].covers);
	}
	free(in->v);
	memset(in, 0, sizeof(*in));
}

/* A directory with an empty file for each name, to mount on. */
static int make_dir(const struct rt_inject *in, int scratch, struct hr_err *e)
{
	hr_autofd int dir = -1;

	if (mkdirat(scratch, "lib", 0755) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a directory for libraries");
	dir = openat(scratch, "lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fchmod(dir, 0755) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open the directory for libraries");
	for (size_t i = 0; i < in->n; i++) {
		for (size_t j = 0; j < in->v[i].names.n; j++) {
			hr_autofd int fd = openat(dir, in->v[i].names.v[j],
						  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

			if (fd < 0 && errno != EEXIST)
				return hr_fail(e, HR_SYS, errno, "cannot make file '%s'",
					       in->v[i].names.v[j]);
		}
	}
	return 0;
}

static int bind_tree(int tree, int root, const char *target, struct hr_err *e)
{
	hr_autofd int at = rt_path_open(root, target, O_PATH, e);

	if (tree < 0 || at < 0 || rt_mount_set_readonly(tree, e) < 0)
		return -1;
	return rt_mount_attach(tree, at, e);
}

static int bind_file(const char *src, int root, const char *target, struct hr_err *e)
{
	hr_autofd int tree = rt_mount_clone(src, e);

	if (tree < 0 || bind_tree(tree, root, target, e) < 0)
		return hr_wrap(e, "cannot bind '%s' at '%s'", src, target);
	return 0;
}

static int bind_item(const struct rt_inject_item *item, int root, struct hr_err *e)
{
	for (size_t i = 0; i < item->names.n; i++) {
		hr_autofree char *target = hr_xasprintf("%s/%s", RT_INJECT_DIR, item->names.v[i]);

		if (bind_file(item->src, root, target, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < item->covers.n; i++)
		if (bind_file(item->src, root, item->covers.v[i], e) < 0)
			return -1;
	return 0;
}

int rt_inject_apply(const struct rt_inject *in, int scratch, int root, struct hr_err *e)
{
	hr_autofd int dir = -1;

	if (in->n == 0)
		return 0;
	if (make_dir(in, scratch, e) < 0)
		return -1;
	dir = rt_mount_clone_at(scratch, "lib", e);
	if (dir < 0 || bind_tree(dir, root, RT_INJECT_DIR, e) < 0)
		return hr_wrap(e, "cannot provide '%s'", RT_INJECT_DIR);
	for (size_t i = 0; i < in->n; i++)
		if (bind_item(&in->v[i], root, e) < 0)
			return -1;
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/closure.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/poison.h"

#define LIBRARIES_MAX 512 /* no program loads as many; a loop of ours would */

/* The parts of the GNU C library, as prefixes of sonames: they share private data, so that all come
 * from one build or the process dies. */
static const char *const glibc_names[] = {
	"ld-linux",	"ld64.so.",    "ld.so.",	 "libc.so.",
	"libm.so.",	"libmvec.so.", "libpthread.so.", "libdl.so.",
	"librt.so.",	"libutil.so.", "libresolv.so.",	 "libnsl.so.1",
	"libanl.so.",	"libnss_",     "libthread_db.",	 "libBrokenLocale.so.",
	"libc_malloc_",
};

static bool is_glibc(const char *name)
{
	for (size_t i = 0; i < HR_COUNT(glibc_names); i++)
		if (strncmp(name, glibc_names[i], strlen(glibc_names[i])) == 0)
			return true;
	return false;
}

static void add_string(struct hr_strv *l, const char *s)
{
	if (!hr_strv_has(l, s))
		hr_strv_add(l, s);
}

static struct rt_closure_lib *by_name(const struct rt_closure *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (hr_strv_has(&c->v[i].names, name))
			return &c->v[i];
	return NULL;
}

static struct rt_closure_lib *by_file(const struct rt_closure *c, const struct rt_lib *lib)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->v[i].glibc && c->v[i].lib.dev == lib->dev && c->v[i].lib.ino == lib->ino)
			return &c->v[i];
	return NULL;
}

/* Takes *LIB. The file may be known under another name. */
static struct rt_closure_lib *append(struct rt_closure *c, struct rt_lib *lib, const char *name,
				     bool glibc)
{
	struct rt_closure_lib *l = glibc ? NULL : by_file(c, lib);

	if (l) {
		rt_lib_release(lib);
	} else {
		c->v = hr_xrealloc(c->v, (c->n + 1) * sizeof(*c->v));
		l = &c->v[c->n++];
		*l = (struct rt_closure_lib) { .lib = *lib, .glibc = glibc };
		memset(lib, 0, sizeof(*lib));
		if (l->lib.elf.soname && !strchr(l->lib.elf.soname, '/'))
			add_string(&l->names, l->lib.elf.soname);
	}
	add_string(&l->names, name);
	return l;
}

static const char *label_of(const struct rt_closure_lib *l)
{
	return l->lib.file ? l->lib.file : l->names.v[0];
}

/* Look one needed name up on the host. */
static int add_needed(struct rt_closure *c, struct rt_libtree *host, size_t from, const char *name,
		      struct hr_err *e)
{
	struct rt_closure_lib *l = by_name(c, name);
	struct rt_lib lib = { 0 };
	int r;

	if (!l && is_glibc(name)) {
		l = append(c, &lib, name, true);
	} else if (!l) {
		if (c->n >= LIBRARIES_MAX)
			return hr_fail(e, HR_CORRUPT, 0, "'%s' needs more than %d libraries",
				       label_of(&c->v[0]), LIBRARIES_MAX);
		r = rt_libtree_find_for(host, &c->v[from].lib, name, &lib, e);
		if (r < 0)
			return -1;
		if (r == 0)
			return hr_fail(e, HR_NOTFOUND, 0,
				       "library '%s', which '%s' needs, is not on the host", name,
				       c->v[from].lib.path);
		l = append(c, &lib, name, false);
	}
	l->bound = false; /* a module by the place it has, too, but asked for by its name */
	add_string(&l->wanted_by, label_of(&c->v[from]));
	return 0;
}

static int add_all_needed(struct rt_closure *c, struct rt_libtree *host, size_t first,
			  struct hr_err *e)
{
	for (size_t i = first; i < c->n; i++)
		for (size_t j = 0; !c->v[i].glibc && j < c->v[i].lib.elf.needed.n; j++)
			if (add_needed(c, host, i, c->v[i].lib.elf.needed.v[j], e) < 0)
				return -1;
	return 0;
}

static void lib_release(struct rt_closure_lib *l)
{
	rt_lib_release(&l->lib);
	hr_strv_release(&l->names);
	hr_strv_release(&l->covers);
	hr_strv_release(&l->wanted_by);
}

const struct rt_closure_lib *rt_closure_find(const struct rt_closure *c, const char *name)
{
	return by_name(c, name);
}

int rt_closure_add(struct rt_closure *c, struct rt_libtree *host, const char *name,
		   const char *const *names, unsigned int flags, struct hr_err *e)
{
	const struct rt_elf *like = NULL;
	const char *slash;
	size_t first = c->n;
	struct rt_closure_lib *l;
	struct rt_lib lib;
	int r;

	for (size_t i = 0; i < c->n && !like; i++)
		like = c->v[i].glibc ? NULL : &c->v[i].lib.elf;
	r = name[0] == '/' ? rt_libtree_at(host, name, like, &lib, e)
			   : rt_libtree_find(host, name, like, &lib, e);
	if (r < 0)
		return -1;
	if (r == 0)
		return hr_fail(e, HR_NOTFOUND, 0, "library '%s' is not on the host", name);
	slash = strrchr(name, '/');
	l = append(c, &lib, slash ? slash + 1 : name, false);
	l->root = true;
	l->forced = l->forced || (flags & RT_CLOSURE_FORCED);
	if (c->n > first)
		l->bound = flags & RT_CLOSURE_BOUND;
	for (; names && *names; names++)
		add_string(&l->names, *names);
	if (add_all_needed(c, host, first, e) == 0)
		return 0;
	while (c->n > first)
		lib_release(&c->v[--c->n]);
	return -1;
}

void rt_closure_release(struct rt_closure *c)
{
	for (size_t i = 0; i < c->n; i++)
		lib_release(&c->v[i]);
	free(c->v);
	hr_strv_release(&c->misfits);
	memset(c, 0, sizeof(*c));
}

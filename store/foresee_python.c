/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/foresee_python.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/foresee_view.h"
#include "store/python.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define QUEUE	   8192 /* modules that were not looked at; what comes while it is full is not */
#define TOPS	   16	/* directories in which modules are looked for */
#define DEPTH	   64	/* of packages in packages */
#define PATH_BYTES (2 * STORE_NAME_MAX + 64)
#define NONE	   0xffffffffu /* no directory */

#define CACHE	      "__pycache__" /* PEP 3147: of m.py this has m.TAG.pyc */
#define INIT	      "__init__"    /* the module that makes a directory a package */
#define MODULE_END    ".pyc"
#define LIBRARY_END   ".so"
#define LIBRARIES_DIR "lib-dynload" /* beside the modules that come with the interpreter */

/* Where a directory of modules has others that are looked in as well. */
static const char *const more_tops[] = { LIBRARIES_DIR, "site-packages", "dist-packages" };

/* A compiled module. */
struct module {
	uint32_t ino;
	uint32_t dir;	 /* where its source is: of the package itself, or of its modules */
	const char *end; /* of its name, from the first dot on; borrowed from the index */
};

struct store_foresee_python {
	struct store_foresee_view view; /* bytes are read by the thread alone */
	struct store_foresee *libraries;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct module queue[QUEUE]; /* a ring: N from FIRST on */
	size_t first, n;
	uint8_t *known; /* by inode: was in the queue */

	/* the thread's own */
	uint32_t tops[TOPS];
	size_t n_tops;
	uint8_t *file; /* STORE_PYTHON_MAX bytes */
};

/* ---- asked from outside ---- */

static void push(struct store_foresee_python *p, const struct module *m)
{
	pthread_mutex_lock(&p->lock);
	if (!p->known[m->ino] && p->n < QUEUE) {
		p->known[m->ino] = 1;
		p->queue[(p->first + p->n++) % QUEUE] = *m;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
}

/* The first entry of a directory that is not before NAME; false: there is none. */
static bool first_from(const struct store_index *ix, const struct store_inode *dir,
		       const char *name, size_t len, uint32_t *i)
{
	uint32_t low = 0, high = dir->count;
	struct store_entry entry;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (!store_index_entry(ix, dir, middle, &entry))
			return false;
		if (store_index_name_cmp(entry.name.p, entry.name.len, name, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*i = low;
	return low < dir->count;
}

static bool has_end(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n >= k && strcmp(name + n - k, end) == 0;
}

void store_foresee_python_found(struct store_foresee_python *p, uint32_t dir, const char *name)
{
	struct store_inode cache, file;
	struct store_entry entry;
	uint32_t i;

	if (!p || !has_end(name, MODULE_END) || !store_index_inode(p->view.ix, dir, &cache) ||
	    !S_ISDIR(cache.mode) || !first_from(p->view.ix, &cache, name, strlen(name), &i) ||
	    !store_index_entry(p->view.ix, &cache, i, &entry) || strcmp(entry.name.p, name) != 0 ||
	    !store_index_inode(p->view.ix, entry.ino, &file) || !S_ISREG(file.mode))
		return;
	push(p, &(struct module) { entry.ino, cache.parent, strchr(entry.name.p, '.') });
}

/* ---- reading and fetching ---- */

static void fetch(const struct store_foresee_python *p, const struct store_foresee_list *l)
{
	store_foresee_fetch(&p->view, l, l->n);
}

/* All of a file, waiting for it; false when it cannot be had. */
static bool read_file(struct store_foresee_python *p, const struct store_inode *file)
{
	return file->size <= STORE_PYTHON_MAX &&
	       store_foresee_read(&p->view, file, 0, p->file, (size_t)file->size);
}

/* ---- where modules are ---- */

/* The directory NAME in DIR, or NONE. */
static uint32_t find_dir(const struct store_foresee_python *p, uint32_t dir, const char *name)
{
	struct store_inode inode;
	uint32_t ino;

	return store_index_find_in(p->view.ix, dir, name, &ino, &inode) && S_ISDIR(inode.mode)
		       ? ino
		       : NONE;
}

/* False: it is known, or there is no room. */
static bool add_top(struct store_foresee_python *p, uint32_t dir)
{
	for (size_t i = 0; i < p->n_tops; i++)
		if (p->tops[i] == dir)
			return false;
	if (p->n_tops == TOPS)
		return false;
	p->tops[p->n_tops++] = dir;
	return true;
}

/* The compiled modules of DIR. */
static void fetch_all(const struct store_foresee_python *p, uint32_t dir)
{
	struct store_foresee_list l = { .n = 0 };
	struct store_inode cache, file;
	struct store_entry entry;
	uint32_t ino;

	if (!store_index_find_in(p->view.ix, dir, CACHE, &ino, &cache))
		return;
	for (uint32_t i = 0; store_index_entry(p->view.ix, &cache, i, &entry); i++)
		if (store_index_inode(p->view.ix, entry.ino, &file) && S_ISREG(file.mode))
			store_foresee_add(&p->view, &l, &file, 0, file.size);
	fetch(p, &l);
}

/* The directory that is so many LEVELS over DIR; over the root is the root. */
static uint32_t over(const struct store_foresee_python *p, uint32_t dir, uint32_t levels)
{
	struct store_inode inode;

	for (uint32_t i = 0; i < levels && i < DEPTH && dir != 0; i++)
		dir = store_index_inode(p->view.ix, dir, &inode) ? inode.parent : 0;
	return dir;
}

/*
 * An interpreter has found M, so it looks where the outermost package around it is. What comes with
 * it is wanted by everybody, and part of that before any module says so: all of it is fetched.
 */
static void learn_tops(struct store_foresee_python *p, const struct module *m)
{
	uint32_t dir = m->dir, other;
	struct store_inode inode;
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), CACHE "/" INIT "%s", m->end);
	for (unsigned int i = 0;
	     i < DEPTH && dir != 0 && store_index_find_in(p->view.ix, dir, path, &other, &inode);
	     i++)
		dir = over(p, dir, 1);
	if (!add_top(p, dir))
		return;
	for (size_t i = 0; i < HR_COUNT(more_tops); i++)
		if ((other = find_dir(p, dir, more_tops[i])) != NONE)
			(void)add_top(p, other);
	if (find_dir(p, dir, LIBRARIES_DIR) != NONE)
		fetch_all(p, dir);
}

/* ---- what a module imports ---- */

/* While M is looked at. */
struct look {
	struct store_foresee_python *p;
	const struct module *m;
	struct store_foresee_list list;
	uint32_t package; /* what the statement that is looked at imports from, or NONE */
};

/* The compiled module at PATH in DIR, of which the source is in SOURCE_DIR. */
static bool take_module(struct look *k, uint32_t dir, const char *path, uint32_t source_dir)
{
	struct store_inode file;
	uint32_t ino;

	if (!store_index_find_in(k->p->view.ix, dir, path, &ino, &file) || !S_ISREG(file.mode))
		return false;
	store_foresee_add(&k->p->view, &k->list, &file, 0, file.size);
	push(k->p, &(struct module) { ino, source_dir, k->m->end });
	return true;
}

/* The module that is the library NAME.so in DIR, or one with words in between. */
static bool take_library(struct look *k, uint32_t dir, const char *name)
{
	const struct store_index *ix = k->p->view.ix;
	size_t len = strlen(name);
	struct store_inode in, file;
	struct store_entry entry;
	uint32_t i, ino;

	if (!store_index_inode(ix, dir, &in) || !first_from(ix, &in, name, len, &i))
		return false;
	for (; store_index_entry(ix, &in, i, &entry) && strncmp(entry.name.p, name, len) == 0;
	     i++) {
		if (entry.name.p[len] != '.' || !has_end(entry.name.p, LIBRARY_END) ||
		    !store_index_find_in(ix, dir, entry.name.p, &ino, &file) || !S_ISREG(file.mode))
			continue;
		store_foresee_add(&k->p->view, &k->list, &file, 0, 1);
		store_foresee_loaded(k->p->libraries, ino);
		return true;
	}
	return false;
}

/*
 * The module of the LEN bytes at NAME in DIR, in the order in which an interpreter looks. *package
 * is its directory, NONE when it is no package; that of a module that is not there may be one of
 * packages (PEP 420).
 */
static bool take(struct look *k, uint32_t dir, const char *name, size_t len, uint32_t *package)
{
	char word[STORE_NAME_MAX + 1], path[PATH_BYTES];

	*package = NONE;
	if (len == 0 || len > STORE_NAME_MAX || memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	memcpy(word, name, len);
	word[len] = '\0';
	*package = find_dir(k->p, dir, word);
	snprintf(path, sizeof(path), CACHE "/" INIT "%s", k->m->end);
	if (*package != NONE && take_module(k, *package, path, *package))
		return true;
	snprintf(path, sizeof(path), CACHE "/%s%s", word, k->m->end);
	if (!take_module(k, dir, path, dir) && !take_library(k, dir, word))
		return false;
	*package = NONE;
	return true;
}

/*
 * The module of the LEN bytes at NAME, with dots in it, and the packages that it is in; k->package
 * is its directory or NONE. False: there is no such module in DIR.
 */
static bool take_all(struct look *k, uint32_t dir, const char *name, size_t len)
{
	bool any = false;

	k->package = len <= STORE_NAME_MAX ? dir : NONE;
	while (len > 0 && k->package != NONE) {
		const char *dot = memchr(name, '.', len);
		size_t part = dot ? (size_t)(dot - name) : len;

		any = take(k, k->package, name, part, &k->package) || any;
		part += dot != NULL;
		name += part;
		len -= part;
	}
	return any;
}

static void note_import(void *arg, const struct store_python_import *import)
{
	struct look *k = arg;
	struct store_foresee_python *p = k->p;
	uint32_t package;

	if (import->name_len > 0) {
		if (k->package != NONE)
			(void)take(k, k->package, import->name, import->name_len, &package);
	} else if (import->level > 0) {
		(void)take_all(k, over(p, k->m->dir, import->level - 1), import->module,
			       import->module_len);
	} else {
		for (size_t i = 0; i < p->n_tops; i++)
			if (take_all(k, p->tops[i], import->module, import->module_len))
				return;
	}
}

static void look_at(struct store_foresee_python *p, const struct module *m)
{
	struct look k = { .p = p, .m = m, .package = NONE };
	struct store_inode file;

	learn_tops(p, m);
	if (!store_index_inode(p->view.ix, m->ino, &file) || !read_file(p, &file))
		return;
	if (!store_python_imports(p->file, (size_t)file.size, note_import, &k))
		fetch_all(p, m->dir); /* who imports one of them imports others */
	fetch(p, &k.list);
}

/* ---- the thread ---- */

static void *run(void *arg)
{
	struct store_foresee_python *p = arg;

	for (;;) {
		struct module m;

		pthread_mutex_lock(&p->lock);
		while (p->n == 0)
			pthread_cond_wait(&p->wake, &p->lock);
		m = p->queue[p->first];
		p->first = (p->first + 1) % QUEUE;
		p->n--;
		pthread_mutex_unlock(&p->lock);
		look_at(p, &m);
	}
	return NULL;
}

struct store_foresee_python *store_foresee_python_start(const struct store_index *ix,
							const struct store_foresee_source *from,
							struct store_foresee *libraries)
{
	struct store_foresee_python *p = hr_xmalloc(sizeof(*p));
	pthread_t thread;

	store_foresee_view_init(&p->view, ix, from);
	p->libraries = libraries;
	p->known = hr_xmalloc(store_index_inodes(ix));
	p->file = hr_xmalloc(STORE_PYTHON_MAX);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (pthread_create(&thread, NULL, run, p) != 0) {
		hr_debug("no modules of Python are foreseen: there is no thread for it");
		free(p->known);
		store_foresee_view_release(&p->view);
		free(p->file);
		free(p);
		return NULL;
	}
	pthread_detach(thread);
	return p;
}

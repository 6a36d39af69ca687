/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/foresee.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/elf_code.h"
#include "store/foresee_python.h"
#include "store/foresee_view.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define DIRS	      32   /* in which libraries are looked for */
#define QUEUE	      4096 /* what comes while it is full is not foreseen */
#define NAME_BYTES    256
#define PROGRAM_BYTES (8u << 20)   /* of the program: what is used of it is spread over it */
#define TABLES_BYTES  (1u << 20)   /* of a segment that may hold more than tables */
#define CODE_BYTES    (256u << 10) /* where constructors lie, and what they begin with */
#define INIT_BYTES    (64u << 10)  /* of the list of constructors */
#define FUNCTION_MAX  (16u << 10)  /* of one: what it refers to is looked for up to here */
#define FUNCTION_FEW  (1u << 10)   /* most are shorter */
#define PLACES	      16384	   /* that the constructors of a library refer to */
/* A fault makes the kernel read so much on both sides; or, of code, twice as much behind:
 * Linux 6.18, do_sync_mmap_readahead(). */
#define AROUND (64u << 10)

/* Where most systems keep theirs, until the program has looked somewhere. */
static const char *const library_dirs[] = { "lib/x86_64-linux-gnu",
					    "usr/lib/x86_64-linux-gnu",
					    "lib/aarch64-linux-gnu",
					    "usr/lib/aarch64-linux-gnu",
					    "lib64",
					    "usr/lib64",
					    "lib",
					    "usr/lib" };

/* What is to be looked at: of an ELF file first the headers, then the dynamic section; when nothing
 * else is, what the constructors refer to. */
enum what { HEADERS, DYNAMIC, CONSTRUCTORS };

struct item {
	enum what what;
	uint32_t ino;
	struct store_elf *elf;	    /* of DYNAMIC and CONSTRUCTORS */
	struct store_elf_part init; /* of CONSTRUCTORS */
};

/* First in, first out. */
struct queue {
	struct item v[QUEUE]; /* a ring: N from FIRST on */
	size_t first, n;
};

struct store_foresee {
	struct store_foresee_view view;	     /* bytes are read by the thread alone */
	struct store_foresee_python *python; /* or NULL */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct queue now, last;
	uint8_t *known; /* by inode: was in the queue */
	uint32_t dirs[DIRS];
	size_t n_dirs;
};

/* ---- asked from outside ---- */

/* With the lock held; false when there is no room. */
static bool push(struct store_foresee *f, struct queue *q, const struct item *item)
{
	if (q->n == QUEUE)
		return false;
	q->v[(q->first + q->n++) % QUEUE] = *item;
	pthread_cond_signal(&f->wake);
	return true;
}

/* With the lock held. */
static struct item pop(struct queue *q)
{
	struct item item = q->v[q->first];

	q->first = (q->first + 1) % QUEUE;
	q->n--;
	return item;
}

static void push_once(struct store_foresee *f, enum what what, uint32_t ino)
{
	const struct item item = { .what = what, .ino = ino };

	if (!f || ino >= store_index_inodes(f->view.ix))
		return;
	pthread_mutex_lock(&f->lock);
	if (!f->known[ino])
		f->known[ino] = push(f, &f->now, &item);
	pthread_mutex_unlock(&f->lock);
}

void store_foresee_loaded(struct store_foresee *f, uint32_t ino)
{
	push_once(f, HEADERS, ino);
}

static void add_dir(struct store_foresee *f, uint32_t dir)
{
	size_t i = 0;

	if (dir >= store_index_inodes(f->view.ix))
		return;
	pthread_mutex_lock(&f->lock);
	while (i < f->n_dirs && f->dirs[i] != dir)
		i++;
	if (i == f->n_dirs && i < DIRS)
		f->dirs[f->n_dirs++] = dir;
	pthread_mutex_unlock(&f->lock);
}

void store_foresee_found(struct store_foresee *f, uint32_t dir, const char *name)
{
	if (!f)
		return;
	if (strstr(name, ".so"))
		add_dir(f, dir);
	store_foresee_python_found(f->python, dir, name);
}

/* ---- reading and fetching ---- */

static void add(const struct store_foresee *f, struct store_foresee_list *l,
		const struct store_inode *file, struct store_elf_part part)
{
	store_foresee_add(&f->view, l, file, part.off, part.len);
}

static struct store_elf_part first_of(struct store_elf_part part, uint64_t len)
{
	return (struct store_elf_part) { part.off, part.len < len ? part.len : len };
}

static struct store_elf_part end_of(struct store_elf_part part)
{
	return (struct store_elf_part) { part.off + part.len - (part.len > 0), part.len > 0 };
}

/* What the kernel reads of a mapped FILE when the bytes of PART are touched. */
static struct store_elf_part around(const struct store_inode *file, struct store_elf_part part)
{
	uint64_t before = part.off < AROUND ? part.off : AROUND,
		 behind = file->size - part.off - part.len;

	if (part.len == 0)
		return part;
	return (struct store_elf_part) { part.off - before,
					 before + part.len + (behind < AROUND ? behind : AROUND) };
}

/* The same for a place in it. */
static struct store_elf_part around_place(const struct store_inode *file,
					  const struct store_elf *elf, uint64_t off)
{
	uint64_t left = store_elf_in_code(elf, off) ? elf->code.off + elf->code.len - off : 1;

	return around(file, (struct store_elf_part) { off, left < AROUND ? left : AROUND });
}

static bool open_file(const struct store_foresee *f, uint32_t ino, struct store_inode *file)
{
	return store_index_inode(f->view.ix, ino, file) && S_ISREG(file->mode);
}

/* ---- programs and libraries ---- */

void store_foresee_program(struct store_foresee *f, const char *program)
{
	struct store_foresee_list l = { .n = 0 };
	struct store_inode file;
	uint32_t ino;

	if (!f || !store_index_find_program(f->view.ix, program, &ino, &file))
		return;
	add(f, &l, &file, (struct store_elf_part) { 0, 1 });
	add(f, &l, &file, first_of((struct store_elf_part) { 0, file.size }, PROGRAM_BYTES));
	store_foresee_fetch(&f->view, &l, 1);
	store_foresee_loaded(f, ino);
}

/* Put ITEM with *ELF, which it takes, in a queue. */
static void look_on(struct store_foresee *f, struct queue *q, const struct item *item,
		    struct store_elf **elf)
{
	struct item more = *item;

	more.elf = *elf;
	pthread_mutex_lock(&f->lock);
	if (push(f, q, &more))
		*elf = NULL;
	pthread_mutex_unlock(&f->lock);
}

static void look_at_headers(struct store_foresee *f, uint32_t ino)
{
	hr_autofree struct store_elf *elf = hr_xmalloc(sizeof(*elf));
	uint8_t head[STORE_ELF_HEAD];
	struct store_foresee_list l = { .n = 0 };
	struct store_elf_part end;
	struct store_inode file;
	size_t n;

	if (!open_file(f, ino, &file))
		return;
	n = file.size < sizeof(head) ? (size_t)file.size : sizeof(head);
	if (!store_foresee_read(&f->view, &file, 0, head, n) ||
	    !store_elf_parse(head, n, file.size, elf))
		return;
	/* when it maps a library, a loader clears what lies behind its data */
	add(f, &l, &file, elf->dynamic);
	end = around(&file, end_of(elf->data));
	add(f, &l, &file, end);
	add(f, &l, &file, first_of(elf->tables, TABLES_BYTES));
	n = l.n;
	/* what was read with that makes no fault */
	add(f, &l, &file, elf->relro.off < end.off ? around(&file, elf->relro) : elf->relro);
	add(f, &l, &file, first_of(elf->code, CODE_BYTES));
	add(f, &l, &file, end_of(elf->code));
	store_foresee_fetch(&f->view, &l, n);
	if (elf->dynamic.len > 0)
		look_on(f, &f->now, &(struct item) { .what = DYNAMIC, .ino = ino }, &elf);
}

/* A library by its name, in the directories where others were found: the beginning goes to L. */
static void find_library(struct store_foresee *f, const char *name, struct store_foresee_list *l)
{
	uint32_t dirs[DIRS], ino;
	struct store_inode file;
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = f->n_dirs;
	memcpy(dirs, f->dirs, n * sizeof(dirs[0]));
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < n; i++) {
		if (!store_index_find_in(f->view.ix, dirs[i], name, &ino, &file) ||
		    !S_ISREG(file.mode))
			continue;
		add(f, l, &file, (struct store_elf_part) { 0, 1 });
		store_foresee_loaded(f, ino);
		return;
	}
}

/* *ELF is taken when there is more to look at. */
static void look_at_dynamic(struct store_foresee *f, uint32_t ino, struct store_elf **elf)
{
	struct store_elf_part part = first_of((*elf)->dynamic, STORE_ELF_DYNAMIC);
	hr_autofree uint8_t *section = hr_xmalloc((size_t)part.len);
	struct store_foresee_list l = { .n = 0 };
	struct store_elf_dynamic d;
	struct store_inode file;
	size_t n;

	if (!open_file(f, ino, &file) ||
	    !store_foresee_read(&f->view, &file, part.off, section, (size_t)part.len))
		return;
	store_elf_dynamic_parse(*elf, section, (size_t)part.len, &d);
	for (size_t i = 0; i < d.n_needed; i++) {
		uint64_t left = d.strings.off + d.strings.len - d.needed[i];
		char name[NAME_BYTES];
		size_t len = left < sizeof(name) ? (size_t)left : sizeof(name);

		if (store_foresee_read(&f->view, &file, d.needed[i], (uint8_t *)name, len) &&
		    memchr(name, '\0', len) && name[0] != '\0' && !strchr(name, '/'))
			find_library(f, name, &l);
	}
	n = l.n;
	add(f, &l, &file, d.strings);
	for (size_t i = 0; i < HR_COUNT(d.tables); i++)
		add(f, &l, &file, d.tables[i]);
	store_foresee_fetch(&f->view, &l, n);
	if (d.init.len > 0 && (*elf)->code.len > CODE_BYTES)
		look_on(f, &f->last,
			&(struct item) { .what = CONSTRUCTORS, .ino = ino, .init = d.init }, elf);
}

/* ---- constructors ---- */

/* Places in a file. */
struct places {
	uint64_t at[PLACES];
	size_t n;
};

static void note_place(void *arg, uint64_t off)
{
	struct places *p = arg;

	if (p->n < PLACES)
		p->at[p->n++] = off;
}

/* The function at OFF, of MAX bytes at most, into CODE; returns how many of it could be had. */
static size_t read_function(struct store_foresee *f, const struct store_inode *file,
			    const struct store_elf *elf, uint64_t off, uint64_t max,
			    uint8_t code[FUNCTION_MAX])
{
	size_t n = max < FUNCTION_MAX ? (size_t)max : FUNCTION_MAX,
	       few = n < FUNCTION_FEW ? n : FUNCTION_FEW, len;

	if (!store_foresee_read(&f->view, file, off, code, few))
		return 0;
	len = store_elf_function_len(elf, off, code, few);
	if (len < few || few == n)
		return len;
	if (!store_foresee_read(&f->view, file, off + few, code + few, n - few))
		return few;
	return store_elf_function_len(elf, off, code, n);
}

/* Of the N functions that begin at the places AT: these, and what they refer to. */
static void find_refs(struct store_foresee *f, const struct store_inode *file,
		      const struct store_elf *elf, const uint64_t *at, size_t n, struct places *out)
{
	const struct store_elf_refs to = { note_place, out };
	hr_autofree uint8_t *code = hr_xmalloc(FUNCTION_MAX);
	uint64_t end = elf->code.off + elf->code.len;

	for (size_t i = 0; i < n; i++) {
		uint64_t off = at[i], next = i + 1 < n ? at[i + 1] : end;
		size_t len = read_function(f, file, elf, off, next - off, code);
		uint64_t tail = store_elf_tail(elf, off, code, len);

		if (len == 0 && next > off)
			return;
		note_place(out, off);
		store_elf_refs(elf, off, code, len, &to);
		if (tail == 0)
			continue;
		len = read_function(f, file, elf, tail, end - tail, code);
		store_elf_refs(elf, tail, code, len, &to);
	}
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What the kernel reads when the N places AT are touched. */
static void add_places(const struct store_foresee *f, struct store_foresee_list *l,
		       const struct store_inode *file, const struct store_elf *elf, uint64_t *at,
		       size_t n)
{
	uint64_t done = 0;

	qsort(at, n, sizeof(*at), by_place);
	for (size_t i = 0; i < n; i++) {
		struct store_elf_part part = around_place(file, elf, at[i]);
		uint64_t end = part.off + part.len;

		if (end <= done)
			continue;
		if (part.off < done)
			part.off = done;
		part.len = end - part.off;
		add(f, l, file, part);
		done = end;
	}
}

/*
 * Constructors lie side by side and are fetched with the library; what they refer to, by calls, as
 * destructors, as data, is spread over all of it, and each first touch is a wait.
 */
static void look_at_constructors(struct store_foresee *f, const struct item *item)
{
	struct store_elf_part init = first_of(item->init, INIT_BYTES);
	hr_autofree uint64_t *at = hr_xmalloc((size_t)init.len + sizeof(*at));
	hr_autofree uint8_t *list = hr_xmalloc((size_t)init.len);
	hr_autofree struct places *places = hr_xmalloc(sizeof(*places));
	struct store_foresee_list l = { .n = 0 };
	struct store_inode file;
	size_t n;

	if (!open_file(f, item->ino, &file) ||
	    !store_foresee_read(&f->view, &file, init.off, list, (size_t)init.len))
		return;
	n = store_elf_functions(item->elf, list, (size_t)init.len, at);
	find_refs(f, &file, item->elf, at, n, places);
	add_places(f, &l, &file, item->elf, places->at, places->n);
	store_foresee_fetch(&f->view, &l, 0);
}

/* ---- the thread ---- */

static void *run(void *arg)
{
	struct store_foresee *f = arg;

	for (;;) {
		struct item item;

		pthread_mutex_lock(&f->lock);
		while (f->now.n + f->last.n == 0)
			pthread_cond_wait(&f->wake, &f->lock);
		item = pop(f->now.n > 0 ? &f->now : &f->last);
		pthread_mutex_unlock(&f->lock);
		switch (item.what) {
		case HEADERS:
			look_at_headers(f, item.ino);
			break;
		case DYNAMIC:
			look_at_dynamic(f, item.ino, &item.elf);
			break;
		case CONSTRUCTORS:
			look_at_constructors(f, &item);
			break;
		}
		free(item.elf);
	}
	return NULL;
}

struct store_foresee *store_foresee_start(const struct store_index *ix,
					  const struct store_foresee_source *from)
{
	struct store_foresee *f = hr_xmalloc(sizeof(*f));
	struct store_inode dir;
	pthread_t thread;
	uint32_t ino;

	store_foresee_view_init(&f->view, ix, from);
	f->known = hr_xmalloc(store_index_inodes(ix));
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	for (size_t i = 0; i < HR_COUNT(library_dirs); i++)
		if (store_index_find_in(ix, 0, library_dirs[i], &ino, &dir) && S_ISDIR(dir.mode))
			add_dir(f, ino);
	if (pthread_create(&thread, NULL, run, f) != 0) {
		hr_debug("nothing is foreseen: there is no thread for it");
		free(f->known);
		store_foresee_view_release(&f->view);
		free(f);
		return NULL;
	}
	pthread_detach(thread);
	f->python = store_foresee_python_start(ix, from, f);
	return f;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Who provides each library of a closure, the host or an image, and whether that can work. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/closure.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define MISFITS_MAX 64 /* sentences; more help nobody */

/* The loaders of musl: where one is, programs have no use for what was built for glibc. */
static const char *const musl_loaders[] = {
	"/lib/ld-musl-x86_64.so.1",  "/lib/ld-musl-aarch64.so.1", "/lib/ld-musl-powerpc64le.so.1",
	"/lib/ld-musl-riscv64.so.1", "/lib/ld-musl-armhf.so.1",	  "/lib/ld-musl-i386.so.1",
};

/* The image's copy of a library of the closure, by the same index. */
struct copy {
	bool there;
	bool loaded; /* the loader finds it for a library of the host; else an RPATH is needed */
	struct rt_lib lib;
};

struct check {
	struct rt_closure *c;
	struct rt_libtree *host, *image;
	bool *decided;
	struct copy *copies;
	struct rt_elf_symbols *host_symbols; /* read when wanted */
	bool *has_symbols;
};

static void misfit(struct check *k, const char *fmt, ...) HR_PRINTF(2, 3);
static void misfit(struct check *k, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (k->c->misfits.n < MISFITS_MAX)
		hr_strv_add(&k->c->misfits, text);
}

static bool is_named(const struct rt_closure_lib *l, const char *name)
{
	for (size_t i = 0; i < l->names.n; i++)
		if (strcmp(l->names.v[i], name) == 0)
			return true;
	return false;
}

static size_t index_of(const struct rt_closure *c, const char *name)
{
	size_t i = 0;

	while (i < c->n && !is_named(&c->v[i], name))
		i++;
	return i;
}

/* Why the image has no libc.so.6 of the machine that LIKE is for. */
static int explain_libc(struct check *k, const struct rt_elf *like, struct hr_err *e)
{
	hr_autofree char *theirs = NULL, *ours = rt_elf_machine_text(like);
	struct rt_lib other;
	int r;

	for (size_t i = 0; i < HR_COUNT(musl_loaders); i++) {
		if (rt_libtree_has(k->image, musl_loaders[i])) {
			misfit(k,
			       "%s is built on the C library musl, the host's libraries need "
			       "the GNU C library",
			       rt_libtree_label(k->image));
			return 0;
		}
	}
	r = rt_libtree_find(k->image, "libc.so.6", NULL, &other, e);
	if (r < 0)
		return -1;
	if (r == 0) {
		misfit(k, "%s has no libc.so.6, which the host's libraries need",
		       rt_libtree_label(k->image));
		return 0;
	}
	theirs = rt_elf_machine_text(&other.elf);
	misfit(k, "%s is for %s, the host's libraries are for %s", rt_libtree_label(k->image),
	       theirs, ours);
	rt_lib_release(&other);
	return 0;
}

/* 1 when programs of the image are of the kind that the host's libraries are for. */
static int check_kind(struct check *k, const struct rt_elf *like, struct hr_err *e)
{
	struct rt_lib libc;
	int r = rt_libtree_find(k->image, "libc.so.6", like, &libc, e);

	if (r == 0)
		return explain_libc(k, like, e);
	if (r > 0)
		rt_lib_release(&libc);
	return r;
}

/* 1: of the names of L, one is there; what the loader finds goes before the rest. */
static int find_copy(struct check *k, const struct rt_closure_lib *l, const struct rt_elf *like,
		     struct copy *copy, struct hr_err *e)
{
	int r = 0;

	for (size_t j = 0; j < l->names.n && r == 0; j++)
		r = rt_libtree_find_loaded(k->image, l->names.v[j], like, &copy->lib, e);
	copy->loaded = r > 0;
	for (size_t j = 0; j < l->names.n && r == 0; j++)
		r = rt_libtree_find(k->image, l->names.v[j], like, &copy->lib, e);
	copy->there = r > 0;
	return r;
}

static int find_copies(struct check *k, const struct rt_elf *like, struct hr_err *e)
{
	for (size_t i = 0; i < k->c->n; i++)
		/* a module is not looked up by name, and there can be hundreds */
		if (!k->c->v[i].bound && find_copy(k, &k->c->v[i], like, &k->copies[i], e) < 0)
			return -1;
	return 0;
}

/* All versions that libraries of the closure want of library L are in COPY. */
static bool satisfies(const struct check *k, const struct rt_closure_lib *l,
		      const struct rt_elf *copy)
{
	for (size_t i = 0; i < k->c->n; i++) {
		const struct rt_elf *from = &k->c->v[i].lib.elf;

		for (size_t j = 0; j < from->n_needs; j++)
			if (is_named(l, from->needs[j].file) &&
			    !rt_elf_defines(copy, from->needs[j].version))
				return false;
	}
	return true;
}

static bool includes(const struct hr_strv *all, const struct rt_elf *of)
{
	struct rt_elf set = { .versions = *all };

	for (size_t i = 0; i < of->versions.n; i++)
		if (!rt_elf_defines(&set, of->versions.v[i]))
			return false;
	return true;
}

static int host_symbols(struct check *k, size_t i, struct hr_err *e)
{
	if (k->has_symbols[i])
		return 0;
	k->has_symbols[i] = true;
	return rt_libtree_symbols(k->host, &k->c->v[i].lib, &k->host_symbols[i], e);
}

/* Each of SOME, or of those among it that ONLY has too, is in ALL; both sorted. */
static bool all_in(const struct hr_strv *some, const struct hr_strv *only,
		   const struct hr_strv *all)
{
	for (size_t i = 0; i < some->n; i++)
		if ((!only || rt_elf_has(only, some->v[i])) && !rt_elf_has(all, some->v[i]))
			return false;
	return true;
}

static bool needs_library(const struct rt_elf *elf, const struct rt_closure_lib *l)
{
	for (size_t i = 0; i < elf->needed.n; i++)
		if (is_named(l, elf->needed.v[i]))
			return true;
	return false;
}

/* What satisfies() asks, for a library without versions: by the names of symbols. */
static int satisfies_by_symbol(struct check *k, size_t at, const struct rt_elf_symbols *copy,
			       bool *yes, struct hr_err *e)
{
	const struct hr_strv *ours = &k->host_symbols[at].defined;

	*yes = true;
	for (size_t i = 0; i < k->c->n && *yes; i++) {
		if (i == at || !needs_library(&k->c->v[i].lib.elf, &k->c->v[at]))
			continue;
		if (host_symbols(k, i, e) < 0)
			return -1;
		*yes = all_in(&k->host_symbols[i].wanted, ours, &copy->defined);
	}
	return 0;
}

static void set(struct rt_closure_lib *l, enum rt_closure_verdict verdict, const char *why)
{
	l->verdict = verdict;
	l->why = why;
}

static void neither(struct check *k, const struct rt_closure_lib *l, const struct rt_lib *copy)
{
	misfit(k, "both have '%s', the host %s and %s %s, and neither has all that the other has",
	       l->names.v[0], l->lib.file, rt_libtree_label(k->image), copy->file);
}

static const char out_of_reach[] = "the image's is in no directory that is always searched";

static int decide_by_symbol(struct check *k, size_t at, struct hr_err *e)
{
	struct rt_closure_lib *l = &k->c->v[at];
	const struct rt_lib *copy = &k->copies[at].lib;
	struct rt_elf_symbols theirs;
	bool yes = false;
	int r = rt_libtree_symbols(k->image, copy, &theirs, e);

	if (r == 0)
		r = host_symbols(k, at, e);
	if (r == 0)
		r = satisfies_by_symbol(k, at, &theirs, &yes, e);
	if (r == 0 && yes && k->copies[at].loaded) {
		set(l, RT_LIB_IMAGE, "has all symbols that are needed");
	} else if (r == 0) {
		set(l, RT_LIB_HOST,
		    yes ? out_of_reach : "the image's lacks symbols that are needed");
		if (!all_in(&theirs.defined, NULL, &k->host_symbols[at].defined))
			neither(k, l, copy);
	}
	rt_elf_symbols_release(&theirs);
	return r;
}

static int decide(struct check *k, size_t at, struct hr_err *e)
{
	struct rt_closure_lib *l = &k->c->v[at];
	const struct rt_lib *copy = &k->copies[at].lib;

	if (l->glibc)
		set(l, RT_LIB_IMAGE, "part of the C library");
	else if (l->bound)
		set(l, RT_LIB_HOST, "in a directory of modules");
	else if (l->forced)
		set(l, RT_LIB_HOST, "named by the definition");
	else if (!k->copies[at].there)
		set(l, RT_LIB_HOST, "the image has none");
	else if (copy->dev == l->lib.dev && copy->ino == l->lib.ino)
		set(l, RT_LIB_IMAGE, "it is the same file");
	else if (copy->elf.versions.n == 0 && l->lib.elf.versions.n == 0)
		return decide_by_symbol(k, at, e);
	else if (satisfies(k, l, &copy->elf) && k->copies[at].loaded)
		set(l, RT_LIB_IMAGE, "has all versions that are needed");
	else {
		set(l, RT_LIB_HOST,
		    k->copies[at].loaded ? "the image's lacks versions that are needed"
					 : out_of_reach);
		if (!includes(&l->lib.elf.versions, &copy->elf))
			neither(k, l, copy);
	}
	return 0;
}

/* From what was named to what is needed, as far as the host provides it. */
static int decide_reached(struct check *k, struct hr_err *e)
{
	hr_autofree size_t *queue = hr_xmalloc(k->c->n * sizeof(*queue));
	size_t n = 0;

	for (size_t i = 0; i < k->c->n; i++) {
		set(&k->c->v[i], RT_LIB_UNUSED, "only libraries that the image provides need it");
		if (k->c->v[i].root)
			queue[n++] = i;
		k->decided[i] = k->c->v[i].root;
	}
	for (size_t i = 0; i < n; i++) {
		const struct rt_closure_lib *l = &k->c->v[queue[i]];

		if (decide(k, queue[i], e) < 0)
			return -1;
		for (size_t j = 0; l->verdict == RT_LIB_HOST && j < l->lib.elf.needed.n; j++) {
			size_t at = index_of(k->c, l->lib.elf.needed.v[j]);

			if (!k->decided[at])
				queue[n++] = at;
			k->decided[at] = true;
		}
	}
	return 0;
}

/* The highest version of COPY in the series of VERSION: "GLIBC_2.31" for "GLIBC_2.34"; or NULL. */
static const char *highest_like(const struct rt_elf *copy, const char *version)
{
	size_t n = strcspn(version, "_") + 1;
	const char *best = NULL;

	for (size_t i = 0; i < copy->versions.n; i++) {
		const char *s = copy->versions.v[i];

		if (strncmp(s, version, n) == 0 && s[n] >= '0' && s[n] <= '9' &&
		    (!best || strverscmp(best, s) < 0))
			best = s;
	}
	return best;
}

/* The image provides library AT: what of it do the host's libraries want in vain? */
static void check_provider(struct check *k, size_t at)
{
	const struct rt_closure_lib *l = &k->c->v[at], *by = NULL;
	const struct rt_elf *copy = &k->copies[at].lib.elf;
	const char *worst = NULL, *best;

	if (!k->copies[at].there) {
		misfit(k, "%s has no '%s', which '%s' of the host needs",
		       rt_libtree_label(k->image), l->names.v[0], l->wanted_by.v[0]);
		return;
	}
	for (size_t i = 0; i < k->c->n; i++) {
		const struct rt_closure_lib *from = &k->c->v[i];
		const struct rt_elf *elf = &from->lib.elf;

		for (size_t j = 0; from->verdict == RT_LIB_HOST && j < elf->n_needs; j++) {
			const char *v = elf->needs[j].version;

			if (is_named(l, elf->needs[j].file) && !rt_elf_defines(copy, v) &&
			    (!worst || strverscmp(worst, v) < 0)) {
				worst = v;
				by = from;
			}
		}
	}
	if (!worst)
		return;
	best = highest_like(copy, worst);
	misfit(k, "'%s' of the host needs %s of '%s', and %s offers %s", by->lib.file, worst,
	       l->names.v[0], rt_libtree_label(k->image), best ? best : "none of these versions");
}

static int find_covers(struct check *k, const struct rt_elf *like, struct hr_err *e)
{
	for (size_t i = 0; i < k->c->n; i++) {
		struct rt_closure_lib *l = &k->c->v[i];

		hr_strv_release(&l->covers);
		if (l->verdict == RT_LIB_HOST && !l->bound &&
		    rt_libtree_all(k->image, &l->names, like, &l->covers, e) < 0)
			return -1;
	}
	return 0;
}

static int check_all(struct check *k, struct hr_err *e)
{
	const struct rt_elf *like = &k->c->v[0].lib.elf; /* what was added first */
	int r = check_kind(k, like, e);

	if (r <= 0)
		return r;
	if (find_copies(k, like, e) < 0 || decide_reached(k, e) < 0)
		return -1;
	for (size_t i = 0; i < k->c->n; i++)
		if (k->decided[i] && k->c->v[i].verdict == RT_LIB_IMAGE)
			check_provider(k, i);
	return find_covers(k, like, e);
}

int rt_closure_check(struct rt_closure *c, struct rt_libtree *host, struct rt_libtree *image,
		     struct hr_err *e)
{
	struct check k = { .c = c, .host = host, .image = image };
	int r = 0;

	hr_strv_release(&c->misfits);
	if (c->n == 0)
		return 0;
	k.copies = hr_xmalloc(c->n * sizeof(*k.copies));
	k.host_symbols = hr_xmalloc(c->n * sizeof(*k.host_symbols));
	k.has_symbols = hr_xmalloc(c->n * sizeof(*k.has_symbols));
	k.decided = hr_xmalloc(c->n * sizeof(*k.decided));
	r = check_all(&k, e);
	for (size_t i = 0; i < c->n; i++) {
		rt_lib_release(&k.copies[i].lib);
		rt_elf_symbols_release(&k.host_symbols[i]);
	}
	free(k.copies);
	free(k.host_symbols);
	free(k.has_symbols);
	free(k.decided);
	return r < 0 ? -1 : 0;
}

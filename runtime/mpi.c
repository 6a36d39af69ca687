/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/mpi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/path.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

/* Two trees and what is being compared in them. */
struct look {
	struct rt_libtree *host, *image;
	struct rt_mpi_try *t;
};

/* What programs are linked with; other exports are an MPI's own business, or an experiment (MPIX).
 */
static const char *const api_prefixes[] = { "MPI_", "PMPI_", "mpi_", "pmpi_", "ompi_mpi_" };

/* The names that MPIs go by in images: MPICH and its kin, Open MPI, older ones, the MPI 5 ABI. */
static const char *const mpi_names[] = {
	"libmpi.so.12", "libmpich.so.12", "libmpi_cray.so.12", "libmpi_gnu.so.12", "libmpi.so.40",
	"libmpi.so.20", "libmpi.so.1",	  "libmpich.so.10",    "libmpi_abi.so.0",
};

const char *rt_mpi_kind_text(enum rt_mpi_kind kind)
{
	static const char *const texts[] = {
		[RT_KIND_OTHER] = "no MPI",
		[RT_KIND_MPICH] = "MPICH or its ABI",
		[RT_KIND_OPENMPI] = "Open MPI",
	};

	return texts[kind];
}

bool rt_mpi_fits(const struct rt_mpi_try *t)
{
	return t->on_host && t->in_image && t->misfits.n == 0;
}

static void misfit(struct rt_mpi_try *t, const char *fmt, ...) HR_PRINTF(2, 3);
static void misfit(struct rt_mpi_try *t, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hr_strv_add(&t->misfits, text);
}

static enum rt_mpi_kind kind_of(const struct rt_elf_symbols *s)
{
	if (rt_elf_has(&s->defined, "ompi_mpi_comm_world"))
		return RT_KIND_OPENMPI;
	return rt_elf_has(&s->defined, "MPI_Init") ? RT_KIND_MPICH : RT_KIND_OTHER;
}

/* "12.1.10" behind ".so." of a file name: libtool's major, age and revision. */
static int libtool_numbers(const char *file, unsigned int *major, unsigned int *age)
{
	const char *so = strstr(file, ".so.");

	return so && sscanf(so + 4, "%u.%u.", major, age) == 2 ? 0 : -1;
}

char *rt_mpi_version_text(const struct rt_lib *lib)
{
	unsigned int major, age;

	/* libtool manual, "Updating version info": current is major + age, and the library serves
	 * programs of the interfaces current - age to current */
	if (libtool_numbers(lib->file, &major, &age) < 0)
		return hr_xstrdup(lib->file);
	return hr_xasprintf("%s, interface %u, back to %u", lib->file, major + age, major);
}

static bool is_api(const char *symbol)
{
	for (size_t i = 0; i < HR_COUNT(api_prefixes); i++)
		if (strncmp(symbol, api_prefixes[i], strlen(api_prefixes[i])) == 0)
			return true;
	return false;
}

/* What the image's programs may call of its MPI must be in the host's. */
static void check_functions(struct rt_mpi_try *t, const struct rt_elf_symbols *ours,
			    const struct rt_elf_symbols *theirs)
{
	hr_autofree char *our_text = rt_mpi_version_text(&t->host);
	hr_autofree char *their_text = rt_mpi_version_text(&t->image);
	const char *first = NULL;
	size_t lost = 0;

	for (size_t i = 0; i < theirs->defined.n; i++) {
		const char *s = theirs->defined.v[i];

		if (is_api(s) && !rt_elf_has(&ours->defined, s)) {
			first = first ? first : s;
			lost++;
		}
	}
	if (lost > 0)
		misfit(t,
		       "the host's (%s) lacks %zu function%s of the image's (%s), the first is "
		       "'%s'",
		       our_text, lost, HR_PLURAL(lost), their_text, first);
}

/* The same for a versioned library, as libfabric is. */
static void check_versions(struct rt_mpi_try *t)
{
	for (size_t i = 0; i < t->image.elf.versions.n; i++) {
		const char *v = t->image.elf.versions.v[i];

		if (t->host.elf.versions.n > 0 && !rt_elf_defines(&t->host.elf, v)) {
			misfit(t, "the host's %s lacks version %s, which the image's %s has",
			       t->host.file, v, t->image.file);
			return;
		}
	}
}

/*
 * A companion that the host does not have (Fortran, C++) stays the image's; it may use what only
 * its own MPI has.
 */
static int check_companion(struct look *l, const struct rt_lib *companion,
			   const struct rt_elf_symbols *ours, const struct rt_elf_symbols *theirs,
			   struct hr_err *e)
{
	struct rt_elf_symbols s;
	int r = rt_libtree_symbols(l->image, companion, &s, e);

	for (size_t i = 0; r == 0 && i < s.wanted.n; i++) {
		const char *name = s.wanted.v[i];

		if (rt_elf_has(&theirs->defined, name) && !rt_elf_has(&ours->defined, name)) {
			misfit(l->t,
			       "the host has no '%s', and the image's needs '%s', which only the "
			       "image's MPI has",
			       companion->file, name);
			break;
		}
	}
	rt_elf_symbols_release(&s);
	return r;
}

static int find_any(struct rt_libtree *t, const struct hr_strv *names, const struct rt_elf *like,
		    struct rt_lib *out, struct hr_err *e)
{
	int r = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < names->n && r == 0; i++)
		r = rt_libtree_find(t, names->v[i], like, out, e);
	return r;
}

static int find_host(struct rt_libtree *t, const char *name, const struct rt_elf *like,
		     struct rt_lib *out, struct hr_err *e)
{
	return name[0] == '/' ? rt_libtree_at(t, name, like, out, e)
			      : rt_libtree_find(t, name, like, out, e);
}

/* All names of a library: those of the definition, and the host's own. */
static void all_names(const struct rt_stack_lib *lib, const struct rt_lib *host,
		      struct hr_strv *out)
{
	if (lib->host[0] != '/')
		hr_strv_add(out, lib->host);
	if (host && host->elf.soname)
		hr_strv_add(out, host->elf.soname);
	for (size_t i = 0; i < lib->names.n; i++)
		hr_strv_add(out, lib->names.v[i]);
}

/* 1: it goes into the closure. */
static int look_at_library(struct look *l, const struct rt_stack_lib *lib,
			   const struct rt_elf_symbols *ours, const struct rt_elf_symbols *theirs,
			   struct hr_err *e)
{
	struct rt_lib host, image = { 0 };
	struct hr_strv names = { 0 };
	int on_host = find_host(l->host, lib->host, &l->t->host.elf, &host, e), r = on_host;

	if (r >= 0) {
		all_names(lib, on_host ? &host : NULL, &names);
		r = find_any(l->image, &names, &l->t->host.elf, &image, e);
	}
	if (r > 0 && !on_host)
		r = check_companion(l, &image, ours, theirs, e);
	else if (r == 0 && on_host) /* the image has none, but what is injected may need it */
		r = host.elf.soname && rt_closure_find(&l->t->closure, host.elf.soname);
	rt_lib_release(&host);
	rt_lib_release(&image);
	hr_strv_release(&names);
	return r;
}

/* What is not on the host, or not complete there, is a misfit of the definition. */
static int add_library(struct look *l, const char *name, const struct hr_strv *names,
		       unsigned int flags, struct hr_err *e)
{
	const char *const *more = names ? (const char *const *)names->v : NULL;

	if (rt_closure_add(&l->t->closure, l->host, name, more, flags, e) == 0)
		return 0;
	if (e->kind != HR_NOTFOUND)
		return -1;
	if (flags & RT_CLOSURE_BOUND) /* a module for what this node does not have */
		hr_debug("%s: %s", l->t->stack->name, e->text);
	else
		misfit(l->t, "%s", e->text);
	hr_err_clear(e);
	return 0;
}

static int add_plugins(struct look *l, const char *dir, struct hr_err *e)
{
	struct hr_err missing = { 0 }; /* no such directory: no modules */
	hr_autodir DIR *d = NULL;
	struct dirent *entry;
	int fd;

	rt_memo_saw(rt_libtree_memo(l->host), dir);
	fd = rt_path_open(rt_libtree_root(l->host), dir, O_RDONLY | O_DIRECTORY, &missing);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		hr_autofree char *path = hr_xasprintf("%s/%s", dir, entry->d_name);

		if (strstr(entry->d_name, ".so") &&
		    add_library(l, path, NULL, RT_CLOSURE_BOUND, e) < 0)
			return -1;
	}
	return 0;
}

static int make_closure(struct look *l, const struct rt_elf_symbols *ours,
			const struct rt_elf_symbols *theirs, struct hr_err *e)
{
	const struct rt_stack *s = l->t->stack;

	for (size_t i = 0; i < s->n_libs; i++) {
		int r = i == 0 ? 1 : look_at_library(l, &s->libs[i], ours, theirs, e);

		if (r < 0 || (r > 0 && add_library(l, s->libs[i].host, &s->libs[i].names,
						   RT_CLOSURE_FORCED, e) < 0))
			return -1;
	}
	for (size_t i = 0; i < s->extra.n; i++)
		if (add_library(l, s->extra.v[i], NULL, RT_CLOSURE_FORCED, e) < 0)
			return -1;
	for (size_t i = 0; i < s->plugins.n; i++)
		if (add_plugins(l, s->plugins.v[i], e) < 0)
			return -1;
	if (rt_closure_check(&l->t->closure, l->host, l->image, e) < 0)
		return -1;
	for (size_t i = 0; i < l->t->closure.misfits.n; i++)
		hr_strv_add(&l->t->misfits, l->t->closure.misfits.v[i]);
	return 0;
}

bool rt_mpi_device(const char *pattern)
{
	glob_t found = { 0 };
	bool there = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;

	globfree(&found);
	return there;
}

static void check_devices(struct rt_mpi_try *t)
{
	for (size_t i = 0; i < t->stack->devices.n; i++)
		if (!rt_mpi_device(t->stack->devices.v[i]))
			misfit(t, "device '%s' is not on this node", t->stack->devices.v[i]);
}

/* Both sides have it: may the one stand for the other? */
static int compare(struct look *l, struct hr_err *e)
{
	struct rt_mpi_try *t = l->t;
	struct rt_elf_symbols ours = { 0 }, theirs = { 0 };
	int r = rt_libtree_symbols(l->host, &t->host, &ours, e);

	if (r == 0)
		r = rt_libtree_symbols(l->image, &t->image, &theirs, e);
	if (r == 0) {
		t->kind = kind_of(&ours);
		t->image_kind = kind_of(&theirs);
		if (t->kind != t->image_kind)
			misfit(t, "the image's %s is %s, the host's %s is %s", t->image.file,
			       rt_mpi_kind_text(t->image_kind), t->host.file,
			       rt_mpi_kind_text(t->kind));
		else if (t->kind == RT_KIND_OTHER)
			check_versions(t);
		else
			check_functions(t, &ours, &theirs);
		check_devices(t);
		r = make_closure(l, &ours, &theirs, e);
	}
	rt_elf_symbols_release(&ours);
	rt_elf_symbols_release(&theirs);
	return r;
}

/* 1: it is there; an image of another machine has it, too, and that is a misfit. */
static int find_in_image(struct look *l, struct hr_err *e)
{
	struct rt_mpi_try *t = l->t;
	struct hr_strv names = { 0 };
	int r;

	all_names(&t->stack->libs[0], &t->host, &names);
	r = find_any(l->image, &names, &t->host.elf, &t->image, e);
	if (r == 0) {
		r = find_any(l->image, &names, NULL, &t->image, e);
		if (r > 0) {
			hr_autofree char *ours = rt_elf_machine_text(&t->host.elf);
			hr_autofree char *theirs = rt_elf_machine_text(&t->image.elf);

			misfit(t, "the image's %s is for %s, the host's %s is for %s",
			       t->image.file, theirs, t->host.file, ours);
		}
	}
	hr_strv_release(&names);
	return r;
}

static int try_stack(struct look *l, struct hr_err *e)
{
	struct rt_mpi_try *t = l->t;
	const char *name = t->stack->libs[0].host;
	int r = find_host(l->host, name, NULL, &t->host, e);

	t->on_host = r > 0;
	if (r == 0)
		misfit(t, "library '%s' is not on the host", name);
	if (r <= 0)
		return r;
	r = find_in_image(l, e);
	t->in_image = r > 0;
	if (r <= 0 || t->misfits.n > 0)
		return r < 0 ? -1 : 0;
	return compare(l, e);
}

static char *joined(const struct hr_strv *dirs)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, "");
	for (size_t i = 0; i < dirs->n; i++)
		hr_buf_printf(&b, "%s%s", i ? ":" : "", dirs->v[i]);
	return hr_xstrdup((const char *)b.p);
}

/* Where the definition says that images keep it, as far as this image has that. */
static void image_dirs(const struct rt_stack *s, int image_root, struct hr_strv *out)
{
	for (size_t i = 0; i < s->image_path.n; i++)
		rt_path_expand(image_root, s->image_path.v[i], out);
}

static int look_at_stack(struct rt_mpi_try *t, int host_root, int image_root,
			 const char *image_path, struct rt_memo *memo, struct hr_err *e)
{
	HR_CLEANUP(rt_libtree_closep) struct rt_libtree *host = NULL;
	HR_CLEANUP(rt_libtree_closep) struct rt_libtree *image = NULL;
	hr_autofree char *front = joined(&t->stack->path);
	hr_autofree char *behind = NULL;
	struct hr_strv dirs = { 0 };
	struct look l = { .t = t };

	image_dirs(t->stack, image_root, &dirs);
	behind = joined(&dirs);
	hr_strv_release(&dirs);
	if (rt_libtree_open(host_root, "the host", front, NULL, memo, &host, e) < 0 ||
	    rt_libtree_open(image_root, "the image", image_path, behind, NULL, &image, e) < 0)
		return -1;
	l.host = host;
	l.image = image;
	return try_stack(&l, e);
}

int rt_mpi_look(const struct rt_stack *stacks, size_t n, enum rt_mpi_mode mode, bool all,
		int host_root, int image_root, const char *image_path, struct rt_memo *memo,
		struct rt_mpi *out, struct hr_err *e)
{
	memset(out, 0, sizeof(*out));
	out->tries = hr_xmalloc(n * sizeof(*out->tries) + 1);
	for (size_t i = 0; i < n; i++) {
		struct rt_mpi_try *t = &out->tries[out->n++];

		t->stack = &stacks[i];
		if (look_at_stack(t, host_root, image_root, image_path, memo, e) < 0)
			return hr_wrap(e, "mpi_stack '%s'", stacks[i].name);
		if (mode == RT_MPI_IMAGE && t->kind != RT_KIND_OTHER)
			misfit(t, "--mpi=image keeps the image's MPI");
		if (rt_mpi_fits(t) && !all)
			break;
	}
	return 0;
}

int rt_mpi_survey(struct rt_mpi *m, int image_root, const char *image_path, struct hr_err *e)
{
	HR_CLEANUP(rt_libtree_closep) struct rt_libtree *image = NULL;
	hr_autofree char *behind = NULL;
	struct hr_strv dirs = { 0 };

	for (size_t i = 0; i < m->n; i++)
		image_dirs(m->tries[i].stack, image_root, &dirs);
	behind = joined(&dirs);
	hr_strv_release(&dirs);
	if (rt_libtree_open(image_root, "the image", image_path, behind, NULL, &image, e) < 0)
		return -1;
	for (size_t i = 0; i < HR_COUNT(mpi_names); i++) {
		struct rt_elf_symbols s;
		struct rt_lib lib;
		int r = rt_libtree_find(image, mpi_names[i], NULL, &lib, e);

		if (r == 0)
			continue;
		if (r < 0)
			return -1;
		m->found = hr_xrealloc(m->found, (m->n_found + 1) * sizeof(*m->found));
		m->found[m->n_found++] = (struct rt_mpi_found) { RT_KIND_OTHER, lib };
		if (rt_libtree_symbols(image, &lib, &s, e) < 0)
			return -1;
		m->found[m->n_found - 1].kind = kind_of(&s);
		rt_elf_symbols_release(&s);
	}
	return 0;
}

/* Why none fits: the definition that is about what the image has is the one to speak of. */
static const struct rt_mpi_try *best_reason(const struct rt_mpi *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->tries[i].on_host && m->tries[i].in_image)
			return &m->tries[i];
	for (size_t i = 0; i < m->n; i++)
		if (!m->tries[i].on_host)
			return &m->tries[i];
	return NULL;
}

static int refuse(const struct rt_mpi *m, const struct rt_mpi_try *why, struct hr_err *e)
{
	if (m->n == 0) {
		hr_fail(e, HR_USAGE, 0, "--mpi=host: hpcrun.conf defines no MPI of the host");
		hr_hint(e, "name one with 'mpi_stack = mpich' or 'mpi_stack = openmpi'; "
			   "hpcrun-mpi(5) tells how to define others");
		return -1;
	}
	if (!why) {
		hr_fail(e, HR_USAGE, 0,
			"--mpi=host: the image has none of the libraries that '%s'%s would replace",
			m->tries[0].stack->name, m->n > 1 ? " and the other definitions" : "");
		hr_hint(e, "'hpcrun mpi-check IMAGE' shows what the image has; one in a directory "
			   "of its own is found by 'image_path' of the definition; --mpi=off if it "
			   "needs none");
		return -1;
	}
	hr_fail(e, HR_USAGE, 0, "--mpi=host: '%s' cannot be used: %s", why->stack->name,
		why->misfits.v[0]);
	hr_hint(e, "use the image's own MPI with --mpi=image, or build the image on a base that "
		   "fits; 'hpcrun mpi-check IMAGE' shows all");
	return -1;
}

int rt_mpi_choose(struct rt_mpi *m, enum rt_mpi_mode mode, struct hr_err *e)
{
	const struct rt_mpi_try *why = best_reason(m);

	for (size_t i = 0; i < m->n && !m->chosen; i++)
		if (rt_mpi_fits(&m->tries[i]))
			m->chosen = &m->tries[i];
	if (m->chosen)
		return 0;
	if (mode == RT_MPI_HOST)
		return refuse(m, why, e);
	if (!why || mode == RT_MPI_IMAGE)
		return 0;
	m->notice_matters = why->on_host;
	m->notice = hr_xasprintf("the image's own MPI is used, not '%s' of the host: %s",
				 why->stack->name, why->misfits.v[0]);
	return 0;
}

void rt_mpi_release(struct rt_mpi *m)
{
	for (size_t i = 0; i < m->n; i++) {
		rt_lib_release(&m->tries[i].host);
		rt_lib_release(&m->tries[i].image);
		rt_closure_release(&m->tries[i].closure);
		hr_strv_release(&m->tries[i].misfits);
	}
	for (size_t i = 0; i < m->n_found; i++)
		rt_lib_release(&m->found[i].lib);
	free(m->tries);
	free(m->found);
	free(m->notice);
	memset(m, 0, sizeof(*m));
}

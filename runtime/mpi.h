/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which MPI the programs of a container get: the image's own, or one of the host that a definition
 * (stack.h) offers and that fits the image. Looks and decides, in the builder; mounts nothing.
 *
 * Sequence: rt_mpi_look; rt_mpi_choose; then chosen, or the report (mpi_report.h); rt_mpi_release.
 */
#ifndef RT_MPI_H
#define RT_MPI_H

#include <stdbool.h>

#include "runtime/closure.h"
#include "runtime/libtree.h"
#include "runtime/plan.h"
#include "runtime/stack.h"
#include "util/err.h"

/* What a library is, by its symbols: libmpi.so.12 alone has been the name of three kinds. */
enum rt_mpi_kind {
	RT_KIND_OTHER, /* no MPI: libfabric, UCX, ... */
	RT_KIND_MPICH, /* MPICH and all that has its ABI */
	RT_KIND_OPENMPI
};
const char *rt_mpi_kind_text(enum rt_mpi_kind kind);

/* One definition, compared with the image. */
struct rt_mpi_try {
	const struct rt_stack *stack;
	bool on_host, in_image;	   /* its first library is there */
	struct rt_lib host, image; /* if so */
	enum rt_mpi_kind kind, image_kind;
	struct rt_closure closure;
	struct hr_strv misfits; /* the closure's too; none, and both are there: it fits */
};

/* An MPI that the image has, whether a definition is about it or not. */
struct rt_mpi_found {
	enum rt_mpi_kind kind;
	struct rt_lib lib;
};

struct rt_mpi {
	struct rt_mpi_try *tries; /* one for each definition, in order */
	size_t n;
	struct rt_mpi_found *found; /* filled by rt_mpi_survey */
	size_t n_found;
	const struct rt_mpi_try *chosen; /* NULL: the image's */
	char *notice;			 /* why not another, for the user, or NULL */
	bool notice_matters;		 /* it is a warning; else for the curious */
};

/* PATTERN, a device that a definition asks for, is on this node. */
bool rt_mpi_device(const char *pattern);

bool rt_mpi_fits(const struct rt_mpi_try *t);

/*
 * Compare the N definitions at STACKS with the image until one fits; all of them if ALL. IMAGE_PATH
 * is the LD_LIBRARY_PATH that the image's configuration sets, or NULL. Files of the host that are
 * looked at are noted in MEMO, if there is one.
 *
 * Owns:    *OUT borrows STACKS; rt_mpi_release, also after an error.
 * Errors:  HR_SYS. What does not fit, or is not there, is no error here.
 */
int rt_mpi_look(const struct rt_stack *stacks, size_t n, enum rt_mpi_mode mode, bool all,
		int host_root, int image_root, const char *image_path, struct rt_memo *memo,
		struct rt_mpi *out, struct hr_err *e) HR_MUST_USE;

/* Find all that is known to be an MPI in the image, by the names that MPIs have, also where the
 * definitions that were looked at search. */
int rt_mpi_survey(struct rt_mpi *m, int image_root, const char *image_path,
		  struct hr_err *e) HR_MUST_USE;

/*
 * Choose by MODE among what was looked at.
 *
 * Errors:  HR_USAGE, with RT_MPI_HOST: none fits, and why.
 */
int rt_mpi_choose(struct rt_mpi *m, enum rt_mpi_mode mode, struct hr_err *e) HR_MUST_USE;

void rt_mpi_release(struct rt_mpi *m);

/* "libmpich.so.12.1.10, interface 13, back to 12": what libtool's numbers mean. */
char *rt_mpi_version_text(const struct rt_lib *lib);

#endif

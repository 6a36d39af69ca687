/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of the host a container shows: the default binds, the site's, the user's, in one list.
 *
 * Sequence: rt_view_make in the session, before anything else looks at the list; rt_view_targets
 * for the server; the builder mounts what is in binds, in order.
 */
#ifndef RT_VIEW_H
#define RT_VIEW_H

#include "runtime/bind.h"
#include "runtime/gpu.h"
#include "runtime/shape.h"
#include "util/buf.h"
#include "util/conf.h"
#include "util/err.h"

/* hpcrun-session's command line: what the rank that started it has planned. */
struct rt_session_args {
	struct rt_shape shape; /* first: rt_shape_opts */
	uint64_t listen_fd, dir_fd;
	const char *key, *caller_cwd, *bind_cwd, *home_source, *home_target;
	struct hr_strv binds, stores;
	const char
		*foreign_binds; /* another runtime's variable that some of them are of, or NULL */
	bool writable, fakeroot;
	const char *app;     /* the program that the first rank runs, for the server; or NULL */
	const char *gpu;     /* --gpu, or NULL: as the configuration says */
	const char *command; /* the same as it was typed, for hooks; or NULL: the image's own */
	int mpi, mpi_check;  /* enum rt_mpi_mode, enum rt_mpi_check */
	const char *cache;   /* --cache of the server, or NULL */
	int pull;	     /* enum rt_pull */
	const char *image;
};

/*
 * Fill BINDS, with those of GPU and SCRATCH, in mounting order, and look at each source, which also
 * makes the host mount what it mounts on demand.
 *
 * Owns:    BINDS; rt_binds_release, also after an error.
 * Errors:  HR_USAGE for an ill-formed bind of the site, or a device that is none; HR_NOTFOUND or
 * HR_SYS naming a source that the user asked for and that cannot be used. Others that are missing
 * are left out.
 */
int rt_view_make(const struct rt_session_args *args, const struct hr_conf *conf,
		 const struct rt_gpu *gpu, const struct rt_binds *scratch, struct rt_binds *binds,
		 struct hr_err *e) HR_MUST_USE;

/* The targets in the form of util/serve_proto.h. Those inside another bind are not the server's. */
void rt_view_targets(const struct rt_binds *binds, struct hr_buf *out);

#endif

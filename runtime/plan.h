/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a command line and an environment mean: all policy of `hpcrun run` is decided here, before
 * anything is done.
 *
 * Sequence: rt_plan_make; rt_session_join (join.h) and rt_enter (enter.h) carry it out;
 * rt_plan_release.
 */
#ifndef RT_PLAN_H
#define RT_PLAN_H

#include <stdbool.h>

#include "runtime/bind.h"
#include "runtime/env.h"
#include "runtime/lsm.h"
#include "runtime/shape.h"
#include "util/err.h"
#include "util/mem.h"

#define RT_KEY_SIZE 33 /* 32 hexadecimal digits */

/* When an image is pulled before it is run. */
enum rt_pull {
	RT_PULL_MISSING, /* when no store has it */
	RT_PULL_ALWAYS,	 /* by each session that starts */
	RT_PULL_NEVER
};
extern const char *const rt_pull_words[]; /* by enum rt_pull, NULL-ended */

/* Whose MPI the programs of an image get. */
enum rt_mpi_mode {
	RT_MPI_SITE,  /* not said: as hpcrun.conf has it */
	RT_MPI_AUTO,  /* the host's where it fits, else the image's */
	RT_MPI_HOST,  /* the host's, or nothing is run */
	RT_MPI_IMAGE, /* the image's MPI; libraries below it may be the host's */
	RT_MPI_OFF    /* nobody looks */
};
extern const char *const rt_mpi_words[]; /* by enum rt_mpi_mode, NULL-ended */

/* A report on that, in place of a run. */
enum rt_mpi_check { RT_MPI_CHECK_NONE, RT_MPI_CHECK_TEXT, RT_MPI_CHECK_JSON };
extern const char *const rt_mpi_check_words[]; /* likewise */

/* The options of run, exec and shell. */
struct rt_run_args {
	struct rt_shape shape; /* first: rt_shape_opts */
	struct hr_strv ro_binds, rw_binds, cap_drop, security;
	const char *umask, *userns;
	bool containall;
	struct hr_strv binds, env, env_files, stores, options;
	bool cleanenv, no_home, writable, fakeroot;
	const char *image; /* --image, in place of the operand */
	const char *workdir, *home, *entrypoint, *cache, *pull, *mpi, *gpu;
	enum rt_mpi_check mpi_check;
	unsigned int verbose;
};

struct rt_plan {
	struct rt_shape shape;	/* its lists are borrowed */
	const char *image;	/* of a file: its absolute path */
	char *image_file;	/* that path, or NULL */
	const char *workdir;	/* --workdir, or NULL */
	const char *entrypoint; /* --entrypoint, or NULL */
	char **command;		/* behind IMAGE, NULL-ended; may be empty */
	bool shell;		/* run a shell of the image instead */
	bool cleanenv, writable, fakeroot;
	unsigned int verbose;
	char *cwd;		      /* of the caller */
	char *cwd_bind;		      /* the same, when it needs a bind; or NULL */
	char *home_src, *home_dst;    /* or NULL */
	struct rt_binds binds;	      /* --bind, and of FOREIGN_BINDS */
	const char *foreign_binds;    /* another runtime's variable that names binds, or NULL */
	const struct hr_strv *stores; /* --store */
	const char *cache;	      /* --cache, or NULL */
	struct rt_env env;	      /* of the host, and HOME: the image's goes on top of it */
	struct rt_env user_env;	      /* --env-file and --env: the last word */
	enum rt_pull pull;
	enum rt_mpi_mode mpi;
	enum rt_mpi_check mpi_check;
	const char *gpu; /* --gpu, and names that --device has, or NULL */
	struct rt_security security;
	uint64_t cap_drop;
	int umask;	 /* -1: the caller's */
	char *seccomp;	 /* shape.seccomp, absolute; or NULL */
	char *overlay;	 /* shape.overlay, absolute; or NULL */
	char *gpu_names; /* both, if there are both */
	bool in_step;	 /* of Slurm */
	const char *libexecdir;
	char key[RT_KEY_SIZE]; /* names the session */
};

/*
 * Decide what a run means. ARGV is IMAGE, then the command; ENVIRON the caller's environment.
 *
 * Owns:    *PLAN borrows ARGS, ARGV and ENVIRON; rt_plan_release frees the rest, also after an
 *          error.
 * Errors:  HR_USAGE for options that contradict each other or are ill-formed; HR_SYS.
 */
int rt_plan_make(const struct rt_run_args *args, bool shell, char **argv, char **environ_,
		 struct rt_plan *plan, struct hr_err *e) HR_MUST_USE;
void rt_plan_release(struct rt_plan *plan);

/* Where the other programs of hpcrun are: HPCRUN_LIBEXECDIR (a build tree), else as configured. */
const char *rt_libexecdir(void);

#endif

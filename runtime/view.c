/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

/* Shown as on the host wherever they exist. hpcrun-session(7), BINDS, has the same list. */
static const struct host_path {
	const char *path;
	bool ro;
} defaults[] = {
	{ "/dev", false },	      /* devices, and /dev/shm, where ranks share memory */
	{ "/proc", false },	      /* the host's: process ids are the host's */
	{ "/sys", false },	      /* topology, for MPI and for network and GPU drivers */
	{ "/tmp", false },	      /* also X11 and agents' sockets, and Slurm's PMIx directory */
	{ "/var/tmp", false },	      /* the same, kept over boots */
	{ "/etc/resolv.conf", true }, /* the network is the host's; root keeps to itself, too: an */
	{ "/etc/hosts", true },	      /* installer inside must not edit the host's files */
	{ "/etc/localtime", true },   /* times as on the host */
	{ "/run/munge", false },      /* srun and programs that authenticate to Slurm */
};

/* Files that the builder makes out of the image's and the host's. */
static const struct made {
	const char *name, *target;
} made[] = {
	{ "passwd", "/etc/passwd" },
	{ "group", "/etc/group" },
};

static void add_defaults(struct rt_binds *l)
{
	const char *pmix = getenv("PMIX_SERVER_TMPDIR"); /* of slurmstepd, for its clients */
	hr_autofree char *normal = pmix && pmix[0] == '/' ? rt_path_normal(pmix) : NULL;

	for (size_t i = 0; i < HR_COUNT(defaults); i++)
		rt_binds_add(l, defaults[i].path, defaults[i].path, defaults[i].ro, true);
	for (size_t i = 0; i < HR_COUNT(made); i++) {
		rt_binds_add(l, made[i].name, made[i].target, true, false);
		l->v[l->n - 1].made = true;
		l->v[l->n - 1].file = true;
	}
	if (normal && strcmp(normal, "/") != 0)
		rt_binds_add(l, normal, normal, false, true);
}

static int add_all(const struct rt_session_args *args, const struct hr_conf *conf,
		   const struct rt_binds *gpu, struct rt_binds *l, struct hr_err *e)
{
	if (args->binds.n > 0 && hr_conf_check_override(conf, "bind", "--bind", e) < 0)
		return -1;
	add_defaults(l);
	for (size_t i = 0; i < gpu->n; i++)
		rt_binds_add(l, gpu->v[i].src, gpu->v[i].dst, gpu->v[i].ro, gpu->v[i].optional);
	if (args->home_source)
		rt_binds_add(l, args->home_source, args->home_target, false, true);
	for (size_t i = 0; i < conf->binds.n; i++) {
		if (rt_bind_parse(l, conf->binds.v[i], "/", e) < 0)
			return hr_wrap(e, "hpcrun.conf");
		l->v[l->n - 1].optional = true;
	}
	if (args->bind_cwd)
		rt_binds_add(l, args->bind_cwd, args->bind_cwd, false, true);
	for (size_t i = 0; i < args->binds.n; i++)
		if (rt_bind_parse(l, args->binds.v[i], args->caller_cwd, e) < 0)
			return -1;
	return 0;
}

/* 1 when the source is there, 0 when it is to be left out. */
static int look(struct rt_bind *b, struct hr_err *e)
{
	hr_autofree char *inside = NULL;
	struct stat st;

	if (b->made)
		return 1;
	/* through "/.": a plain look does not make autofs mount the directory */
	inside = hr_xasprintf("%s/.", b->src);
	if (stat(inside, &st) == 0 || stat(b->src, &st) == 0) {
		b->file = !S_ISDIR(st.st_mode);
		return 1;
	}
	if (b->optional) {
		hr_debug("bind source '%s' left out: %s", b->src, strerror(errno));
		return 0;
	}
	return hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno, "cannot bind '%s' at '%s'",
		       b->src, b->dst);
}

static void remove_at(struct rt_binds *l, size_t i)
{
	free(l->v[i].src);
	free(l->v[i].dst);
	memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof(*l->v));
	l->n--;
}

int rt_view_make(const struct rt_session_args *args, const struct hr_conf *conf,
		 const struct rt_binds *gpu, struct rt_binds *binds, struct hr_err *e)
{
	if (add_all(args, conf, gpu, binds, e) < 0)
		return -1;
	rt_binds_order(binds);
	for (size_t i = 0; i < binds->n;) {
		int r = look(&binds->v[i], e);

		if (r < 0)
			return -1;
		if (r == 0)
			remove_at(binds, i);
		else
			i++;
	}
	return 0;
}

static bool lies_in_another(const struct rt_binds *l, size_t i)
{
	for (size_t j = 0; j < i; j++) /* in mounting order: only an earlier one can contain it */
		if (rt_path_within(l->v[i].dst, l->v[j].dst))
			return true;
	return false;
}

void rt_view_targets(const struct rt_binds *binds, struct hr_buf *out)
{
	for (size_t i = 0; i < binds->n; i++) {
		const struct rt_bind *b = &binds->v[i];

		if (lies_in_another(binds, i))
			continue;
		hr_buf_str(out, b->file ? "f" : "d");
		hr_buf_add(out, b->dst, strlen(b->dst) + 1);
	}
}

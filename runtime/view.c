/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

/* What becomes of a default bind with --contain. */
enum contained { KEPT, EMPTY, LEFT_OUT, OWN_DEV };

/* Shown as on the host wherever they exist. hpcrun-session(7), BINDS, has the same list. */
static const struct host_path {
	const char *path;
	const char *word; /* of --no-mount, besides the path */
	enum contained contained;
	bool ro;
} defaults[] = {
	/* devices, and /dev/shm, where ranks share memory */
	{ "/dev", "dev", OWN_DEV, false },
	/* the host's: process ids are the host's */
	{ "/proc", "proc", KEPT, false },
	/* topology, for MPI and for network and GPU drivers */
	{ "/sys", "sys", KEPT, false },
	/* also X11 and agents' sockets, and Slurm's PMIx directory */
	{ "/tmp", "tmp", EMPTY, false },
	/* the same, kept over boots */
	{ "/var/tmp", "tmp", EMPTY, false },
	/* the network is the host's; root keeps to itself, too: an installer inside must not edit
	 * the host's files */
	{ "/etc/resolv.conf", NULL, KEPT, true },
	{ "/etc/hosts", NULL, KEPT, true },
	/* times as on the host */
	{ "/etc/localtime", NULL, KEPT, true },
	/* srun and programs that authenticate to Slurm */
	{ "/run/munge", NULL, LEFT_OUT, false },
};

/* Files that the builder makes out of the image's and the host's. */
static const struct made {
	const char *name, *target;
} made[] = {
	{ "passwd", "/etc/passwd" },
	{ "group", "/etc/group" },
};

/*
 * A /dev for programs that need no hardware: what POSIX and Linux promise, the terminals, and
 * memory for the ranks of the node to share. No node can be made without privilege: each is bound.
 */
static void add_own_dev(const struct rt_gpu *gpu, struct rt_binds *l)
{
	static const char *const nodes[] = { "/dev/null",   "/dev/zero",    "/dev/full",
					     "/dev/random", "/dev/urandom", "/dev/tty",
					     "/dev/ptmx",   "/dev/pts" };

	rt_binds_add_made(l, RT_BIND_DEV, "mode=755", "/dev");
	rt_binds_add_made(l, RT_BIND_TMPFS, "mode=1777", "/dev/shm");
	for (size_t i = 0; i < HR_COUNT(nodes); i++)
		rt_binds_add(l, nodes[i], nodes[i], false, true);
	for (size_t i = 0; i < gpu->nodes.n; i++)
		rt_binds_add(l, gpu->nodes.v[i].src, gpu->nodes.v[i].dst, false, true);
}

/* The host's /dev is shown, with all that is in it. */
static bool has_host_dev(const struct rt_shape *s)
{
	return !s->contain && !rt_shape_left_out(s, "dev") && !rt_shape_left_out(s, "/dev");
}

/* What POSIX has of IPC are file systems; where the host's /dev is shown, on its own directories.
 */
static void add_own_ipc(const struct rt_shape *s, struct rt_binds *l)
{
	static const struct {
		const char *path, *options;
		enum rt_bind_kind kind;
	} parts[] = { { "/dev/shm", "mode=1777", RT_BIND_TMPFS },
		      { "/dev/mqueue", "", RT_BIND_MQUEUE } };

	for (size_t i = 0; i < HR_COUNT(parts); i++)
		if (s->contain || (has_host_dev(s) && access(parts[i].path, F_OK) == 0))
			rt_binds_add_made(l, parts[i].kind, parts[i].options, parts[i].path);
}

static bool is_left_out(const struct rt_shape *s, const struct host_path *d)
{
	return rt_shape_left_out(s, d->word) || rt_shape_left_out(s, d->path) ||
	       (s->contain && d->contained == LEFT_OUT);
}

static void add_defaults(const struct rt_shape *s, const struct rt_gpu *gpu, struct rt_binds *l)
{
	const char *pmix = getenv("PMIX_SERVER_TMPDIR"); /* of slurmstepd, for its clients */
	hr_autofree char *normal = pmix && pmix[0] == '/' ? rt_path_normal(pmix) : NULL;

	for (size_t i = 0; i < HR_COUNT(defaults); i++) {
		const struct host_path *d = &defaults[i];

		if (is_left_out(s, d))
			continue;
		if (s->pid && strcmp(d->path, "/proc") == 0)
			rt_binds_add_made(l, RT_BIND_PROC, "", d->path);
		else if (s->contain && d->contained == OWN_DEV)
			add_own_dev(gpu, l);
		else if (s->contain && d->contained == EMPTY)
			rt_binds_add_made(l, RT_BIND_TMPFS, "mode=1777", d->path);
		else
			rt_binds_add(l, d->path, d->path, d->ro, true);
	}
	if (s->ipc)
		add_own_ipc(s, l);
	for (size_t i = 0; i < HR_COUNT(made); i++)
		if (!rt_shape_left_out(s, made[i].target))
			rt_binds_add_made(l, RT_BIND_FILE, made[i].name, made[i].target);
	if (normal && strcmp(normal, "/") != 0)
		rt_binds_add(l, normal, normal, false, true);
}

static void add_list(const struct rt_binds *from, struct rt_binds *l)
{
	for (size_t i = 0; i < from->n; i++)
		rt_binds_add(l, from->v[i].src, from->v[i].dst, from->v[i].ro, from->v[i].optional);
}

static int add_sites(const struct rt_shape *s, const struct hr_conf *conf, struct rt_binds *l,
		     struct hr_err *e)
{
	if (s->contain || rt_shape_left_out(s, "site"))
		return 0;
	for (size_t i = 0; i < conf->binds.n; i++) {
		struct rt_binds one = { 0 };

		if (rt_bind_parse(&one, conf->binds.v[i], "/", e) < 0)
			return hr_wrap(e, "hpcrun.conf");
		one.v[0].optional = true;
		if (!rt_shape_left_out(s, one.v[0].dst))
			add_list(&one, l);
		rt_binds_release(&one);
	}
	return 0;
}

static int add_device(const struct rt_shape *s, const char *spec, struct rt_binds *l,
		      struct hr_err *e)
{
	struct rt_binds one = { 0 };
	struct stat st;
	int r = rt_shape_device(spec, &one, e);

	if (r == 0 && stat(one.v[0].src, &st) < 0)
		r = hr_fail(e, errno == ENOENT ? HR_NOTFOUND : HR_SYS, errno,
			    "cannot look at --device '%s'", one.v[0].src);
	else if (r == 0 && !S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISDIR(st.st_mode))
		r = hr_fail(e, HR_USAGE, 0, "--device '%s' is no device", one.v[0].src);
	/* it is there already */
	if (r == 0 && !(has_host_dev(s) && strcmp(one.v[0].src, one.v[0].dst) == 0 &&
			rt_path_within(one.v[0].dst, "/dev")))
		add_list(&one, l);
	rt_binds_release(&one);
	return r;
}

static int add_all(const struct rt_session_args *args, const struct hr_conf *conf,
		   const struct rt_gpu *gpu, const struct rt_binds *scratch, struct rt_binds *l,
		   struct hr_err *e)
{
	const struct rt_shape *s = &args->shape;

	add_defaults(s, gpu, l);
	add_list(&gpu->binds, l);
	if (args->home_source)
		rt_binds_add(l, args->home_source, args->home_target, false, true);
	else if (args->home_target)
		rt_binds_add_made(l, RT_BIND_TMPFS, "mode=700", args->home_target);
	if (add_sites(s, conf, l, e) < 0)
		return -1;
	if (args->bind_cwd)
		rt_binds_add(l, args->bind_cwd, args->bind_cwd, false, true);
	for (size_t i = 0; i < s->devices.n; i++)
		if (!rt_shape_is_cdi(s->devices.v[i]) && add_device(s, s->devices.v[i], l, e) < 0)
			return -1;
	for (size_t i = 0; i < s->tmpfs.n; i++)
		if (rt_shape_tmpfs(s->tmpfs.v[i], l, e) < 0)
			return -1;
	add_list(scratch, l);
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
	int err;

	if (b->kind != RT_BIND_HOST)
		return 1;
	/* through "/.": a plain look does not make autofs mount the directory */
	inside = hr_xasprintf("%s/.", b->src);
	if (stat(inside, &st) == 0 ||
	    ((errno == ENOTDIR || errno == EACCES) && stat(b->src, &st) == 0)) {
		b->file = !S_ISDIR(st.st_mode);
		return 1;
	}
	err = errno;
	if (b->optional) {
		hr_debug("bind source '%s' left out: %s", b->src, strerror(err));
		return 0;
	}
	hr_fail(e, err == ENOENT ? HR_NOTFOUND : HR_SYS, err, "cannot bind '%s' at '%s'", b->src,
		b->dst);
	if (stat(b->src, &st) == 0 && S_ISDIR(st.st_mode))
		hr_hint(e, "the directory is there, what belongs into it is not: did the "
			   "automounter of this node fail to mount it?");
	else if (err == ENOENT || err == ENOTDIR)
		hr_hint(e, "what is bound must be there on this node: make it first");
	return -1;
}

static void remove_at(struct rt_binds *l, size_t i)
{
	free(l->v[i].src);
	free(l->v[i].dst);
	memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof(*l->v));
	l->n--;
}

int rt_view_make(const struct rt_session_args *args, const struct hr_conf *conf,
		 const struct rt_gpu *gpu, const struct rt_binds *scratch, struct rt_binds *binds,
		 struct hr_err *e)
{
	if (add_all(args, conf, gpu, scratch, binds, e) < 0)
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

void rt_view_targets(const struct rt_binds *binds, struct hr_buf *out)
{
	for (size_t i = 0; i < binds->n; i++) {
		const struct rt_bind *b = &binds->v[i];

		if (rt_binds_below(binds, i) >= 0)
			continue;
		hr_buf_str(out, b->file ? "f" : "d");
		hr_buf_add(out, b->dst, strlen(b->dst) + 1);
	}
}

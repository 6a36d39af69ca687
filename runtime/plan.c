/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/caps.h"
#include "runtime/key.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/source.h"
#include "util/poison.h"

#define ENV_FILE_MAX (1u << 20)

const char *rt_libexecdir(void)
{
	const char *dir = getenv("HPCRUN_LIBEXECDIR");

	return dir && dir[0] == '/' ? dir : HPCRUN_LIBEXECDIR;
}

const char *const rt_pull_words[] = { "missing", "always", "never", NULL };

/* --pull, else HPCRUN_PULL, else "missing". What a digest means does not change with time. */
static int plan_pull(const struct rt_run_args *args, struct rt_plan *plan, struct hr_err *e)
{
	const char *env = getenv("HPCRUN_PULL"), *word = args->pull ? args->pull : env;
	size_t i = 0;

	if (!word || (!args->pull && word[0] == '\0'))
		word = rt_pull_words[RT_PULL_MISSING];
	while (rt_pull_words[i] && strcmp(rt_pull_words[i], word) != 0)
		i++;
	if (!rt_pull_words[i])
		return hr_fail(e, HR_USAGE, 0, "%s '%s' is none of: missing, always, never",
			       word == env ? "HPCRUN_PULL" : "--pull", word);
	plan->pull = (enum rt_pull)i;
	if (plan->pull == RT_PULL_ALWAYS &&
	    (strchr(plan->image, '@') || strncmp(plan->image, "sha256:", 7) == 0))
		plan->pull = RT_PULL_MISSING;
	return 0;
}

/*
 * An image that is a file: the server works in "/", so its path must be absolute; it is not pulled,
 * nor is one behind a URL.
 */
static int plan_source(struct rt_plan *plan, struct hr_err *e)
{
	struct stat st;

	if (hr_source_of(plan->image) == HR_SOURCE_URL)
		plan->pull = RT_PULL_NEVER;
	if (hr_source_of(plan->image) != HR_SOURCE_FILE)
		return 0;
	if (stat(plan->image, &st) < 0) {
		if (strstr(plan->image, ":/"))
			hr_hint(e, "is it meant for --bind? -v is --verbose here");
		else if (strchr(plan->image, '/') == NULL)
			hr_hint(e, "a name that ends like this is a file, not an image of a store");
		return hr_fail(e, errno == ENOENT || errno == ENOTDIR ? HR_NOTFOUND : HR_SYS, errno,
			       "cannot find image file '%s'", plan->image);
	}
	plan->image_file = plan->image[0] == '/' ? hr_xstrdup(plan->image)
						 : hr_xasprintf("%s/%s", plan->cwd, plan->image);
	plan->image = plan->image_file;
	plan->pull = RT_PULL_NEVER;
	return 0;
}

const char *const rt_mpi_words[] = { "site", "auto", "host", "image", "off", NULL };
const char *const rt_mpi_check_words[] = { "none", "text", "json", NULL };

/* --mpi, else HPCRUN_MPI; else hpcrun.conf, which the session reads, decides. */
static int plan_mpi(const struct rt_run_args *args, struct rt_plan *plan, struct hr_err *e)
{
	const char *env = getenv("HPCRUN_MPI"), *word = args->mpi ? args->mpi : env;
	size_t i = RT_MPI_AUTO;

	plan->mpi_check = args->mpi_check;
	if (!word || (!args->mpi && word[0] == '\0'))
		return 0;
	while (rt_mpi_words[i] && strcmp(rt_mpi_words[i], word) != 0)
		i++;
	if (!rt_mpi_words[i])
		return hr_fail(e, HR_USAGE, 0, "%s '%s' is none of: auto, host, image, off",
			       word == env ? "HPCRUN_MPI" : "--mpi", word);
	plan->mpi = (enum rt_mpi_mode)i;
	return 0;
}

/* What programs may do. */
static int plan_rights(const struct rt_run_args *args, struct rt_plan *plan, struct hr_err *e)
{
	struct rt_shape *s = &plan->shape;
	unsigned int mask;

	plan->umask = -1;
	if (args->umask) {
		if (rt_parse_octal(args->umask, "--umask", 0777, &mask, e) < 0)
			return -1;
		plan->umask = (int)mask;
	}
	for (size_t i = 0; i < args->cap_drop.n; i++)
		if (rt_caps_parse(args->cap_drop.v[i], &plan->cap_drop, e) < 0)
			return hr_wrap(e, "--cap-drop");
	if (rt_security_parse(&args->security, &plan->security, e) < 0)
		return -1;
	if (!s->seccomp)
		s->seccomp = plan->security.seccomp;
	if (s->seccomp && s->seccomp[0] != '/' && strcmp(s->seccomp, "off") != 0)
		s->seccomp = plan->seccomp = hr_xasprintf("%s/%s", plan->cwd, s->seccomp);
	if (args->userns && strcmp(args->userns, "root") == 0) {
		plan->fakeroot = true;
	} else if (args->userns && strcmp(args->userns, "keep-id") != 0) {
		hr_fail(e, HR_USAGE, 0, "--userns '%s' is neither keep-id nor root", args->userns);
		hr_hint(e, "without privilege there is always a user namespace, with one user id; "
			   "--uid says which");
		return -1;
	}
	if (plan->fakeroot && (s->uid || s->gid))
		return hr_fail(e, HR_USAGE, 0, "--fakeroot does not go with --uid and --gid");
	return 0;
}

/*
 * The options that shape the container. Devices of CDI are --gpu's affair, which knows all of them.
 */
static int plan_shape(const struct rt_run_args *args, struct rt_plan *plan, struct hr_err *e)
{
	hr_autobuf struct hr_buf names = { 0 };

	plan->shape = args->shape;
	plan->shape.contain |= args->containall;
	plan->shape.pid |= args->containall;
	plan->shape.ipc |= args->containall;
	plan->cleanenv |= args->containall;
	for (size_t i = 0; i < args->shape.devices.n; i++)
		if (rt_shape_is_cdi(args->shape.devices.v[i]))
			hr_buf_printf(&names, "%s%s", names.len > 0 ? "," : "",
				      args->shape.devices.v[i]);
	if (names.len > 0) {
		if (plan->gpu && strcmp(plan->gpu, "none") != 0)
			hr_buf_printf(&names, ",%s", plan->gpu);
		plan->gpu = plan->gpu_names = hr_xstrndup((const char *)names.p, names.len);
	}
	if (plan_rights(args, plan, e) < 0)
		return -1;
	/* part of the session's name: the same directory whatever it is called */
	if (plan->shape.overlay && plan->shape.overlay[0] != '/' && plan->shape.overlay[0] != '\0')
		plan->shape.overlay = plan->overlay =
			hr_xasprintf("%s/%s", plan->cwd, plan->shape.overlay);
	if (plan->shape.overlay && plan->writable)
		return hr_fail(e, HR_USAGE, 0, "--overlay and --writable exclude each other");
	return rt_shape_check(&plan->shape, e);
}

/* --home SRC[:DST], else $HOME, unless it is no directory of the user's: unset, relative or "/". */
static int plan_home(const struct rt_run_args *args, struct rt_plan *plan, struct hr_err *e)
{
	const char *home = getenv("HOME");
	struct rt_binds one = { 0 };

	if (args->home && args->no_home)
		return hr_fail(e, HR_USAGE, 0, "--home and --no-home exclude each other");
	if (args->no_home || rt_shape_left_out(&plan->shape, "home"))
		return 0;
	if (args->home) {
		if (rt_bind_parse(&one, args->home, plan->cwd, e) < 0)
			return hr_wrap(e, "--home");
		plan->home_src = hr_steal(&one.v[0].src);
		plan->home_dst = hr_steal(&one.v[0].dst);
		rt_binds_release(&one);
		return 0;
	}
	plan->home_dst = home && home[0] == '/' ? rt_path_normal(home) : NULL;
	if (!plan->home_dst || strcmp(plan->home_dst, "/") == 0)
		free(hr_steal(&plan->home_dst));
	else if (!plan->shape.contain) /* else it is an empty one */
		plan->home_src = hr_xstrdup(plan->home_dst);
	return 0;
}

/*
 * What users of Apptainer and Singularity have set for their jobs: SRC[:DST[:ro]] with commas
 * between. The first variable that is set counts, as with them.
 */
static int plan_foreign_binds(struct rt_plan *plan, struct hr_err *e)
{
	static const char *const names[] = { "APPTAINER_BIND", "APPTAINER_BINDPATH",
					     "SINGULARITY_BIND", "SINGULARITY_BINDPATH" };
	const char *value = NULL;
	char *next;

	for (size_t i = 0; i < HR_COUNT(names) && !value; i++) {
		value = getenv(names[i]);
		if (value && value[0])
			plan->foreign_binds = names[i];
		else
			value = NULL;
	}
	while (value && (next = hr_next_word(&value, ","))) {
		hr_autofree char *spec = next;

		if (rt_bind_parse(&plan->binds, spec, plan->cwd, e) < 0)
			return hr_wrap(e, "%s", plan->foreign_binds);
	}
	return 0;
}

/* --ro and --rw: SRC[:DST], where a mode of its own may agree. */
static int plan_mode_binds(const struct hr_strv *specs, const char *mode, struct rt_plan *plan,
			   struct hr_err *e)
{
	bool ro = strcmp(mode, "ro") == 0;

	for (size_t i = 0; i < specs->n; i++) {
		const char *spec = specs->v[i], *colon = strchr(spec, ':');

		if (rt_bind_parse(&plan->binds, spec, plan->cwd, e) < 0)
			return hr_wrap(e, "--%s", mode);
		if (colon && strchr(colon + 1, ':') && plan->binds.v[plan->binds.n - 1].ro != ro)
			return hr_fail(e, HR_USAGE, 0, "--%s '%s' says two modes", mode, spec);
		plan->binds.v[plan->binds.n - 1].ro = ro;
	}
	return 0;
}

static int plan_binds(const struct rt_run_args *args, struct rt_plan *plan, struct hr_err *e)
{
	static const char *const always[] = { "/tmp", "/var/tmp" };
	struct rt_binds seen = { 0 };

	if (plan_foreign_binds(plan, e) < 0)
		return -1;
	for (size_t i = 0; i < args->binds.n; i++)
		if (rt_bind_parse(&plan->binds, args->binds.v[i], plan->cwd, e) < 0)
			return -1;
	if (plan_mode_binds(&args->ro_binds, "ro", plan, e) < 0 ||
	    plan_mode_binds(&args->rw_binds, "rw", plan, e) < 0)
		return -1;
	if (plan->shape.contain || rt_shape_left_out(&plan->shape, "cwd"))
		return 0;
	for (size_t i = 0; i < HR_COUNT(always); i++)
		rt_binds_add(&seen, always[i], always[i], false, true);
	for (size_t i = 0; i < plan->binds.n; i++)
		rt_binds_add(&seen, plan->binds.v[i].src, plan->binds.v[i].dst, false, false);
	if (plan->home_src)
		rt_binds_add(&seen, plan->home_src, plan->home_dst, false, true);
	if (rt_bind_wants_cwd(plan->cwd, &seen))
		plan->cwd_bind = hr_xstrdup(plan->cwd);
	rt_binds_release(&seen);
	return 0;
}

static int check_words(const struct rt_run_args *args, const struct rt_plan *plan, struct hr_err *e)
{
	if (plan->image[0] == '\0')
		return hr_fail(e, HR_USAGE, 0, "the image has an empty name");
	if (args->workdir && args->workdir[0] != '/')
		return hr_fail(e, HR_USAGE, 0, "--workdir '%s' is not an absolute path",
			       args->workdir);
	if (args->gpu && args->gpu[0] == '\0')
		return hr_fail(e, HR_USAGE, 0, "--gpu= names no device; --gpu alone means all");
	if (plan->shell && (args->entrypoint || plan->command[0]))
		return hr_fail(e, HR_USAGE, 0, "shell takes no command and no --entrypoint");
	return 0;
}

static int plan_cwd(struct rt_plan *plan, struct hr_err *e)
{
	plan->cwd = getcwd(NULL, 0);
	if (plan->cwd && plan->cwd[0] == '/')
		return 0;
	if (!plan->cwd && errno != ENOENT)
		return hr_fail(e, HR_SYS, errno, "cannot tell the working directory");
	/* removed, or out of reach of our root: it cannot exist inside */
	free(plan->cwd);
	plan->cwd = hr_xstrdup("/");
	return 0;
}

static int plan_env(const struct rt_run_args *args, struct rt_plan *plan, char *const *host,
		    struct hr_err *e)
{
	rt_env_host(&plan->env, host, plan->cleanenv);
	if (plan->home_dst)
		rt_env_put(&plan->env, "HOME", plan->home_dst);
	if (rt_env_forwarded(&plan->user_env, host, e) < 0)
		return -1;
	for (size_t i = 0; i < args->env_files.n; i++) {
		hr_autobuf struct hr_buf text = { 0 };
		const char *name = args->env_files.v[i];

		if (hr_file_read(AT_FDCWD, name, ENV_FILE_MAX, &text, e) < 0)
			return hr_wrap(e, "--env-file");
		if (text.len > 0 &&
		    rt_env_file(&plan->user_env, host, name, (const char *)text.p, text.len, e) < 0)
			return hr_wrap(e, "--env-file");
	}
	for (size_t i = 0; i < args->env.n; i++)
		if (rt_env_set(&plan->user_env, host, args->env.v[i], "--env", e) < 0)
			return -1;
	return 0;
}

int rt_plan_make(const struct rt_run_args *args, bool shell, char **argv, char **environ_,
		 struct rt_plan *plan, struct hr_err *e)
{
	memset(plan, 0, sizeof(*plan));
	plan->image = argv[0];
	plan->command = argv + 1;
	plan->shell = shell;
	plan->workdir = args->workdir;
	plan->entrypoint = args->entrypoint;
	plan->gpu = args->gpu;
	plan->cleanenv = args->cleanenv;
	plan->writable = args->writable;
	plan->fakeroot = args->fakeroot;
	plan->verbose = args->verbose;
	plan->stores = &args->stores;
	plan->cache = args->cache;
	plan->libexecdir = rt_libexecdir();
	plan->in_step = getenv("SLURM_JOB_ID") && getenv("SLURM_STEP_ID");
	if (check_words(args, plan, e) < 0 || plan_pull(args, plan, e) < 0 ||
	    plan_mpi(args, plan, e) < 0 || plan_cwd(plan, e) < 0 || plan_shape(args, plan, e) < 0 ||
	    plan_source(plan, e) < 0 || plan_home(args, plan, e) < 0 ||
	    plan_binds(args, plan, e) < 0)
		return -1;
	if (plan_env(args, plan, environ_, e) < 0)
		return -1;
	return rt_key_of_plan(plan, e);
}

void rt_plan_release(struct rt_plan *plan)
{
	free(plan->image_file);
	free(plan->cwd);
	free(plan->cwd_bind);
	free(plan->gpu_names);
	free(plan->overlay);
	free(plan->seccomp);
	free(plan->home_src);
	free(plan->home_dst);
	rt_binds_release(&plan->binds);
	rt_env_release(&plan->env);
	rt_env_release(&plan->user_env);
	memset(plan, 0, sizeof(*plan));
}

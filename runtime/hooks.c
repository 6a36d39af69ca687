/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/caps.h"
#include "runtime/child.h"
#include "runtime/seccomp.h"
#include "runtime/trust.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define OCI_VERSION "1.0.2"

/* What a session is known by; conditions are matched against it, and hooks are told. */
struct annotations {
	struct rt_hook_pair *v;
	size_t n;
};

static void annotate(struct annotations *l, const char *key, size_t key_len, const char *value)
{
	l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = (struct rt_hook_pair) { .key = hr_xstrndup(key, key_len),
					       .value = hr_xstrdup(value) };
}

static void annotations_release(struct annotations *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	free(l->v);
}

/* Those of --label first: of two of one name hooks are told the last one, which is ours. */
static struct annotations annotations(const struct rt_session_args *args)
{
	const struct {
		const char *key, *value;
	} ours[] = { { "org.hpcrun.image", args->image },
		     { "org.hpcrun.slurm.job", getenv("SLURM_JOB_ID") },
		     { "org.hpcrun.slurm.step", getenv("SLURM_STEP_ID") } };
	struct annotations l = { 0 };

	for (size_t i = 0; i < args->shape.labels.n; i++) {
		const char *label = args->shape.labels.v[i];
		size_t key_len = strcspn(label, "=");

		annotate(&l, label, key_len, label + key_len + (label[key_len] == '='));
	}
	for (size_t i = 0; i < HR_COUNT(ours); i++)
		if (ours[i].value)
			annotate(&l, ours[i].key, strlen(ours[i].key), ours[i].value);
	return l;
}

static int check_program(const struct rt_hook *h, struct hr_err *e)
{
	/* that of startContainer is the container's */
	for (int s = 0; s < RT_HOOK_STAGES; s++)
		if (h->stages[s] && s != RT_HOOK_START_CONTAINER)
			return rt_trust_program(h->path, e);
	return 0;
}

static int load_one(int dirfd, const char *dir, const char *name, struct rt_hooks *l,
		    struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	HR_CLEANUP(annotations_release) struct annotations known = annotations(l->args);
	struct rt_hook_facts facts = { .command = l->args->command ? l->args->command : "",
				       .binds = l->args->binds.n > 0,
				       .pairs = known.v,
				       .n_pairs = known.n };
	struct rt_hook h = { 0 };
	int r = rt_trust_read(dirfd, dir, name, RT_HOOK_FILE_MAX, &text, e);

	if (r == 0)
		r = rt_hook_parse(text.p, text.len, &h, e);
	if (r == 0)
		r = rt_hook_matches(&h, &facts, e);
	if (r == 1 && check_program(&h, e) < 0)
		r = -1;
	if (r == 1) {
		l->v = hr_xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
		l->v[l->n++] = (struct rt_hooks_entry) { .name = hr_xstrdup(name), .hook = h };
		return 0;
	}
	rt_hook_release(&h);
	return r < 0 ? hr_wrap(e, "hook '%s/%s'", dir, name) : 0;
}

static int load_dir(const char *dir, struct rt_hooks *l, struct hr_err *e)
{
	static const char *const suffixes[] = { ".json", NULL };
	struct hr_strv names = { 0 };
	hr_autofd int fd = rt_trust_list(dir, suffixes, &names, e);
	int r = fd < 0 ? -1 : 0;

	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = load_one(fd, dir, names.v[i], l, e);
	hr_strv_release(&names);
	return r;
}

int rt_hooks_load(const struct hr_strv *dirs, const struct rt_session_args *args,
		  struct rt_hooks *out, struct hr_err *e)
{
	out->args = args;
	for (size_t i = 0; i < dirs->n; i++) {
		if (load_dir(dirs->v[i], out, e) == 0)
			continue;
		hr_hint(e, "hooks_dir in hpcrun.conf names the directory; its hooks are the "
			   "administrator's");
		return -1;
	}
	return 0;
}

void rt_hooks_release(struct rt_hooks *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		rt_hook_release(&l->v[i].hook);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

bool rt_hooks_any(const struct rt_hooks *l, enum rt_hook_stage stage)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].hook.stages[stage])
			return true;
	return false;
}

/*
 * The state of the container as OCI runtimes give it to hooks, and as "root" where its tree is:
 * before the root is changed ".." of the host's root is what was mounted on top of it.
 */
static char *state_text(const struct rt_hooks *l, enum rt_hook_stage stage, pid_t pid)
{
	static const char *const status[] = { "creating", "creating", "created", "stopped" };
	HR_CLEANUP(annotations_release) struct annotations known = annotations(l->args);
	json_auto_t *o =
		json_pack("{s:s, s:s, s:s, s:s, s:{}}", "ociVersion", OCI_VERSION, "id",
			  l->args->key, "status", status[stage], "bundle", "/", "annotations");
	char *text;

	HR_BUG_ON(!o);
	for (size_t i = 0; i < known.n; i++) /* what is not UTF-8 is left out */
		(void)json_object_set_new(json_object_get(o, "annotations"), known.v[i].key,
					  json_string(known.v[i].value));
	if (pid > 0)
		json_object_set_new(o, "pid", json_integer(pid));
	/* the kernel shows the image to processes in the container's namespaces only */
	if (stage == RT_HOOK_CREATE_CONTAINER)
		json_object_set_new(o, "root", json_string("/.."));
	else if (stage == RT_HOOK_START_CONTAINER)
		json_object_set_new(o, "root", json_string("/"));
	text = json_dumps(o, JSON_COMPACT);
	HR_BUG_ON(!text);
	return text;
}

static int state_file(const struct rt_hooks *l, enum rt_hook_stage stage, pid_t pid,
		      struct hr_err *e)
{
	hr_autofree char *text = state_text(l, stage, pid);
	hr_autofd int fd = memfd_create("hpcrun-state", MFD_CLOEXEC);

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	if (hr_write_all(fd, text, strlen(text), "the state of the container", e) < 0)
		return -1;
	return hr_steal_fd(&fd);
}

/* What the child of one hook needs to know. */
struct turn {
	const struct rt_hooks *hooks;
	enum rt_hook_stage stage;
};

/* In the hook's process, before it is executed: the rights that its stage has. */
static int prepare(const void *arg, struct hr_err *e)
{
	const struct turn *t = arg;
	hr_autobuf struct hr_buf filter = { 0 };

	if (t->stage == RT_HOOK_CREATE_CONTAINER)
		return rt_caps_keep(e);
	if (t->stage != RT_HOOK_START_CONTAINER)
		return 0;
	/* it may be the image's program: no more rights than the image's other programs */
	if (!t->hooks->filter && rt_seccomp_compile(NULL, false, &filter, e) < 0)
		return -1;
	if (rt_caps_drop(t->hooks->args->fakeroot, 0, e) < 0)
		return -1;
	if (t->hooks->filter)
		return rt_seccomp_install(t->hooks->filter->p, t->hooks->filter->len, e);
	return rt_seccomp_install(filter.p, filter.len, e);
}

static int run_one(const struct rt_hooks_entry *entry, const struct turn *t, int state,
		   struct hr_err *e)
{
	static char path_default[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	const struct rt_hook *h = &entry->hook;
	char *only_path[] = { h->path, NULL }, *default_env[] = { path_default, NULL };
	struct rt_child child = { .path = h->path,
				  .argv = h->args.n > 0 ? h->args.v : only_path,
				  .env = h->env.n > 0 ? h->env.v : default_env,
				  .input = state,
				  .timeout_s = h->timeout_s,
				  .prepare = prepare,
				  .arg = t };

	if (lseek(state, 0, SEEK_SET) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot rewind a memory file");
	if (rt_child_run(&child, e) == 0)
		return 0;
	hr_wrap(e, "hook '%s' (%s)", entry->name, rt_hook_stage_names[t->stage]);
	hr_hint(e, "the hook is the site's: hooks_dir in hpcrun.conf names its directory");
	return -1;
}

int rt_hooks_run(const struct rt_hooks *l, enum rt_hook_stage stage, pid_t pid, struct hr_err *e)
{
	struct turn t = { .hooks = l, .stage = stage };
	hr_autofd int state = -1;

	if (!rt_hooks_any(l, stage))
		return 0;
	state = state_file(l, stage, pid, e);
	if (state < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		struct hr_err one = { 0 };

		if (!l->v[i].hook.stages[stage] || run_one(&l->v[i], &t, state, &one) == 0)
			continue;
		if (e->kind == HR_OK)
			*e = one;
		if (stage != RT_HOOK_POSTSTOP)
			break;
	}
	return e->kind == HR_OK ? 0 : -1;
}

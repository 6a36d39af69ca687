/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/cdi_hook.h"

#include <string.h>

#include "runtime/bind.h"
#include "util/cleanup.h"
#include "util/poison.h"

/* Programs whose verbs are those below, by the last part of their paths. */
static const char *const programs[] = { "nvidia-cdi-hook", "nvidia-ctk", "amd-ctk", NULL };

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* TARGET::PATH */
static int add_link(struct rt_cdi_edits *x, const char *value, struct hr_err *e)
{
	const char *sep = strstr(value, "::");
	char *path = sep && sep != value ? rt_path_normal(sep + 2) : NULL;

	if (!path)
		return hr_fail(e, HR_CORRUPT, 0, "link '%.128s' is not TARGET::PATH", value);
	x->links = hr_xrealloc(x->links, (x->n_links + 1) * sizeof(*x->links));
	x->links[x->n_links++] =
		(struct rt_cdi_link) { .target = hr_xstrndup(value, (size_t)(sep - value)),
				       .path = path };
	return 0;
}

static int add_folder(struct rt_cdi_edits *x, const char *value, struct hr_err *e)
{
	char *path = rt_path_normal(value);

	if (!path)
		return hr_fail(e, HR_CORRUPT, 0, "folder '%.128s' is not an absolute path", value);
	hr_strv_take(&x->folders, path);
	return 0;
}

static const struct verb {
	const char *name;
	const char *option; /* repeated; NULL: the verb is left out */
	int (*add)(struct rt_cdi_edits *x, const char *value, struct hr_err *e);
	const char *why; /* it is left out */
} verbs[] = {
	{ "create-symlinks", "--link", add_link, NULL },
	{ "update-ldcache", "--folder", add_folder, NULL },
	/* a library that the loader is to find, it finds by its soname */
	{ "create-soname-symlinks", "--folder", add_folder, NULL },
	{ "chmod", NULL, NULL, "modes of device directories are the host's" },
	{ "enable-cuda-compat", NULL, NULL,
	  "an image that wants its own CUDA compatibility libraries names them in "
	  "LD_LIBRARY_PATH" },
	{ "disable-device-node-modification", NULL, NULL, "nobody inside can make device nodes" },
	{ "update-nvidia-params", NULL, NULL, "nobody inside can make device nodes" },
	{ "apply-cuda-memory-limits", NULL, NULL, "limits of a GPU's memory take privilege" },
	{ "check-requirements", NULL, NULL,
	  "what an image asks of the driver with NVIDIA_REQUIRE_* is not looked at" },
	{ "update-application-profile", NULL, NULL, "it is for graphics" },
};

/* Options of the verbs above that do not change what is done here. */
static const char *const without_meaning[] = { "--ldconfig-path", "--container-spec",
					       "--host-driver-version", NULL };

/*
 * The option at argument *I, "--name=value" or "--name" "value": its value, *I at its last word;
 * NULL when it is another one.
 */
static const char *option_value(const struct hr_strv *args, size_t *i, const char *name)
{
	const char *arg = args->v[*i];
	size_t len = strlen(name);

	if (strncmp(arg, name, len) != 0)
		return NULL;
	if (arg[len] == '=')
		return arg + len + 1;
	return arg[len] == '\0' && *i + 1 < args->n ? args->v[++*i] : NULL;
}

static bool is_without_meaning(const struct hr_strv *args, size_t *i)
{
	for (size_t k = 0; without_meaning[k]; k++)
		if (option_value(args, i, without_meaning[k]))
			return true;
	return false;
}

static int apply(const struct verb *v, const struct hr_strv *args, size_t first,
		 struct rt_cdi_edits *x, struct hr_err *e)
{
	if (!v->option) {
		hr_strv_take(&x->skipped, hr_xasprintf("%s: %s", v->name, v->why));
		return 0;
	}
	for (size_t i = first; i < args->n; i++) {
		const char *value = option_value(args, &i, v->option);

		if (value && v->add(x, value, e) < 0)
			return -1;
		if (!value && !is_without_meaning(args, &i))
			return hr_fail(e, HR_CORRUPT, 0, "argument '%.64s' of %s is not known",
				       args->v[i], v->name);
	}
	return 0;
}

int rt_cdi_hook(const char *path, const struct hr_strv *args, struct rt_cdi_edits *x,
		struct hr_err *e)
{
	const char *program = last_part(path), *verb;
	size_t at = 1, i = 0;

	while (programs[i] && strcmp(programs[i], program) != 0)
		i++;
	if (!programs[i]) {
		hr_fail(e, HR_CORRUPT, 0, "the hook '%.128s' is not one that hpcrun knows", path);
		hr_hint(e, "hooks of CDI files are not run; hpcrun-run(1), --gpu, lists those that "
			   "are understood");
		return -1;
	}
	if (at < args->n && strcmp(args->v[at], "hook") == 0)
		at++;
	verb = at < args->n ? args->v[at] : "";
	for (i = 0; i < HR_COUNT(verbs); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return apply(&verbs[i], args, at + 1, x, e);
	return hr_fail(e, HR_CORRUPT, 0, "the hook '%s %.64s' is not one that hpcrun knows",
		       program, verb);
}

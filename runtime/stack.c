/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/stack.h"

#include <fcntl.h>
#include <ini.h>
#include <string.h>

#include "runtime/env.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/opt.h"
#include "util/poison.h"

#define STACK_FILE_LIMIT (256 * 1024)

typedef int set_fn(struct rt_stack *s, const char *value, struct hr_err *e);

/* The next word of *TEXT, which moves behind it; NULL: no more. */
static char *next_word(const char **text)
{
	size_t n;

	*text += strspn(*text, " \t");
	n = strcspn(*text, " \t");
	*text += n;
	return n > 0 ? hr_xstrndup(*text - n, n) : NULL;
}

/* A soname, or an absolute path if WITH_PATH. */
static bool is_library(const char *s, bool with_path)
{
	return strchr(s, '/') ? with_path && s[0] == '/' : strstr(s, ".so") != NULL;
}

static int set_library(struct rt_stack *s, const char *value, struct hr_err *e)
{
	char *host = next_word(&value), *name;
	struct rt_stack_lib *lib;

	s->libs = hr_xrealloc(s->libs, (s->n_libs + 1) * sizeof(*s->libs));
	lib = &s->libs[s->n_libs++];
	*lib = (struct rt_stack_lib) { .host = host ? host : hr_xstrdup("") };
	while ((name = next_word(&value)) != NULL)
		hr_strv_take(&lib->names, name);
	if (!is_library(lib->host, true))
		return hr_fail(e, HR_USAGE, 0,
			       "library: '%s' is neither a soname nor an absolute path", lib->host);
	for (size_t i = 0; i < lib->names.n; i++)
		if (!is_library(lib->names.v[i], false))
			return hr_fail(e, HR_USAGE, 0, "library: '%s' is not a soname",
				       lib->names.v[i]);
	return 0;
}

static int set_extra(struct rt_stack *s, const char *value, struct hr_err *e)
{
	if (!is_library(value, true))
		return hr_fail(e, HR_USAGE, 0,
			       "extra: '%s' is neither a soname nor an absolute path", value);
	hr_strv_add(&s->extra, value);
	return 0;
}

static int set_dir(struct hr_strv *l, const char *key, const char *value, struct hr_err *e)
{
	char *dir = rt_path_normal(value);

	if (!dir || strchr(value, ':')) {
		free(dir);
		return hr_fail(e, HR_USAGE, 0, "%s: '%s' is not an absolute path without '..'", key,
			       value);
	}
	hr_strv_take(l, dir);
	return 0;
}

static int set_plugins(struct rt_stack *s, const char *value, struct hr_err *e)
{
	return set_dir(&s->plugins, "plugins", value, e);
}

static int set_path(struct rt_stack *s, const char *value, struct hr_err *e)
{
	return set_dir(&s->path, "path", value, e);
}

static int set_image_path(struct rt_stack *s, const char *value, struct hr_err *e)
{
	return set_dir(&s->image_path, "image_path", value, e);
}

static int set_device(struct rt_stack *s, const char *value, struct hr_err *e)
{
	return set_dir(&s->devices, "device", value, e);
}

static int set_env(struct rt_stack *s, const char *value, struct hr_err *e)
{
	if (!rt_env_entry_ok(value))
		return hr_fail(e, HR_USAGE, 0, "env: '%s' is not NAME=VALUE", value);
	hr_strv_add(&s->env, value);
	return 0;
}

static int set_bind(struct rt_stack *s, const char *value, struct hr_err *e)
{
	return rt_bind_parse(&s->binds, value, "/", e);
}

static const struct stack_key {
	const char *name;
	set_fn *set;
} keys[] = {
	{ "library", set_library },
	{ "extra", set_extra },
	{ "plugins", set_plugins },
	{ "path", set_path },
	{ "image_path", set_image_path },
	{ "device", set_device },
	{ "env", set_env },
	{ "bind", set_bind },
};

struct parse_state {
	struct rt_stack *s;
	struct hr_err *e;
};

/* inih's handler: 0 is an error there. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	const char *names[HR_COUNT(keys) + 1] = { NULL };
	struct parse_state *p = user;
	const char *near;

	if (p->e->kind != HR_OK)
		return 0;
	if (section[0] != '\0') {
		hr_fail(p->e, HR_USAGE, 0, "unknown section '[%s]'", section);
		return 0;
	}
	for (size_t i = 0; i < HR_COUNT(keys); i++) {
		names[i] = keys[i].name;
		if (strcmp(keys[i].name, name) == 0)
			return keys[i].set(p->s, value, p->e) == 0;
	}
	hr_fail(p->e, HR_USAGE, 0, "unknown key '%s'", name);
	near = hr_nearest(name, names);
	if (near)
		hr_hint(p->e, "did you mean '%s'? hpcrun-mpi(5) lists the keys", near);
	return 0;
}

static char *short_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t n = strlen(base);

	if (n > 5 && strcmp(base + n - 5, ".conf") == 0)
		n -= 5;
	return hr_xstrndup(base, n);
}

int rt_stack_parse(const char *name, const char *text, struct rt_stack *out, struct hr_err *e)
{
	struct parse_state p = { out, e };
	int line;

	memset(out, 0, sizeof(*out));
	out->name = short_name(name);
	out->text = hr_xstrdup(text);
	line = ini_parse_string(text, on_key, &p);
	if (line == 0 && e->kind == HR_OK && out->n_libs == 0)
		return hr_fail(e, HR_USAGE, 0, "%s: no library is named", name);
	if (line == 0 && e->kind == HR_OK)
		return 0;
	if (e->kind == HR_OK)
		hr_fail(e, HR_USAGE, 0, "not a 'key = value' line");
	return hr_wrap(e, "%s, line %d", name, line);
}

int rt_stack_load(const char *what, struct rt_stack *out, struct hr_err *e)
{
	static const char *const dirs[] = { HPCRUN_SYSCONFDIR "/hpcrun/mpi",
					    HPCRUN_DATADIR "/mpi" };
	hr_autobuf struct hr_buf text = { 0 };

	memset(out, 0, sizeof(*out));
	if (what[0] == '/') {
		if (hr_file_read(AT_FDCWD, what, STACK_FILE_LIMIT, &text, e) < 0)
			return hr_wrap(e, "mpi_stack");
		hr_buf_str(&text, "");
		return rt_stack_parse(what, (const char *)text.p, out, e);
	}
	for (size_t i = 0; i < HR_COUNT(dirs) && !strchr(what, '/'); i++) {
		hr_autofree char *path = hr_xasprintf("%s/%s.conf", dirs[i], what);

		if (hr_file_read(AT_FDCWD, path, STACK_FILE_LIMIT, &text, e) == 0) {
			hr_buf_str(&text, "");
			return rt_stack_parse(path, (const char *)text.p, out, e);
		}
		if (e->kind != HR_NOTFOUND)
			return hr_wrap(e, "mpi_stack");
		hr_err_clear(e);
	}
	hr_fail(e, HR_NOTFOUND, 0, "mpi_stack '%s' is not defined", what);
	hr_hint(e, "it is an absolute path, or the name of a file %s/NAME.conf or %s/NAME.conf",
		dirs[0], dirs[1]);
	return -1;
}

void rt_stack_release(struct rt_stack *s)
{
	struct hr_strv *lists[] = { &s->extra,	    &s->plugins, &s->path,
				    &s->image_path, &s->env,	 &s->devices };

	for (size_t i = 0; i < s->n_libs; i++) {
		free(s->libs[i].host);
		hr_strv_release(&s->libs[i].names);
	}
	free(s->libs);
	for (size_t i = 0; i < HR_COUNT(lists); i++)
		hr_strv_release(lists[i]);
	rt_binds_release(&s->binds);
	free(s->name);
	free(s->text);
	memset(s, 0, sizeof(*s));
}

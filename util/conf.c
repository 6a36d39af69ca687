/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/conf.h"

#include <fcntl.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/opt.h"
#include "util/poison.h"

#define CONF_FILE_LIMIT (1024 * 1024)

enum key_kind { KEY_STRING, KEY_LIST, KEY_U64, KEY_SIZE, KEY_CHOICE };

static const char *const verify_words[] = { "fast", "full", NULL };
static const char *const no_yes_words[] = { "no", "yes", NULL };
static const char *const gpu_words[] = { "none", "auto", "all", NULL };
static const char *const mpi_words[] = { "auto", "image", "off", NULL };
static const char *const prefetch_words[] = { "none", "trace", "all", NULL };

static const struct conf_key {
	const char *name;
	enum key_kind kind;
	size_t offset;
	uint64_t min, max;
	const char *const *words; /* CHOICE: the member is an int, the index into these */
} keys[] = {
	{ "store", KEY_LIST, offsetof(struct hr_conf, stores), 0, 0, NULL },
	{ "bind", KEY_LIST, offsetof(struct hr_conf, binds), 0, 0, NULL },
	{ "hooks_dir", KEY_LIST, offsetof(struct hr_conf, hooks_dirs), 0, 0, NULL },
	{ "gpu", KEY_CHOICE, offsetof(struct hr_conf, gpu), 0, 0, gpu_words },
	{ "cdi_dir", KEY_LIST, offsetof(struct hr_conf, cdi_dirs), 0, 0, NULL },
	{ "gpu_lists", KEY_STRING, offsetof(struct hr_conf, gpu_lists), 0, 0, NULL },
	{ "mpi", KEY_CHOICE, offsetof(struct hr_conf, mpi), 0, 0, mpi_words },
	{ "mpi_stack", KEY_LIST, offsetof(struct hr_conf, mpi_stacks), 0, 0, NULL },
	{ "insecure_registry", KEY_LIST, offsetof(struct hr_conf, insecure_registries), 0, 0,
	  NULL },
	{ "mirror", KEY_LIST, offsetof(struct hr_conf, mirrors), 0, 0, NULL },
	{ "cache", KEY_STRING, offsetof(struct hr_conf, cache), 0, 0, NULL },
	{ "cache_size", KEY_SIZE, offsetof(struct hr_conf, cache_bytes), UINT64_C(64) << 20,
	  UINT64_C(1) << 60, NULL },
	{ "outage_wait", KEY_U64, offsetof(struct hr_conf, outage_s), 0, 86400, NULL },
	{ "ca_file", KEY_STRING, offsetof(struct hr_conf, ca_file), 0, 0, NULL },
	{ "proxy", KEY_STRING, offsetof(struct hr_conf, http_proxy), 0, 0, NULL },
	{ "serve_memory", KEY_SIZE, offsetof(struct hr_conf, serve_memory), UINT64_C(16) << 20,
	  UINT64_C(1) << 40, NULL },
	{ "session_linger", KEY_U64, offsetof(struct hr_conf, linger_s), 0, 86400, NULL },
	{ "compress_level", KEY_U64, offsetof(struct hr_conf, compress_level), 1, 19, NULL },
	{ "import_max_bytes", KEY_SIZE, offsetof(struct hr_conf, import_max_bytes), 1,
	  UINT64_C(1) << 50, NULL },
	{ "gc_grace", KEY_U64, offsetof(struct hr_conf, gc_grace_h), 0, HR_CONF_GRACE_MAX_H, NULL },
	{ "verify", KEY_CHOICE, offsetof(struct hr_conf, verify_full), 0, 0, verify_words },
	{ "push", KEY_CHOICE, offsetof(struct hr_conf, push), 0, 0, no_yes_words },
	{ "upstream", KEY_CHOICE, offsetof(struct hr_conf, upstream), 0, 0, no_yes_words },
	{ "native_files", KEY_CHOICE, offsetof(struct hr_conf, native_files), 0, 0, no_yes_words },
	{ "prefetch", KEY_CHOICE, offsetof(struct hr_conf, prefetch), 0, 0, prefetch_words },
};

void hr_conf_init(struct hr_conf *c)
{
	memset(c, 0, sizeof(*c));
	c->serve_memory = UINT64_C(192) << 20;
	c->linger_s = 30;
	c->cache_bytes = UINT64_C(50) << 30;
	c->outage_s = 600;
	c->upstream = 1;
	c->gc_grace_h = HR_CONF_GRACE_BY_FS;
	c->prefetch = HR_PREFETCH_TRACE;
	c->native_files = 1;
	c->compress_level = 1;
	c->import_max_bytes = UINT64_C(1) << 40;
}

void hr_conf_release(struct hr_conf *c)
{
	hr_strv_release(&c->stores);
	hr_strv_release(&c->binds);
	hr_strv_release(&c->mpi_stacks);
	hr_strv_release(&c->hooks_dirs);
	hr_strv_release(&c->cdi_dirs);
	free(c->gpu_lists);
	hr_strv_release(&c->insecure_registries);
	hr_strv_release(&c->mirrors);
	free(c->cache);
	free(c->ca_file);
	free(c->http_proxy);
	memset(c, 0, sizeof(*c));
}

static int set_choice(const struct conf_key *k, const char *value, int *at, struct hr_err *e)
{
	hr_autobuf struct hr_buf known = { 0 };

	for (int i = 0; k->words[i]; i++) {
		if (strcmp(k->words[i], value) == 0) {
			*at = i;
			return 0;
		}
		hr_buf_printf(&known, "%s%s", i == 0 ? "" : ", ", k->words[i]);
	}
	return hr_fail(e, HR_USAGE, 0, "%s: '%s' is not one of %s", k->name, value,
		       (const char *)known.p);
}

static int set_key(struct hr_conf *c, const struct conf_key *k, const char *value, struct hr_err *e)
{
	void *at = (char *)c + k->offset;

	switch (k->kind) {
	case KEY_STRING:
		free(*(char **)at);
		*(char **)at = hr_xstrdup(value);
		return 0;
	case KEY_LIST:
		hr_strv_add(at, value);
		return 0;
	case KEY_U64:
		return hr_parse_u64(value, k->name, k->min, k->max, at, e);
	case KEY_SIZE:
		return hr_parse_size(value, k->name, k->min, k->max, at, e);
	case KEY_CHOICE:
		return set_choice(k, value, at, e);
	}
	return 0;
}

struct parse_state {
	struct hr_conf *c;
	struct hr_err *e;
};

/* inih's handler: 0 is an error there. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct parse_state *s = user;
	const char *names[HR_COUNT(keys) + 1] = { NULL };
	const char *near;

	if (s->e->kind != HR_OK)
		return 0;
	if (section[0] != '\0') {
		hr_fail(s->e, HR_USAGE, 0, "unknown section '[%s]'", section);
		return 0;
	}
	for (size_t i = 0; i < HR_COUNT(keys); i++) {
		names[i] = keys[i].name;
		if (strcmp(keys[i].name, name) == 0)
			return set_key(s->c, &keys[i], value, s->e) == 0;
	}
	hr_fail(s->e, HR_USAGE, 0, "unknown key '%s'", name);
	near = hr_nearest(name, names);
	if (near)
		hr_hint(s->e, "did you mean '%s'? hpcrun.conf(5) lists the keys", near);
	return 0;
}

int hr_conf_parse(struct hr_conf *c, const char *name, const char *text, struct hr_err *e)
{
	struct parse_state s = { c, e };
	int line = ini_parse_string(text, on_key, &s);

	if (line == 0 && e->kind == HR_OK)
		return 0;
	if (e->kind == HR_OK)
		hr_fail(e, HR_USAGE, 0, "not a 'key = value' line");
	return hr_wrap(e, "%s, line %d", name, line);
}

static int load_file(struct hr_conf *c, const char *path, struct hr_err *e)
{
	hr_autobuf struct hr_buf text = { 0 };
	struct hr_err missing = { 0 };

	if (hr_file_read(AT_FDCWD, path, CONF_FILE_LIMIT, &text, &missing) < 0) {
		if (missing.kind == HR_NOTFOUND)
			return 0;
		*e = missing;
		return hr_wrap(e, "cannot read the configuration");
	}
	if (text.len == 0)
		return 0;
	return hr_conf_parse(c, path, (const char *)text.p, e);
}

/* A HOME that is not the caller's, as after a change of user, is no reason to fail. */
static int load_users(struct hr_conf *c, const char *path, struct hr_err *e)
{
	if (load_file(c, path, e) == 0)
		return 0;
	if (e->kind != HR_DENIED)
		return -1;
	hr_warn("%s; going on without it", e->text);
	hr_err_clear(e);
	return 0;
}

int hr_conf_load(struct hr_conf *c, struct hr_err *e)
{
	const char *site = getenv("HPCRUN_CONF");
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	hr_autofree char *user = NULL;

	hr_conf_init(c);
	if (load_file(c, site && site[0] ? site : HPCRUN_SYSCONFDIR "/hpcrun/hpcrun.conf", e) < 0)
		return -1;
	if (xdg && xdg[0] == '/')
		user = hr_xasprintf("%s/hpcrun/hpcrun.conf", xdg);
	else if (home && home[0] == '/')
		user = hr_xasprintf("%s/.config/hpcrun/hpcrun.conf", home);
	return user ? load_users(c, user, e) : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/conf.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/opt.h"
#include "util/poison.h"

enum key_kind { KEY_STRING, KEY_LIST, KEY_U64, KEY_SIZE, KEY_CHOICE, KEY_LOCKED };

static const char *const verify_words[] = { "fast", "full", NULL };
static const char *const no_yes_words[] = { "no", "yes", NULL };
static const char *const gpu_words[] = { "none", "auto", "all", NULL };
static const char *const mpi_words[] = { "auto", "image", "off", NULL };
static const char *const prefetch_words[] = { "none", "trace", "all", NULL };
static const char *const path_starts[] = { "/", NULL };
static const char *const url_starts[] = { "https://", "http://", NULL };
static const char *const store_starts[] = { "/", "https://", "http://", NULL };

#define AT(member) offsetof(struct hr_conf, member)

/* The defaults stand in hpcrun.conf(5), too: tests/lint/conf compares them. */
static const struct conf_key {
	const char *name;
	enum key_kind kind;
	size_t offset;
	const char *preset; /* the default as it would be written, or NULL: nothing is set */
	uint64_t min, max;
	/* CHOICE: the member is an int, the index into these. STRING, LIST: what a value begins
	 * with, NULL: anything */
	const char *const *words;
} keys[] = {
	{ "store", KEY_LIST, AT(stores), NULL, 0, 0, store_starts },
	{ "store_owner", KEY_LIST, AT(owners), NULL, 0, 0, NULL },
	{ "bind", KEY_LIST, AT(binds), NULL, 0, 0, NULL },
	{ "hooks_dir", KEY_LIST, AT(hooks_dirs), NULL, 0, 0, path_starts },
	{ "gpu", KEY_CHOICE, AT(gpu), "none", 0, 0, gpu_words },
	{ "cdi_dir", KEY_LIST, AT(cdi_dirs), NULL, 0, 0, path_starts },
	{ "gpu_lists", KEY_STRING, AT(gpu_lists), NULL, 0, 0, path_starts },
	{ "mpi", KEY_CHOICE, AT(mpi), "auto", 0, 0, mpi_words },
	{ "mpi_stack", KEY_LIST, AT(mpi_stacks), NULL, 0, 0, NULL },
	{ "insecure_registry", KEY_LIST, AT(insecure_registries), NULL, 0, 0, NULL },
	{ "mirror", KEY_LIST, AT(mirrors), NULL, 0, 0, url_starts },
	{ "cache", KEY_STRING, AT(cache), NULL, 0, 0, path_starts },
	{ "cache_size", KEY_SIZE, AT(cache_bytes), "50G", UINT64_C(64) << 20, UINT64_C(1) << 60,
	  NULL },
	{ "outage_wait", KEY_U64, AT(outage_s), "600", 0, 86400, NULL },
	{ "ca_file", KEY_STRING, AT(ca_file), NULL, 0, 0, path_starts },
	{ "proxy", KEY_STRING, AT(http_proxy), NULL, 0, 0, NULL },
	{ "serve_memory", KEY_SIZE, AT(serve_memory), "192M", UINT64_C(16) << 20, UINT64_C(1) << 40,
	  NULL },
	{ "session_linger", KEY_U64, AT(linger_s), "30", 0, 86400, NULL },
	{ "compress_level", KEY_U64, AT(compress_level), "1", 1, 19, NULL },
	{ "import_max_bytes", KEY_SIZE, AT(import_max_bytes), "1T", 1, UINT64_C(1) << 50, NULL },
	{ "gc_grace", KEY_U64, AT(gc_grace_h), NULL, 0, HR_CONF_GRACE_MAX_H, NULL },
	{ "verify", KEY_CHOICE, AT(verify_full), "fast", 0, 0, verify_words },
	{ "push", KEY_CHOICE, AT(push), "no", 0, 0, no_yes_words },
	{ "upstream", KEY_CHOICE, AT(upstream), "yes", 0, 0, no_yes_words },
	{ "native_files", KEY_CHOICE, AT(native_files), "yes", 0, 0, no_yes_words },
	{ "prefetch", KEY_CHOICE, AT(prefetch), "trace", 0, 0, prefetch_words },
	{ "locked", KEY_LOCKED, 0, NULL, 0, 0, NULL },
};

/* What was said of a key, and where: "FILE, line N". */
struct hr_conf_set {
	struct hr_strv origins; /* of the values, in their order; none: the default holds */
	char *locked;		/* or NULL */
	bool kept;		/* locked, and not by the files that are read now */
};

static const struct conf_key *find_key(const char *name)
{
	for (size_t i = 0; i < HR_COUNT(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static struct hr_conf_set *set_of(const struct hr_conf *c, const struct conf_key *k)
{
	return &c->set[k - keys];
}

static int unknown_key(const char *name, struct hr_err *e)
{
	const char *names[HR_COUNT(keys) + 1] = { NULL };
	const char *near;

	for (size_t i = 0; i < HR_COUNT(keys); i++)
		names[i] = keys[i].name;
	hr_fail(e, HR_USAGE, 0, "unknown key '%s'", name);
	near = hr_nearest(name, names);
	if (near)
		hr_hint(e, "did you mean '%s'? hpcrun.conf(5) lists the keys", near);
	return -1;
}

/* ---- values ---- */

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

static bool starts_well(const struct conf_key *k, const char *value)
{
	for (int i = 0; k->words[i]; i++)
		if (strncmp(value, k->words[i], strlen(k->words[i])) == 0)
			return true;
	return false;
}

/* A path that is not absolute would depend on where each process runs. */
static int check_start(const struct conf_key *k, const char *value, struct hr_err *e)
{
	hr_autobuf struct hr_buf known = { 0 };

	if (starts_well(k, value))
		return 0;
	for (int i = 0; k->words[i]; i++)
		hr_buf_printf(&known, "%s'%s'", i == 0 ? "" : ", ", k->words[i]);
	return hr_fail(e, HR_USAGE, 0, "%s: '%s' begins with none of %s", k->name, value,
		       (const char *)known.p);
}

/* Variables have several values with blanks between them, a line has not. A path may have a blank.
 */
static int check_single(const struct conf_key *k, const char *value, struct hr_err *e)
{
	bool url = value[0] != '/';

	for (const char *p = value; (p = strpbrk(p, " \t")); p++) {
		if (!url && !starts_well(k, p + 1))
			continue;
		hr_hint(e, "a line has one value%s",
			k->kind == KEY_LIST ? "; write a line for each" : "");
		return hr_fail(e, HR_USAGE, 0, "%s: '%s' has a blank in it", k->name, value);
	}
	return 0;
}

static int check_place(const struct conf_key *k, const char *value, struct hr_err *e)
{
	if (!k->words)
		return 0;
	return check_start(k, value, e) < 0 ? -1 : check_single(k, value, e);
}

static int set_value(struct hr_conf *c, const struct conf_key *k, const char *value,
		     struct hr_err *e)
{
	void *at = (char *)c + k->offset;

	switch (k->kind) {
	case KEY_STRING:
		if (check_place(k, value, e) < 0)
			return -1;
		free(*(char **)at);
		*(char **)at = hr_xstrdup(value);
		return 0;
	case KEY_LIST:
		if (check_place(k, value, e) < 0)
			return -1;
		hr_strv_add(at, value);
		return 0;
	case KEY_U64:
		return hr_parse_u64(value, k->name, k->min, k->max, at, e);
	case KEY_SIZE:
		return hr_parse_size(value, k->name, k->min, k->max, at, e);
	case KEY_CHOICE:
		return set_choice(k, value, at, e);
	case KEY_LOCKED:
		break;
	}
	return 0;
}

/* Back to the default, and as if nothing had been said of it. */
static void reset(struct hr_conf *c, const struct conf_key *k)
{
	void *at = (char *)c + k->offset;
	struct hr_err e = { 0 };

	hr_strv_release(&set_of(c, k)->origins);
	if (k->kind == KEY_STRING)
		free(hr_steal((char **)at));
	else if (k->kind == KEY_LIST)
		hr_strv_release(at);
	if (k->preset)
		HR_BUG_ON(set_value(c, k, k->preset, &e) < 0);
	else if (k->kind == KEY_U64)
		*(uint64_t *)at = HR_CONF_GRACE_BY_FS; /* gc_grace: nobody has said */
}

void hr_conf_init(struct hr_conf *c)
{
	memset(c, 0, sizeof(*c));
	c->set = hr_xmalloc(HR_COUNT(keys) * sizeof(*c->set));
	for (size_t i = 0; i < HR_COUNT(keys); i++)
		reset(c, &keys[i]);
}

void hr_conf_release(struct hr_conf *c)
{
	for (size_t i = 0; c->set && i < HR_COUNT(keys); i++) {
		reset(c, &keys[i]);
		free(c->set[i].locked);
	}
	free(c->set);
	memset(c, 0, sizeof(*c));
}

/* ---- locks ---- */

/* "locked = KEY KEY" at WHERE. */
static int lock_keys(struct hr_conf *c, const char *names, const char *where, struct hr_err *e)
{
	char *next;

	while ((next = hr_next_word(&names, " \t"))) {
		hr_autofree char *name = next;
		const struct conf_key *k = find_key(name);

		if (!k)
			return unknown_key(name, e);
		if (!set_of(c, k)->locked)
			set_of(c, k)->locked = hr_xstrdup(where);
	}
	return 0;
}

void hr_conf_keep_locked(struct hr_conf *c)
{
	for (size_t i = 0; i < HR_COUNT(keys); i++) {
		c->set[i].kept = c->set[i].locked != NULL;
		if (!c->set[i].kept)
			reset(c, &keys[i]);
	}
}

int hr_conf_check_override(const struct hr_conf *c, const char *key, const char *how,
			   struct hr_err *e)
{
	const struct conf_key *k = find_key(key);

	HR_BUG_ON(!k);
	if (!set_of(c, k)->locked)
		return 0;
	hr_fail(e, HR_DENIED, 0, "%s cannot be used here: this site has locked '%s' (%s)", how, key,
		set_of(c, k)->locked);
	hr_hint(e, "leave it out; hpcrun.conf(5), LOCKED KEYS");
	return -1;
}

int hr_conf_set(struct hr_conf *c, const char *key, const char *value, const char *where,
		enum hr_conf_level level, struct hr_err *e)
{
	const struct conf_key *k = find_key(key);
	struct hr_conf_set *set;

	if (!k)
		return unknown_key(key, e);
	if (k->kind == KEY_LOCKED)
		return level == HR_CONF_SITE ? lock_keys(c, value, where, e)
					     : hr_fail(e, HR_USAGE, 0,
						       "'locked' is for the site's configuration");
	set = set_of(c, k);
	if (set->locked && (level == HR_CONF_USER || set->kept)) {
		hr_warn("%s: passing over '%s', which this site has locked (%s)", where, k->name,
			set->locked);
		return 0;
	}
	if (set_value(c, k, value, e) < 0)
		return -1;
	if (k->kind != KEY_LIST)
		hr_strv_release(&set->origins);
	hr_strv_add(&set->origins, where);
	return 0;
}

/* ---- showing ---- */

static void add_size(struct hr_strv *l, uint64_t v)
{
	static const char units[] = "KMGT";
	const char *unit = "";

	for (size_t i = 0; v > 0 && v % 1024 == 0 && units[i]; i++) {
		v /= 1024;
		unit = &units[i];
	}
	hr_strv_take(l, hr_xasprintf("%" PRIu64 "%.1s", v, unit));
}

static void add_values(const struct hr_conf *c, const struct conf_key *k, struct hr_strv *out)
{
	const void *at = (const char *)c + k->offset;
	const struct hr_strv *list = at;

	switch (k->kind) {
	case KEY_STRING:
		if (*(char *const *)at)
			hr_strv_add(out, *(char *const *)at);
		return;
	case KEY_LIST:
		for (size_t i = 0; i < list->n; i++)
			hr_strv_add(out, list->v[i]);
		return;
	case KEY_U64:
		if (*(const uint64_t *)at <= k->max)
			hr_strv_take(out, hr_xasprintf("%" PRIu64, *(const uint64_t *)at));
		return;
	case KEY_SIZE:
		add_size(out, *(const uint64_t *)at);
		return;
	case KEY_CHOICE:
		hr_strv_add(out, k->words[*(const int *)at]);
		return;
	case KEY_LOCKED:
		for (size_t i = 0; i < HR_COUNT(keys); i++)
			if (c->set[i].locked)
				hr_strv_add(out, keys[i].name);
		return;
	}
}

size_t hr_conf_items(void)
{
	return HR_COUNT(keys);
}

void hr_conf_item(const struct hr_conf *c, size_t i, struct hr_conf_item *out)
{
	const struct hr_conf_set *set = &c->set[i];

	*out = (struct hr_conf_item) { .name = keys[i].name, .locked = set->locked };
	add_values(c, &keys[i], &out->values);
	if (keys[i].kind == KEY_LOCKED) {
		for (size_t k = 0; k < HR_COUNT(keys); k++)
			if (c->set[k].locked)
				hr_strv_add(&out->origins, c->set[k].locked);
		return;
	}
	for (size_t k = 0; k < out->values.n; k++)
		hr_strv_add(&out->origins, k < set->origins.n ? set->origins.v[k] : "default");
}

void hr_conf_item_release(struct hr_conf_item *item)
{
	hr_strv_release(&item->values);
	hr_strv_release(&item->origins);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun config: which settings hold here, and where each comes from. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cmd.h"
#include "store/json_out.h"
#include "store/table.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define KEPT_SECRET "***"

struct config_args {
	bool json, set;
};

static const struct hr_opt config_opts[] = {
	HR_OPT_FLAG(0, "json", struct config_args, json, "print a JSON array"),
	HR_OPT_FLAG('s', "set", struct config_args, set,
		    "only keys that a file or a variable sets"),
	HR_OPT_END
};

static const struct store_table_column columns[] = {
	{ "KEY", false, false },
	{ "VALUE", false, true },
	{ "DEFAULT", false, true },
	{ "FROM", false, true },
};

/* Variables of the environment that are followed in place of a key. */
static const struct variable {
	const char *key, *name;
	bool last; /* only where no file sets the key */
} variables[] = {
	{ "cache", "HPCRUN_CACHE", false }, { "gpu", "HPCRUN_GPU", false },
	{ "mpi", "HPCRUN_MPI", false },	    { "ca_file", "SSL_CERT_FILE", true },
	{ "proxy", "https_proxy", true },   { "proxy", "http_proxy", true },
};

/* ---- what holds ---- */

static void replace(struct hr_conf_item *item, const char *value, const char *origin)
{
	hr_strv_release(&item->values);
	hr_strv_release(&item->origins);
	hr_strv_add(&item->values, value);
	hr_strv_add(&item->origins, origin);
}

static void apply_variables(struct hr_conf_item *item)
{
	for (size_t i = 0; i < HR_COUNT(variables); i++) {
		const struct variable *v = &variables[i];
		const char *value = getenv(v->name);

		if (strcmp(v->key, item->name) == 0 && value && value[0] != '\0' && !item->locked &&
		    !(v->last && item->values.n > 0))
			replace(item, value, v->name);
	}
}

/* The stores in their order, with the user's own, which no file names. */
static int apply_stores(const struct hr_conf *conf, struct hr_conf_item *item, struct hr_err *e)
{
	HR_CLEANUP(store_paths_release) struct store_paths all = { 0 };
	struct hr_conf_item old = *item;
	const char *env = getenv("HPCRUN_STORE");
	bool from_env = env && env[strspn(env, " ")] != '\0';

	if (store_list(NULL, conf, &all, e) < 0)
		return -1;
	memset(&item->values, 0, sizeof(item->values));
	memset(&item->origins, 0, sizeof(item->origins));
	for (size_t i = 0; i < all.n; i++) {
		const char *origin = from_env ? "HPCRUN_STORE" : "default";

		for (size_t k = 0; !from_env && k < old.values.n; k++)
			if (strcmp(old.values.v[k], all.v[i]) == 0)
				origin = old.origins.v[k];
		hr_strv_add(&item->values, all.v[i]);
		hr_strv_add(&item->origins, origin);
	}
	hr_conf_item_release(&old);
	return 0;
}

/* People show others what this prints: the password of a proxy is no part of it. */
static void hide_password(struct hr_conf_item *item)
{
	for (size_t i = 0; i < item->values.n; i++) {
		char *url = item->values.v[i], *begin = strstr(url, "://");
		size_t n;

		if (!begin)
			continue;
		begin += 3;
		n = strcspn(begin, "/");
		for (char *at = begin + n; at > begin; at--) {
			if (*at != '@')
				continue;
			*begin = '\0';
			item->values.v[i] = hr_xasprintf("%s" KEPT_SECRET "%s", url, at);
			free(url);
			break;
		}
	}
}

static int load_item(const struct hr_conf *conf, size_t i, struct hr_conf_item *item,
		     struct hr_err *e)
{
	hr_conf_item(conf, i, item);
	if (strcmp(item->name, "store") == 0 && apply_stores(conf, item, e) < 0)
		return -1;
	apply_variables(item);
	hide_password(item);
	return 0;
}

static bool is_set(const struct hr_conf_item *item)
{
	for (size_t i = 0; i < item->origins.n; i++)
		if (strcmp(item->origins.v[i], "default") != 0)
			return true;
	return item->locked;
}

/* ---- the three forms ---- */

static void add_json(json_t *all, const struct hr_conf_item *item,
		     const struct hr_conf_item *preset)
{
	json_t *o = json_object();

	store_json_set(o, "key", json_string(item->name));
	store_json_set(o, "values", store_json_strings(&item->values));
	store_json_set(o, "defaults", store_json_strings(&preset->values));
	store_json_set(o, "from", store_json_strings(&item->origins));
	store_json_set(o, "locked", item->locked ? json_string(item->locked) : NULL);
	store_json_add(all, o);
}

/* One row for each value, and one for a key without any. */
static void add_rows(struct store_table *t, const struct hr_conf_item *item,
		     const struct hr_conf_item *preset)
{
	for (size_t i = 0; i == 0 || i < item->values.n; i++) {
		const char *origin = i < item->origins.n ? item->origins.v[i] : "-";
		hr_autofree char *from =
			item->locked ? hr_xasprintf("%s (locked)", origin) : hr_xstrdup(origin);

		store_table_add(t, i == 0 ? item->name : "");
		store_table_add(t, i < item->values.n ? item->values.v[i] : "-");
		store_table_add(t, i < preset->values.n ? preset->values.v[i] : "-");
		store_table_add(t, from);
	}
}

static int add_items(const struct config_args *a, const struct hr_conf *conf, const char *only,
		     struct store_table *t, json_t *all, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf presets = { 0 };

	hr_conf_init(&presets);
	for (size_t i = 0; i < hr_conf_items(); i++) {
		HR_CLEANUP(hr_conf_item_release) struct hr_conf_item item = { 0 }, preset = { 0 };

		if (load_item(conf, i, &item, e) < 0)
			return -1;
		hr_conf_item(&presets, i, &preset);
		if ((only && strcmp(only, item.name) != 0) || (a->set && !is_set(&item)))
			continue;
		if (a->json)
			add_json(all, &item, &preset);
		else if (only)
			for (size_t k = 0; k < item.values.n; k++)
				printf("%s\n", item.values.v[k]);
		else
			add_rows(t, &item, &preset);
	}
	return 0;
}

static int check_key(const struct hr_conf *conf, const char *key, struct hr_err *e)
{
	hr_autofree const char **names = hr_xmalloc((hr_conf_items() + 1) * sizeof(*names));
	const char *near;

	for (size_t i = 0; i < hr_conf_items(); i++) {
		HR_CLEANUP(hr_conf_item_release) struct hr_conf_item item = { 0 };

		hr_conf_item(conf, i, &item);
		names[i] = item.name;
		if (strcmp(item.name, key) == 0)
			return 0;
	}
	near = hr_nearest(key, names);
	if (near)
		hr_hint(e, "did you mean '%s'? hpcrun.conf(5) lists the keys", near);
	return hr_fail(e, HR_USAGE, 0, "there is no key '%s'", key);
}

static int config_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_table_release)
	struct store_table t = { .columns = columns, .n = HR_COUNT(columns) };
	const struct config_args *a = args;
	const char *only = argc > 0 ? argv[0] : NULL;
	json_t *all;
	int r;

	if (hr_conf_load(&conf, e) < 0 || (only && check_key(&conf, only, e) < 0))
		return -1;
	all = json_array();
	r = add_items(a, &conf, only, &t, all, e);
	if (r == 0 && a->json)
		store_json_print(hr_steal(&all));
	else if (r == 0 && !only)
		store_table_print(&t, stdout, store_table_terminal_width());
	json_decref(all);
	return r;
}

const struct hr_cmd store_cmd_config = {
	.name = "config",
	.operands = "[KEY]",
	.summary = "show which settings hold, and where each comes from",
	.opts = config_opts,
	.args_size = sizeof(struct config_args),
	.max_operands = 1,
	.main = config_main,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun store add, drop and status: the list of images that a store mirrors. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/cmd_store.h"
#include "store/json_out.h"
#include "store/site.h"
#include "store/size.h"
#include "store/table.h"
#include "store/when.h"
#include "util/cleanup.h"
#include "util/poison.h"

/* ---- add, drop ---- */

struct list_args {
	struct store_admin_common common;
	bool json;
	const char *every, *keep_for;
	uint64_t keep;
};
#define JSON_OPT                                                                                   \
	HR_OPT_FLAG(0, "json", struct list_args, json, "print a JSON object for each image")

static const struct hr_opt add_opts[] = {
	HR_OPT_STR('e', "every", "TIME", struct list_args, every,
		   "ask the registry so often: 12h, 1d, 2w (default: as the list says)"),
	HR_OPT_U64('k', "keep", "N", struct list_args, keep, 1, STORE_SITE_KEEP_MAX,
		   "keep N images of the tag when it moves (default: as the list says)"),
	HR_OPT_STR(0, "keep-for", "TIME", struct list_args, keep_for,
		   "keep more of them, for so long each (default: as the list says)"),
	JSON_OPT, HR_OPT_END
};
static const struct hr_opt drop_opts[] = { JSON_OPT, HR_OPT_END };

static void print_edit(const char *name, bool listed, bool changed)
{
	hr_autobuf struct hr_buf shown = { 0 };

	hr_buf_untrusted(&shown, name, strlen(name));
	printf("%s: %s\n", (const char *)shown.p,
	       !changed ? "was on the list"
	       : listed ? "is on the list; 'hpcrun store sync' fetches it"
			: "is off the list; 'hpcrun rmi' removes the image");
}

static void print_edit_json(const char *name, bool listed, bool changed)
{
	json_t *o = json_object();

	store_json_set(o, "reference", json_string(name));
	store_json_set(o, "listed", json_boolean(listed));
	store_json_set(o, "changed", json_boolean(changed));
	store_json_print_line(o);
}

/* Put one image on the list or, LINE NULL, take it off. */
static int edit(const struct list_args *a, const struct store *st, const char *name,
		const char *line, struct hr_err *e)
{
	int r = store_site_edit_file(st, name, line, e);

	if (r < 0)
		return -1;
	if (!line && r == 0)
		return hr_fail(e, HR_NOTFOUND, 0, "'%s' is not on the list of store '%s'", name,
			       st->path);
	(a->json ? print_edit_json : print_edit)(name, line, r > 0);
	return 0;
}

static int add_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	const struct list_args *a = args;
	struct store_site_image im = { .keep = a->keep };

	if ((a->every && store_site_duration(a->every, "--every", &im.every_s, e) < 0) ||
	    (a->keep_for && store_site_duration(a->keep_for, "--keep-for", &im.keep_for_s, e) < 0))
		return -1;
	if (store_admin_open(&a->common, &conf, &st, e) < 0)
		return -1;
	for (int i = 0; i < argc; i++) {
		hr_autofree char *name = store_site_name(argv[i], e);
		hr_autobuf struct hr_buf line = { 0 };

		if (!name)
			return -1;
		im.name = name;
		store_site_line(&im, &line);
		if (edit(a, st, name, (const char *)line.p, e) < 0)
			return -1;
	}
	return 0;
}

static int drop_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	const struct list_args *a = args;

	if (store_admin_open(&a->common, &conf, &st, e) < 0)
		return -1;
	for (int i = 0; i < argc; i++) {
		hr_autofree char *name = store_site_name(argv[i], e);

		if (!name || edit(a, st, name, NULL, e) < 0)
			return -1;
	}
	return 0;
}

const struct hr_cmd store_cmd_store_add = {
	.name = "store add",
	.operands = "IMAGE...",
	.summary = "put images on the list of a store",
	.opts = add_opts,
	.common = store_admin_common_opts,
	.args_size = sizeof(struct list_args),
	.min_operands = 1,
	.max_operands = -1,
	.main = add_main,
};

const struct hr_cmd store_cmd_store_drop = {
	.name = "store drop",
	.operands = "IMAGE...",
	.summary = "take images off the list; they stay in the store",
	.opts = drop_opts,
	.common = store_admin_common_opts,
	.args_size = sizeof(struct list_args),
	.min_operands = 1,
	.max_operands = -1,
	.main = drop_main,
};

/* ---- status ---- */

struct status_args {
	struct store_admin_common common;
	bool json;
};

static const struct hr_opt status_opts[] = {
	HR_OPT_FLAG(0, "json", struct status_args, json, "print a JSON object"), HR_OPT_END
};

static const struct store_table_column columns[] = {
	{ "IMAGE", false, true }, { "KEPT", true, false },  { "SYNCED", false, false },
	{ "DUE", false, false },  { "STATE", false, true },
};

static const char *state_of(const struct store_site_image *im)
{
	return im->reason.n ? im->reason.v[0] : im->synced_s ? "ok" : "new";
}

static const char *when(uint64_t s, uint64_t now, const char *none, char text[STORE_WHEN_TEXT])
{
	return s == 0 ? none : store_when_text((int64_t)s, (int64_t)now, text);
}

/* "in 3 hours" is what a schedule is about, and no other list of ours tells of the future. */
static void add_due(struct store_table *t, uint64_t due, uint64_t now)
{
	hr_autofree char *text = NULL;
	uint64_t left = due > now ? due - now : 0;

	if (left == 0)
		text = hr_xstrdup("now");
	else if (left < 7200)
		text = hr_xasprintf("in %" PRIu64 " min", (left + 59) / 60);
	else if (left < 2 * 86400)
		text = hr_xasprintf("in %" PRIu64 " h", left / 3600);
	else
		text = hr_xasprintf("in %" PRIu64 " days", left / 86400);
	store_table_add(t, text);
}

static void print_text(const struct store *st, const struct store_site *site, uint64_t bytes)
{
	struct store_table t = { .columns = columns, .n = HR_COUNT(columns) };
	char size[STORE_SIZE_TEXT], quota[STORE_SIZE_TEXT], text[STORE_WHEN_TEXT];
	hr_autobuf struct hr_buf path = { 0 };
	uint64_t now = (uint64_t)time(NULL);

	for (size_t i = 0; i < site->n; i++) {
		const struct store_site_image *im = &site->images[i];
		hr_autofree char *kept = hr_xasprintf("%zu", im->n_old + (im->synced_s > 0));

		store_table_add(&t, im->name);
		store_table_add(&t, kept);
		store_table_add(&t, when(im->synced_s, now, "never", text));
		if (im->listed)
			add_due(&t, store_site_due(site, im), now);
		else
			store_table_add(&t, "off the list");
		store_table_add(&t, state_of(im));
	}
	store_table_print(&t, stdout, store_table_terminal_width());
	store_table_release(&t);
	hr_buf_untrusted(&path, st->path, strlen(st->path));
	printf("\n%s in '%s'", store_size_text(bytes, size), (const char *)path.p);
	if (site->quota)
		printf(", quota %s%s", store_size_text(site->quota, quota),
		       bytes > site->quota ? ", exceeded" : "");
	printf("\n");
}

static json_t *time_or_null(uint64_t s)
{
	return s ? store_json_u64(s) : NULL;
}

static json_t *image_json(const struct store_site *site, const struct store_site_image *im)
{
	json_t *o = json_object(), *old = json_array();

	for (size_t i = 0; i < im->n_old; i++)
		store_json_add(old, json_string(im->old[i].digest));
	store_json_set(o, "reference", json_string(im->name));
	store_json_set(o, "listed", json_boolean(im->listed));
	store_json_set(o, "every", store_json_u64(im->every_s ? im->every_s : site->every_s));
	store_json_set(o, "keep", store_json_u64(im->keep ? im->keep : site->keep));
	store_json_set(o, "keep_for",
		       time_or_null(im->keep_for_s ? im->keep_for_s : site->keep_for_s));
	store_json_set(o, "tried", time_or_null(im->tried_s));
	store_json_set(o, "synced", time_or_null(im->synced_s));
	store_json_set(o, "due", store_json_u64(store_site_due(site, im)));
	store_json_set(o, "old", old);
	store_json_set(o, "reason", im->reason.n ? json_string(im->reason.v[0]) : NULL);
	return o;
}

static void print_json(const struct store *st, const struct store_site *site, uint64_t bytes)
{
	json_t *o = json_object(), *images = json_array();

	for (size_t i = 0; i < site->n; i++)
		store_json_add(images, image_json(site, &site->images[i]));
	store_json_set(o, "store", json_string(st->path));
	store_json_set(o, "bytes", store_json_u64(bytes));
	store_json_set(o, "quota", time_or_null(site->quota));
	store_json_set(o, "images", images);
	store_json_print(o);
}

static int status_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	HR_CLEANUP(store_site_release) struct store_site site = { 0 };
	const struct status_args *a = args;
	uint64_t bytes;

	(void)argc;
	(void)argv;
	if (store_admin_open(&a->common, &conf, &st, e) < 0 || store_site_load(st, &site, e) < 0 ||
	    store_size(st, &bytes, e) < 0)
		return -1;
	if (a->json)
		print_json(st, &site, bytes);
	else
		print_text(st, &site, bytes);
	return 0;
}

const struct hr_cmd store_cmd_store_status = {
	.name = "store status",
	.operands = "",
	.summary = "show the list, when images are due, and what went wrong",
	.opts = status_opts,
	.common = store_admin_common_opts,
	.args_size = sizeof(struct status_args),
	.main = status_main,
};

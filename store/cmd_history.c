/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun history: the steps that made an image, as its config tells them, and the layers they left.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/cmd.h"
#include "store/image.h"
#include "store/json_out.h"
#include "store/layer.h"
#include "store/size.h"
#include "store/table.h"
#include "store/when.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define COMMAND_SHOWN	  48 /* bytes */
#define LAYER_INDEX_LIMIT (UINT64_C(1) << 30)

struct history_args {
	struct store_cmd_common common;
	bool json, no_trunc;
};

static const struct hr_opt history_opts[] = {
	HR_OPT_FLAG(0, "json", struct history_args, json, "print a JSON array"),
	HR_OPT_FLAG(0, "no-trunc", struct history_args, no_trunc,
		    "print whole digests and commands, and lines of any length"),
	HR_OPT_END
};

static const struct store_table_column columns[] = {
	{ "LAYER", false, false }, { "CREATED", false, false },	   { "SIZE", true, false },
	{ "BLOB", true, false },   { "CREATED BY", false, false },
};

/* The history of an image, and what the store knows of its layers. */
struct history {
	const struct history_args *args;
	const struct store *st;
	struct store_image_record record;
	json_t *config;	     /* the document */
	const json_t *steps; /* of it; NULL: none */
};

/* What is known of one layer; sizes below 0 are not. */
struct layer {
	const struct store_record_layer *names; /* NULL: the step left none */
	int64_t plain, compressed;
};

static void history_release(struct history *h)
{
	store_image_record_release(&h->record);
	json_decref(h->config);
}

/* ---- layers ---- */

/* Other stores and older pulls may not have left these: what is unknown is told as unknown. */
static struct layer layer_at(const struct history *h, size_t i)
{
	struct layer l = { &h->record.layers[i], -1, -1 };
	hr_autobuf struct hr_buf index = { 0 }, alias = { 0 };
	struct hr_err unknown = { 0 };
	struct store_blob_record blob;
	struct store_layer layer;

	if (store_object_read(h->st, STORE_LAYER, &l.names->diff_id, LAYER_INDEX_LIMIT, &index,
			      &unknown) == 0 &&
	    store_layer_parse(index.p, index.len, &layer, &unknown) == 0)
		l.plain = (int64_t)layer.plain_bytes;
	hr_err_clear(&unknown);
	if (store_object_read(h->st, STORE_BLOB, &l.names->blob, STORE_RECORD_LIMIT, &alias,
			      &unknown) == 0 &&
	    store_blob_record_parse(alias.p, alias.len, &blob, &unknown) == 0)
		l.compressed = (int64_t)blob.size;
	return l;
}

static const char *member(const json_t *step, const char *name)
{
	return json_string_value(json_object_get(step, name));
}

/* ---- the two forms ---- */

static json_t *number(int64_t v)
{
	return v < 0 ? NULL : json_integer((json_int_t)v);
}

static json_t *text(const json_t *step, const char *name)
{
	const char *s = member(step, name);

	return s ? json_string(s) : NULL;
}

static json_t *step_json(const json_t *step, const struct layer *l)
{
	json_t *o = json_object();

	store_json_set(o, "created", text(step, "created"));
	store_json_set(o, "created_by", text(step, "created_by"));
	store_json_set(o, "author", text(step, "author"));
	store_json_set(o, "comment", text(step, "comment"));
	store_json_set(o, "diff_id", l->names ? store_json_digest(&l->names->diff_id) : NULL);
	store_json_set(o, "blob", l->names ? store_json_digest(&l->names->blob) : NULL);
	store_json_set(o, "size", number(l->names ? l->plain : 0));
	store_json_set(o, "compressed", number(l->names ? l->compressed : 0));
	return o;
}

static void add_size(struct store_table *t, const struct layer *l, int64_t bytes)
{
	char buf[STORE_SIZE_TEXT];

	if (!l->names)
		store_table_add(t, "0 B");
	else
		store_table_add(t, bytes < 0 ? "-" : store_size_text((uint64_t)bytes, buf));
}

/* Of a long command the beginning, without what shells of builders put in front of each. */
static void add_command(struct store_table *t, const char *by, bool whole)
{
	static const char shell[] = "/bin/sh -c ", nop[] = "#(nop) ";
	hr_autofree char *cut = NULL;
	size_t n;

	if (!by || !by[0])
		by = "-";
	if (!whole && strncmp(by, shell, strlen(shell)) == 0)
		by += strlen(shell);
	if (!whole && strncmp(by, nop, strlen(nop)) == 0)
		by += strlen(nop) + strspn(by + strlen(nop), " ");
	n = strlen(by);
	if (!whole && n > COMMAND_SHOWN) {
		for (n = COMMAND_SHOWN - 2; n > 0 && ((unsigned char)by[n] & 0xc0) == 0x80;)
			n--; /* not within a character */
		cut = hr_xasprintf("%.*s..", (int)n, by);
	}
	store_table_add(t, cut ? cut : by);
}

static void add_row(struct store_table *t, const struct history *h, const json_t *step,
		    const struct layer *l)
{
	char when[STORE_WHEN_TEXT];
	const char *created = member(step, "created");
	int64_t then;

	if (l->names)
		store_table_add_digest(t, &l->names->diff_id, h->args->no_trunc);
	else
		store_table_add(t, "-");
	if (created && store_when_parse(created, &then))
		store_table_add(t, store_when_text(then, time(NULL), when));
	else
		store_table_add(t, "-");
	add_size(t, l, l->plain);
	add_size(t, l, l->compressed);
	add_command(t, member(step, "created_by"), h->args->no_trunc);
}

/* ---- the steps ---- */

/*
 * Steps and layers, the last first. Nothing makes a config tell as many steps that left a layer as
 * there are layers: a layer without a step is listed all the same, and a step without one has none.
 */
static void print_steps(const struct history *h)
{
	struct store_table t = { .columns = columns, .n = HR_COUNT(columns) };
	size_t n_steps = json_array_size(h->steps), layers = 0;
	json_t *list = json_array();

	for (size_t i = 0; i < n_steps; i++)
		layers +=
			!json_is_true(json_object_get(json_array_get(h->steps, i), "empty_layer"));
	for (size_t left = h->record.n_layers, i = n_steps; left > 0 || i > 0;) {
		const json_t *step = NULL;
		struct layer l = { NULL, -1, -1 };
		bool empty;

		if (left <= layers && i > 0)
			step = json_array_get(h->steps, --i);
		empty = step && json_is_true(json_object_get(step, "empty_layer"));
		if (left > 0 && !empty)
			l = layer_at(h, --left);
		if (step && !empty)
			layers--;
		if (h->args->json)
			store_json_add(list, step_json(step, &l));
		else
			add_row(&t, h, step, &l);
	}
	if (h->args->json)
		store_json_print(hr_steal(&list));
	else
		store_table_print(&t, stdout, 0);
	json_decref(list);
	store_table_release(&t);
}

static int load(struct history *h, const struct store_image *img, struct hr_err *e)
{
	const struct store_index *ix = store_image_index(img);
	struct fetch_digest manifest;
	json_error_t why;
	size_t len;
	const uint8_t *config = store_index_config(ix, &len);

	store_index_manifest(ix, &manifest);
	if (store_image_record_read(h->st, &manifest, &h->record, e) < 0)
		return -1;
	/* its form was checked when it was brought in */
	h->config = json_loadb((const char *)config, len, 0, &why);
	if (!h->config)
		return hr_fail(e, HR_CORRUPT, 0, "the image config is no JSON: %s", why.text);
	h->steps = json_object_get(h->config, "history");
	return 0;
}

static int history_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_image_closep) struct store_image *img = NULL;
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_paths_release) struct store_paths paths = { 0 };
	HR_CLEANUP(history_release) struct history h = { .args = args };

	(void)argc;
	if (store_cmd_refuse_file(argv[0], e) < 0)
		return -1;
	if (store_cmd_paths(&h.args->common, &conf, &paths, e) < 0 ||
	    store_image_open(&paths, argv[0], &img, e) < 0)
		return -1;
	h.st = store_image_store(img);
	if (load(&h, img, e) < 0)
		return hr_wrap(e, "image '%s'", argv[0]);
	print_steps(&h);
	return 0;
}

const struct hr_cmd store_cmd_history = {
	.name = "history",
	.operands = "IMAGE",
	.summary = "show the steps that made an image, and its layers",
	.opts = history_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct history_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = history_main,
};

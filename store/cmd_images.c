/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun images: list the references of the stores, and what their images occupy. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "store/cmd.h"
#include "store/json_out.h"
#include "store/match.h"
#include "store/size.h"
#include "store/table.h"
#include "store/when.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

struct images_args {
	struct store_cmd_common common;
	bool json, quiet, no_trunc;
};

static const struct hr_opt images_opts[] = {
	HR_OPT_FLAG(0, "json", struct images_args, json, "print a JSON array"),
	HR_OPT_FLAG('q', "quiet", struct images_args, quiet, "print the references alone"),
	HR_OPT_FLAG(0, "no-trunc", struct images_args, no_trunc,
		    "print whole digests, and lines of any length"),
	HR_OPT_END
};

/* The column STORE is left out when there is one store. */
static const struct store_table_column columns[] = {
	{ "REPOSITORY", false, true }, { "TAG", false, false },	 { "DIGEST", false, false },
	{ "CREATED", false, false },   { "SIZE", true, false },	 { "OCCUPIES", true, false },
	{ "SERVER", false, true },     { "STORE", false, true },
};

/* What the list is made of, and into. */
struct list {
	const struct images_args *args;
	const struct store_match *match; /* or NULL: all */
	const struct store *store;	 /* the one being listed */
	struct store_table table;
	json_t *json;
	int64_t now;
	size_t listed;
	struct hr_strv others; /* repositories that MATCH does not fit, for a hint */
};

/* What is listed: a reference, its record, its image's record. */
struct line {
	const struct fetch_ref *ref;
	const struct store_ref_record *r;
	const struct store_image_record *image; /* NULL: it is missing or damaged */
};

/* ---- the three forms ---- */

static void add_size(struct store_table *t, const struct line *l, uint64_t bytes)
{
	char text[STORE_SIZE_TEXT];

	store_table_add(t, l->image ? store_size_text(bytes, text) : "-");
}

static void add_created(struct list *s, const struct line *l)
{
	char text[STORE_WHEN_TEXT];
	int64_t then;

	if (l->image && store_when_parse(l->image->created, &then))
		store_table_add(&s->table, store_when_text(then, s->now, text));
	else
		store_table_add(&s->table, "-");
}

static void add_row(struct list *s, const struct line *l)
{
	hr_autofree char *repository = hr_xasprintf("%s/%s", l->ref->registry, l->ref->repo);

	store_table_add(&s->table, repository);
	store_table_add(&s->table, l->ref->tag ? l->ref->tag : "-");
	store_table_add_digest(&s->table, &l->r->manifest, s->args->no_trunc);
	add_created(s, l);
	add_size(&s->table, l, l->image ? l->image->size : 0);
	add_size(&s->table, l, l->image ? l->image->occupies : 0);
	store_table_add(&s->table, l->r->server);
	if (s->table.n == HR_COUNT(columns))
		store_table_add(&s->table, s->store->path);
}

static json_t *number(const struct line *l, uint64_t value)
{
	return l->image ? store_json_u64(value) : NULL;
}

static void add_json(struct list *s, const struct line *l)
{
	hr_autofree char *repository = hr_xasprintf("%s/%s", l->ref->registry, l->ref->repo);
	hr_autofree char *reference = fetch_ref_text(l->ref);
	json_t *o = json_object();

	store_json_set(o, "reference", json_string(reference));
	store_json_set(o, "repository", json_string(repository));
	store_json_set(o, "tag", l->ref->tag ? json_string(l->ref->tag) : NULL);
	store_json_set(o, "digest", store_json_digest(&l->r->manifest));
	store_json_set(o, "created",
		       l->image && strcmp(l->image->created, "-") != 0
			       ? json_string(l->image->created)
			       : NULL);
	store_json_set(o, "size", number(l, l->image ? l->image->size : 0));
	store_json_set(o, "compressed", number(l, l->image ? l->image->compressed : 0));
	store_json_set(o, "occupies", number(l, l->image ? l->image->occupies : 0));
	store_json_set(o, "server", json_string(l->r->server));
	store_json_set(o, "pulled", json_integer((json_int_t)l->r->pulled));
	store_json_set(o, "store", json_string(s->store->path));
	store_json_add(s->json, o);
}

static int on_ref(void *arg, const struct fetch_ref *ref, const struct store_ref_record *r,
		  struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record image = { 0 };
	hr_autofree char *text = fetch_ref_text(ref);
	struct line l = { ref, r, NULL };
	struct hr_err damaged = { 0 };
	struct list *s = arg;

	(void)e;
	if (s->match && !store_match_fits(s->match, ref, r)) {
		const char *slash = strrchr(ref->repo, '/');

		hr_strv_add(&s->others, ref->repo);
		hr_strv_add(&s->others, slash ? slash + 1 : ref->repo);
		return 0;
	}
	s->listed++;
	if (s->args->quiet) {
		printf("%s\n", text);
		return 0;
	}
	if (store_image_record_read(s->store, &r->manifest, &image, &damaged) == 0)
		l.image = &image;
	else
		hr_warn("the image of '%s' is damaged, pull it again: %s", text, damaged.text);
	if (s->args->json)
		add_json(s, &l);
	else
		add_row(s, &l);
	return 0;
}

/* ---- the whole ---- */

/* Images share chunks: what a store occupies is less than the sum of the column. */
static int print_total(const struct store *st, struct hr_err *e)
{
	hr_autobuf struct hr_buf path = { 0 };
	char text[STORE_SIZE_TEXT];
	uint64_t total;

	if (store_size(st, &total, e) < 0)
		return -1;
	hr_buf_untrusted(&path, st->path, strlen(st->path));
	printf("%s in all, in '%s'\n", store_size_text(total, text), (const char *)path.p);
	return 0;
}

static int print_list(struct list *s, const struct store_cmd_chain *chain, struct hr_err *e)
{
	if (s->args->json) {
		store_json_print(hr_steal(&s->json));
		return 0;
	}
	if (s->args->quiet || (s->match && s->listed == 0))
		return 0;
	store_table_print(&s->table, stdout, s->args->no_trunc ? 0 : store_table_terminal_width());
	for (size_t i = 0; i < chain->n && !s->match; i++) {
		if (i == 0)
			printf("\n");
		if (print_total(chain->v[i], e) < 0)
			return -1;
	}
	return 0;
}

static int list_stores(struct list *s, const struct store_cmd_chain *chain, struct hr_err *e)
{
	s->table.columns = columns;
	s->table.n = HR_COUNT(columns) - (chain->n > 1 ? 0 : 1);
	for (size_t i = 0; i < chain->n; i++) {
		s->store = chain->v[i];
		if (store_ref_each(s->store, on_ref, s, e) < 0)
			return -1;
	}
	return print_list(s, chain, e);
}

/* As grep does: no failure, but a status that a script can branch on. */
static int none_fits(const struct list *s, const struct store_cmd_chain *chain)
{
	const char *name = s->match->name, *near = NULL;
	hr_autobuf struct hr_buf list = { 0 };
	struct hr_err e = { 0 };

	if (s->args->json || s->args->quiet)
		return 1;
	if (s->others.n > 0)
		near = hr_nearest(name, (const char *const *)s->others.v);
	if (near)
		hr_hint(&e, "did you mean '%s'?", near);
	else
		hr_hint(&e, "'hpcrun images' lists what is there");
	for (size_t i = 0; i < chain->n; i++)
		hr_buf_printf(&list, "%s'%s'", i == 0 ? "" : ", ", chain->v[i]->path);
	(void)hr_fail(&e, HR_NOTFOUND, 0, "no image in the store%s %s fits '%s'",
		      HR_PLURAL(chain->n), list.len > 0 ? (const char *)list.p : "(none)", name);
	hr_err_print(&e);
	return 1;
}

static int images_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_cmd_chain_release) struct store_cmd_chain chain = { 0 };
	HR_CLEANUP(store_match_release) struct store_match match = { 0 };
	struct images_args *a = args;
	struct list s = { .args = a, .now = time(NULL) };
	int r;

	if (a->json && a->quiet)
		return hr_fail(e, HR_USAGE, 0, "--json and --quiet exclude each other");
	if (argc > 0 && store_match_parse(argv[0], &match, e) < 0)
		return -1;
	if (store_cmd_open(&a->common, &chain, e) < 0)
		return -1;
	s.match = argc > 0 ? &match : NULL;
	s.json = json_array();
	r = list_stores(&s, &chain, e);
	if (r == 0 && s.match && s.listed == 0)
		r = none_fits(&s, &chain);
	store_table_release(&s.table);
	hr_strv_release(&s.others);
	json_decref(s.json);
	return r;
}

const struct hr_cmd store_cmd_images = {
	.name = "images",
	.operands = "[NAME]",
	.summary = "list the images of the stores",
	.opts = images_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct images_args),
	.max_operands = 1,
	.main = images_main,
};

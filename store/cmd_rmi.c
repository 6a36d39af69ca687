/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun rmi: remove references. What they reached is freed by gc. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cmd.h"
#include "store/gc.h"
#include "store/json_out.h"
#include "store/match.h"
#include "store/size.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

struct rmi_args {
	struct store_cmd_common common;
	bool json;
};

static const struct hr_opt rmi_opts[] = {
	HR_OPT_FLAG(0, "json", struct rmi_args, json, "print a JSON object"), HR_OPT_END
};

/* ---- what was meant in place of an unknown reference ---- */

struct near {
	struct store_match match;
	char *fits; /* a reference that what was written is the end of, or has the digest of */
	struct hr_strv all;
};

static int on_ref(void *arg, const struct fetch_ref *ref, const struct store_ref_record *r,
		  struct hr_err *e)
{
	struct near *n = arg;
	char *text = fetch_ref_text(ref);

	(void)e;
	if (!n->fits && store_match_fits(&n->match, ref, r))
		n->fits = hr_xstrdup(text);
	hr_strv_take(&n->all, text);
	return 0;
}

static void hint_near(const struct store *st, const char *name, const char *full, struct hr_err *e)
{
	struct near n = { 0 };
	struct hr_err ignored = { 0 }; /* it is a hint only */
	const char *best;

	if (store_match_parse(name, &n.match, &ignored) == 0 &&
	    store_ref_each(st, on_ref, &n, &ignored) >= 0 && n.all.n > 0) {
		best = n.fits ? n.fits : hr_nearest(full, (const char *const *)n.all.v);
		if (best)
			hr_hint(e, "did you mean '%s'?", best);
	}
	hr_hint(e, "'hpcrun images' lists what is there");
	store_match_release(&n.match);
	hr_strv_release(&n.all);
	free(n.fits);
}

/* ---- the verb ---- */

/* The store that REF must be removed from has it, and with the digest that was asked for. */
static int check(const struct store_cmd_chain *chain, const struct fetch_ref *ref, const char *name,
		 struct hr_err *e)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	hr_autofree char *full = fetch_ref_text(ref);
	struct hr_err elsewhere = { 0 };

	if (!chain->first)
		return hr_fail(e, HR_NOTFOUND, 0, "there is no image '%s': the store is not there",
			       name);
	if (store_ref_read(chain->first, ref, &r, e) == 0) {
		if (!ref->has_digest || fetch_digest_equal(&ref->digest, &r.manifest) ||
		    fetch_digest_equal(&ref->digest, &r.document))
			return 0;
		return hr_fail(e, HR_NOTFOUND, 0, "'%s' has another digest here", name);
	}
	if (e->kind != HR_NOTFOUND)
		return -1;
	hr_err_clear(e);
	for (size_t i = 0; i < chain->n; i++) {
		if (chain->v[i] == chain->first ||
		    store_ref_read(chain->v[i], ref, &r, &elsewhere) < 0)
			continue;
		hr_hint(e, "it is in '%s': use --store", chain->v[i]->path);
		break;
	}
	hr_fail(e, HR_NOTFOUND, 0, "there is no image '%s' in store '%s'", name,
		chain->first->path);
	hint_near(chain->first, name, full, e);
	return -1;
}

/* Remove a reference and say so, or, JSON, add it to what is to be printed. */
static int remove_ref(struct store *st, const struct fetch_ref *ref, json_t *json, struct hr_err *e)
{
	hr_autofree char *text = fetch_ref_text(ref);

	if (store_ref_remove(st, ref, e) < 0)
		return hr_wrap(e, "cannot remove '%s'", text);
	if (json)
		store_json_add(json, json_string(text));
	else
		printf("removed %s\n", text);
	return 0;
}

/* The references are gone; not to know what could be freed is a warning, no failure. */
static bool count_garbage(struct store *st, uint64_t *bytes)
{
	struct store_gc_options o = { .dry = true };
	struct store_gc_result result;
	struct hr_err unknown = { 0 };

	if (store_cmd_grace(st, NULL, &o, &unknown) < 0 ||
	    store_gc(st, &o, &result, &unknown) < 0) {
		hr_warn("%s", unknown.text);
		return false;
	}
	*bytes = result.bytes;
	return true;
}

/* REMOVED is taken; NULL: it was printed. */
static void print_end(struct store *st, json_t *removed)
{
	char size[STORE_SIZE_TEXT];
	uint64_t garbage = 0;
	bool known = count_garbage(st, &garbage);
	json_t *o;

	if (!removed) {
		if (garbage > 0)
			printf("'hpcrun gc' frees %s\n", store_size_text(garbage, size));
		return;
	}
	o = json_object();
	store_json_set(o, "store", json_string(st->path));
	store_json_set(o, "removed", removed);
	store_json_set(o, "garbage", known ? store_json_u64(garbage) : NULL);
	store_json_print(o);
}

/* All are looked at before one is removed: a wrong word changes nothing. */
static int remove_all(const struct store_cmd_chain *chain, struct fetch_ref *refs, int n,
		      char **names, bool json, struct hr_err *e)
{
	json_t *removed = NULL;

	for (int i = 0; i < n; i++)
		if (store_cmd_refuse_file(names[i], e) < 0 ||
		    fetch_ref_parse(names[i], &refs[i], e) < 0 ||
		    check(chain, &refs[i], names[i], e) < 0)
			return -1;
	removed = json ? json_array() : NULL;
	for (int i = 0; i < n; i++)
		if (remove_ref(chain->first, &refs[i], removed, e) < 0) {
			json_decref(removed);
			return -1;
		}
	print_end(chain->first, removed);
	return 0;
}

static int rmi_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_cmd_chain_release) struct store_cmd_chain chain = { 0 };
	hr_autofree struct fetch_ref *refs = hr_xmalloc((size_t)argc * sizeof(*refs));
	struct rmi_args *a = args;
	int r;

	if (store_cmd_open(&a->common, &chain, e) < 0)
		return -1;
	r = remove_all(&chain, refs, argc, argv, a->json, e);
	for (int i = 0; i < argc; i++)
		fetch_ref_release(&refs[i]);
	return r;
}

const struct hr_cmd store_cmd_rmi = {
	.name = "rmi",
	.operands = "IMAGE...",
	.summary = "remove references to images",
	.opts = rmi_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct rmi_args),
	.min_operands = 1,
	.max_operands = -1,
	.main = rmi_main,
};

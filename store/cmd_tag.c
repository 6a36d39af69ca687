/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun tag: another name for an image of the store. */
#include "config.h"

#include <stdio.h>

#include "store/cmd.h"
#include "store/image.h"
#include "store/json_out.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct tag_args {
	struct store_cmd_common common;
	bool json;
};

static const struct hr_opt tag_opts[] = {
	HR_OPT_FLAG(0, "json", struct tag_args, json, "print a JSON object"), HR_OPT_END
};

/* What NAME means in ST, as a record for another name. */
static int find(const struct store *st, const char *name, struct store_ref_record *r,
		struct hr_err *e)
{
	HR_CLEANUP(store_name_release) struct store_name n = { 0 };
	struct hr_err none = { 0 }; /* an image that is named by its digest has no record */

	if (store_name_parse(name, &n, e) < 0)
		return -1;
	if (!n.by_digest && store_ref_read(st, &n.ref, r, &none) == 0 &&
	    (!n.ref.has_digest || fetch_digest_equal(&n.ref.digest, &r->manifest)))
		return 0;
	store_ref_record_release(r);
	if (n.by_digest)
		r->manifest = n.manifest;
	else if (store_ref_resolve(st, &n.ref, &r->manifest, e) < 0)
		return -1;
	r->document = r->manifest;
	return store_object_exists(st, STORE_IMAGE, &r->manifest)
		       ? 0
		       : hr_fail(e, HR_NOTFOUND, 0, "no image '%s' in store '%s'", name, st->path);
}

static void print_json(const struct store *st, const char *name, const struct store_ref_record *r)
{
	json_t *o = json_object();

	store_json_set(o, "reference", json_string(name));
	store_json_set(o, "digest", store_json_digest(&r->manifest));
	store_json_set(o, "store", json_string(st->path));
	store_json_print(o);
}

static int tag_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_cmd_chain_release) struct store_cmd_chain chain = { 0 };
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	HR_CLEANUP(fetch_ref_release) struct fetch_ref to = { 0 };
	const struct tag_args *a = args;
	hr_autofree char *text = NULL;

	(void)argc;
	for (int i = 0; i < 2; i++)
		if (store_cmd_refuse_file(argv[i], e) < 0)
			return -1;
	if (fetch_ref_parse(argv[1], &to, e) < 0 || store_cmd_open(&a->common, &chain, e) < 0)
		return -1;
	if (to.has_digest)
		return hr_fail(e, HR_USAGE, 0, "'%s' has a digest: a new name is a tag", argv[1]);
	if (!chain.first)
		return hr_fail(e, HR_NOTFOUND, 0, "there is no image '%s': the store is not there",
			       argv[0]);
	if (find(chain.first, argv[0], &r, e) < 0) {
		hr_hint(e, "'hpcrun images' lists what is there");
		return -1;
	}
	text = fetch_ref_text(&to);
	if (store_ref_write(chain.first, &to, &r, e) < 0)
		return hr_wrap(e, "cannot write '%s'", text);
	if (a->json)
		print_json(chain.first, text, &r);
	else
		printf("%s\n", text);
	return 0;
}

const struct hr_cmd store_cmd_tag = {
	.name = "tag",
	.operands = "IMAGE NAME",
	.summary = "give an image of the store another name",
	.opts = tag_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct tag_args),
	.min_operands = 2,
	.max_operands = 2,
	.main = tag_main,
};

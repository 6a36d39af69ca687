/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun inspect: what is known of an image, as JSON. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "store/cmd.h"
#include "store/cmd_inspect.h"
#include "store/image.h"
#include "store/json_out.h"
#include "store/loc.h"
#include "util/cleanup.h"
#include "util/source.h"
#include "util/poison.h"

struct inspect_args {
	struct store_cmd_common common;
	bool json;
};

static const struct hr_opt inspect_opts[] = { HR_OPT_FLAG(0, "json", struct inspect_args, json,
							  "as it does anyway: print a JSON object"),
					      HR_OPT_END };

/* What users of Apptainer and Singularity type; one object has it all here. */
static const struct hr_foreign foreign[] = {
	{ "deffile", "'hpcrun history', as far as an image tells how it was made," },
	{ "labels", "the member 'labels'" },
	{ "environment", "the member 'env'" },
	{ "runscript", "the members 'entrypoint' and 'cmd'" },
	{ "startscript", "unknown: there are no instances" },
	{ "all", "the default" },
	{ "format", "done by jq, as in 'hpcrun inspect IMAGE | jq .labels'," },
	{ NULL, NULL },
};

static json_t *text(const char *s)
{
	return s && strcmp(s, "-") != 0 ? json_string(s) : NULL;
}

/* ---- parts ---- */

/* config.Labels, which nothing else here looks at. The document was checked before. */
static json_t *labels(const uint8_t *config, size_t len)
{
	json_error_t ignored;
	json_t *doc = json_loadb((const char *)config, len, 0, &ignored);
	json_t *found = json_incref(json_object_get(json_object_get(doc, "config"), "Labels"));

	json_decref(doc);
	return found;
}

static int add_config(json_t *o, const struct store_index *ix, struct hr_err *e)
{
	HR_CLEANUP(fetch_config_release) struct fetch_config c = { 0 };
	size_t len;
	const uint8_t *config = store_index_config(ix, &len);

	if (fetch_config_parse(config, len, &c, e) < 0)
		return hr_wrap(e, "the image config");
	store_json_set(o, "created", text(c.created));
	store_json_set(o, "architecture", text(c.architecture));
	store_json_set(o, "os", text(c.os));
	store_json_set(o, "env", store_json_strings(&c.env));
	store_json_set(o, "entrypoint", store_json_strings(&c.entrypoint));
	store_json_set(o, "cmd", store_json_strings(&c.cmd));
	store_json_set(o, "working_dir", text(c.working_dir));
	store_json_set(o, "user", text(c.user));
	store_json_set(o, "labels", labels(config, len));
	return 0;
}

/* The size of a blob is in its alias, which another store or an older pull may not have left. */
static json_t *blob_size(const struct store *st, const struct fetch_digest *blob)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct store_blob_record r;
	struct hr_err unknown = { 0 };

	if (store_object_read(st, STORE_BLOB, blob, STORE_RECORD_LIMIT, &b, &unknown) < 0 ||
	    store_blob_record_parse(b.p, b.len, &r, &unknown) < 0)
		return NULL;
	return store_json_u64(r.size);
}

static int add_record(json_t *o, const struct store *st, const struct fetch_digest *manifest,
		      struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };
	json_t *layers = json_array();

	store_json_set(o, "layers", layers);
	if (store_image_record_read(st, manifest, &r, e) < 0)
		return -1;
	for (size_t i = 0; i < r.n_layers; i++) {
		json_t *l = json_object();

		store_json_set(l, "diff_id", store_json_digest(&r.layers[i].diff_id));
		store_json_set(l, "blob", store_json_digest(&r.layers[i].blob));
		store_json_set(l, "compressed", blob_size(st, &r.layers[i].blob));
		store_json_add(layers, l);
	}
	store_json_set(o, "size", store_json_u64(r.size));
	store_json_set(o, "compressed", store_json_u64(r.compressed));
	store_json_set(o, "occupies", store_json_u64(r.occupies));
	return 0;
}

/* What the tag said, unless the image was asked for by digest. */
static void add_reference(json_t *o, const struct store *st, const char *name)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	HR_CLEANUP(store_ref_record_release) struct store_ref_record r = { 0 };
	struct hr_err none = { 0 };
	hr_autofree char *full = NULL;

	if (fetch_ref_parse(name, &ref, &none) < 0)
		return; /* a digest alone */
	full = fetch_ref_text(&ref);
	store_json_set(o, "reference", json_string(full));
	if (store_ref_read(st, &ref, &r, &none) < 0)
		return;
	store_json_set(o, "server", text(r.server));
	store_json_set(o, "pulled", store_json_u64(r.pulled));
}

static int describe(json_t *o, const struct store_image *img, const char *name, struct hr_err *e)
{
	const struct store_index *ix = store_image_index(img);
	const struct store *st = store_image_store(img);
	struct fetch_digest manifest, config;

	store_index_manifest(ix, &manifest);
	store_index_config_digest(ix, &config);
	add_reference(o, st, name);
	store_json_set(o, "digest", store_json_digest(&manifest));
	store_json_set(o, "config_digest", store_json_digest(&config));
	if (add_config(o, ix, e) < 0 || add_record(o, st, &manifest, e) < 0)
		return hr_wrap(e, "image '%s'", name);
	store_json_set(o, "inodes", store_json_u64(store_index_inodes(ix)));
	store_json_set(o, "chunks", store_json_u64(store_index_chunks(ix)));
	store_json_set(o, "packs", store_json_u64(store_image_loc(img)->n_packs));
	store_json_set(o, "store", json_string(st->path));
	return 0;
}

static int inspect_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(store_image_closep) struct store_image *img = NULL;
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_paths_release) struct store_paths paths = { 0 };
	struct inspect_args *a = args;
	json_t *o;
	int r;

	(void)argc;
	if (hr_source_of(argv[0]) == HR_SOURCE_FILE)
		return store_cmd_inspect_file(argv[0], e);
	if (hr_source_of(argv[0]) == HR_SOURCE_URL)
		return hr_conf_load(&conf, e) < 0 ? -1 : store_cmd_inspect_url(&conf, argv[0], e);
	if (store_cmd_paths(&a->common, &conf, &paths, e) < 0 ||
	    store_image_open(&paths, argv[0], &img, e) < 0)
		return -1;
	o = json_object();
	r = describe(o, img, argv[0], e);
	if (r == 0)
		store_json_print(hr_steal(&o));
	json_decref(o);
	return r;
}

const struct hr_cmd store_cmd_inspect = {
	.name = "inspect",
	.operands = "IMAGE",
	.summary = "show what is known of an image, as JSON",
	.opts = inspect_opts,
	.common = store_cmd_common_opts,
	.foreign = foreign,
	.args_size = sizeof(struct inspect_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = inspect_main,
};

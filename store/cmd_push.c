/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun push: an image out of the store into a registry. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "store/cmd_image.h"
#include "store/gzip_out.h"
#include "store/interrupt.h"
#include "store/json_out.h"
#include "store/layer_tar.h"
#include "store/oci_out.h"
#include "store/push_progress.h"
#include "store/size.h"
#include "store/tree_tar.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

struct push_args {
	struct store_cmd_common common;
	bool json, quiet, squash;
};

static const struct hr_opt push_opts[] = {
	HR_OPT_FLAG(0, "json", struct push_args, json, "print a JSON object at the end"),
	HR_OPT_FLAG('q', "quiet", struct push_args, quiet, "print the digest alone"),
	HR_OPT_FLAG(0, "squash", struct push_args, squash,
		    "as one layer, not those that the image is made of"),
	HR_OPT_END
};

struct push {
	const struct push_args *args;
	struct store_cmd_image image;
	struct fetch_client *client;
	struct fetch_ref to;
	struct fetch_digest digest; /* of the manifest, at the end */
	uint64_t sent;		    /* bytes of blobs */
	size_t n_layers;	    /* of what is pushed; 0: as it was pulled */
	struct push_progress progress;
};

static void push_release(struct push *p)
{
	fetch_client_free(p->client);
	fetch_ref_release(&p->to);
	store_cmd_image_release(&p->image);
}

/* Upload what lies in memory, unless it is there. */
static int put_document(struct push *p, const struct store_oci_part *part, const void *bytes,
			struct hr_err *e)
{
	bool there;

	if (fetch_blob_exists(p->client, &p->to, &part->digest, &there, e) < 0)
		return -1;
	if (there)
		return 0;
	p->sent += part->bytes;
	return fetch_blob_put(p->client, &p->to, &part->digest, bytes, (size_t)part->bytes, e);
}

static int put_manifest(struct push *p, const char *type, const void *doc, size_t n,
			struct hr_err *e)
{
	fetch_digest_of(doc, n, &p->digest);
	return fetch_manifest_put(p->client, &p->to, type, doc, n, e);
}

/* ---- what was pulled ---- */

/* The documents of an image, as they came. */
struct original {
	const struct store *st;
	struct hr_buf manifest, config;
	struct fetch_manifest m;
	struct store_image_record record;
	bool *there;	      /* of each layer: the registry has it */
	struct hr_strv repos; /* of the registry, that had the image when it was pulled */
};

static void original_release(struct original *o)
{
	hr_buf_release(&o->manifest);
	hr_buf_release(&o->config);
	fetch_manifest_release(&o->m);
	store_image_record_release(&o->record);
	free(o->there);
	hr_strv_release(&o->repos);
}

struct search {
	const struct push *p;
	struct fetch_digest manifest;
	struct original *o;
};

static int on_ref(void *arg, const struct fetch_ref *ref, const struct store_ref_record *r,
		  struct hr_err *e)
{
	struct search *s = arg;

	(void)e;
	if (fetch_digest_equal(&r->manifest, &s->manifest) &&
	    strcmp(ref->registry, s->p->to.registry) == 0 && strcmp(ref->repo, s->p->to.repo) != 0)
		hr_strv_add(&s->o->repos, ref->repo);
	return 0;
}

/* False: the documents are not there, as of an image file. */
static bool load_original(const struct push *p, struct original *o)
{
	const struct store *st = p->image.img ? store_image_store(p->image.img) : NULL;
	struct search s = { .p = p, .o = o };
	struct hr_err none = { 0 };

	if (!st)
		return false;
	o->st = st;
	store_index_manifest(p->image.ix, &s.manifest);
	return store_image_record_read(st, &s.manifest, &o->record, &none) == 0 &&
	       store_object_read(st, STORE_DOC, &s.manifest, FETCH_MANIFEST_LIMIT, &o->manifest,
				 &none) == 0 &&
	       fetch_manifest_parse(o->manifest.p, o->manifest.len, &o->m, &none) == 0 &&
	       o->m.n_layers == o->record.n_layers &&
	       store_object_read(st, STORE_DOC, &o->m.config.digest, FETCH_CONFIG_LIMIT, &o->config,
				 &none) == 0 &&
	       store_ref_each(st, on_ref, &s, &none) >= 0;
}

/* Is a layer in the repository, or can it be taken from another one? Says so in a line. */
static int get_layer_there(struct push *p, const struct original *o,
			   const struct fetch_descriptor *blob, bool *there, struct hr_err *e)
{
	bool was;

	if (fetch_blob_exists(p->client, &p->to, &blob->digest, there, e) < 0)
		return -1;
	was = *there;
	for (size_t i = 0; i < o->repos.n && !*there; i++)
		if (fetch_blob_mount(p->client, &p->to, &blob->digest, o->repos.v[i], there, e) < 0)
			return -1;
	push_progress_begin(&p->progress, &blob->digest, blob->size);
	push_progress_end(&p->progress, was	 ? "already there"
					: *there ? "taken from another repository there"
						 : NULL);
	return 0;
}

/* Which of the layers are there? *ALL: none is missing. */
static int look_for_layers(struct push *p, struct original *o, bool *all, struct hr_err *e)
{
	o->there = hr_xmalloc(o->m.n_layers + 1);
	*all = true;
	for (size_t i = 0; i < o->m.n_layers; i++) {
		if (get_layer_there(p, o, &o->m.layers[i], &o->there[i], e) < 0)
			return -1;
		*all = *all && o->there[i];
	}
	return 0;
}

/* What the document calls itself; those of old OCI builders need not. */
static char *media_type(const struct original *o)
{
	json_error_t why;
	json_t *doc = json_loadb((const char *)o->manifest.p, o->manifest.len, 0, &why);
	const char *type = json_string_value(json_object_get(doc, "mediaType"));
	char *out = hr_xstrdup(type ? type : STORE_OCI_MANIFEST);

	json_decref(doc);
	return out;
}

static int put_original(struct push *p, const struct original *o, struct hr_err *e)
{
	struct store_oci_part config = { o->m.config.digest, o->config.len };
	hr_autofree char *type = media_type(o);

	return put_document(p, &config, o->config.p, e) < 0
		       ? -1
		       : put_manifest(p, type, o->manifest.p, o->manifest.len, e);
}

/* ---- layers that are made again ---- */

/* What a layer is made of: a layer of a store, or, ST NULL, the whole image. */
struct from {
	const struct store *st;
	struct fetch_digest diff_id;
};

/* The archive on its way: tar, its digest, gzip, the digest of that, and perhaps the registry. */
struct stream {
	struct fetch_hash *plain, *packed;
	struct store_gzip *gzip;
	struct fetch_upload *upload; /* or NULL: to be measured only */
	uint64_t bytes;
	struct push_progress *progress;
};

static int on_packed(void *arg, const void *p, size_t n, struct hr_err *e)
{
	struct stream *s = arg;

	fetch_hash_add(s->packed, p, n);
	s->bytes += n;
	if (!s->upload)
		return 0;
	push_progress_add(s->progress, n);
	return fetch_upload_add(s->upload, p, n, e);
}

static int on_tar(void *arg, const void *p, size_t n, struct hr_err *e)
{
	struct stream *s = arg;

	fetch_hash_add(s->plain, p, n);
	if (!s->upload)
		push_progress_add(s->progress, n);
	return store_gzip_add(s->gzip, p, n, e);
}

/* Make the layer, for UPLOAD or NULL. */
static int stream_layer(struct push *p, const struct from *from, struct fetch_upload *upload,
			struct store_oci_layer *layer, struct hr_err *e)
{
	struct stream s = { fetch_hash_new(), fetch_hash_new(), NULL, upload, 0, &p->progress };
	int r;

	s.gzip = store_gzip_new(on_packed, &s);
	r = from->st ? store_layer_tar(from->st, &from->diff_id, on_tar, &s, e)
		     : store_tree_tar_image(p->image.ix, p->image.chunks, on_tar, &s, e);
	if (r == 0)
		r = store_gzip_end(s.gzip, e);
	fetch_hash_end(s.plain, &layer->diff_id);
	fetch_hash_end(s.packed, &layer->blob.digest);
	layer->blob.bytes = s.bytes;
	layer->compression = FETCH_GZIP;
	store_gzip_free(s.gzip);
	fetch_hash_free(s.plain);
	fetch_hash_free(s.packed);
	return r;
}

static int upload_layer(struct push *p, const struct from *from, struct store_oci_layer *layer,
			struct hr_err *e)
{
	HR_CLEANUP(fetch_upload_freep) struct fetch_upload *upload = NULL;

	if (fetch_upload_begin(p->client, &p->to, &upload, e) < 0 ||
	    stream_layer(p, from, upload, layer, e) < 0 ||
	    fetch_upload_end(upload, &layer->blob.digest, e) < 0)
		return -1;
	p->sent += layer->blob.bytes;
	return 0;
}

/*
 * Make it, and send it unless it is there. It is made twice, first to know its digest: that takes a
 * fraction of the time in which a layer travels that the registry has already.
 */
static int put_layer(struct push *p, const struct from *from, struct store_oci_layer *layer,
		     struct hr_err *e)
{
	struct fetch_digest digest;
	bool there;
	int r;

	push_progress_begin(&p->progress, NULL, 0);
	r = stream_layer(p, from, NULL, layer, e);
	push_progress_end(&p->progress, NULL);
	if (r < 0 || fetch_blob_exists(p->client, &p->to, &layer->blob.digest, &there, e) < 0)
		return -1;
	digest = layer->blob.digest;
	push_progress_begin(&p->progress, &digest, layer->blob.bytes);
	r = there ? 0 : upload_layer(p, from, layer, e);
	push_progress_end(&p->progress, r < 0 ? NULL : there ? "already there" : "done");
	return r;
}

/* Make the documents of an image of these layers. */
static int put_documents(struct push *p, const struct store_oci_layer *layers, size_t n,
			 struct hr_err *e)
{
	struct store_oci_part config;
	hr_autofree char *doc = store_oci_config(p->image.ix, layers, n, e), *manifest = NULL;

	if (!doc)
		return -1;
	config.bytes = strlen(doc);
	fetch_digest_of(doc, strlen(doc), &config.digest);
	if (put_document(p, &config, doc, e) < 0)
		return -1;
	manifest = store_oci_manifest(&config, layers, n);
	p->n_layers = n;
	return put_manifest(p, STORE_OCI_MANIFEST, manifest, strlen(manifest), e);
}

/* With those layers that the registry has, and the others made again. */
static int push_layers(struct push *p, const struct original *o, struct hr_err *e)
{
	hr_autofree struct store_oci_layer *layers =
		hr_xmalloc((o->m.n_layers + 1) * sizeof(*layers));

	for (size_t i = 0; i < o->m.n_layers; i++) {
		const struct fetch_descriptor *blob = &o->m.layers[i];
		const struct from from = { o->st, o->record.layers[i].diff_id };

		if (!o->there[i] && put_layer(p, &from, &layers[i], e) < 0)
			return -1;
		if (o->there[i])
			layers[i] = (struct store_oci_layer) { { blob->digest, blob->size },
							       blob->compression,
							       from.diff_id };
	}
	return put_documents(p, layers, o->m.n_layers, e);
}

static int push_one_layer(struct push *p, struct hr_err *e)
{
	const struct from whole = { .st = NULL };
	struct store_oci_layer layer;

	return put_layer(p, &whole, &layer, e) < 0 ? -1 : put_documents(p, &layer, 1, e);
}

/* As it was pulled, or else with its layers, or else as one. */
static int push_image(struct push *p, struct hr_err *e)
{
	HR_CLEANUP(original_release) struct original o = { .m = { .n_layers = 0 } };
	bool all;

	if (p->args->squash || !load_original(p, &o))
		return push_one_layer(p, e);
	if (look_for_layers(p, &o, &all, e) < 0)
		return -1;
	if (all)
		return put_original(p, &o, e);
	if (push_layers(p, &o, e) == 0)
		return 0;
	if (e->kind != HR_NOTFOUND)
		return -1;
	hr_warn("pushed as one layer: %s", e->text);
	hr_err_clear(e);
	return push_one_layer(p, e);
}

/* ---- the verb ---- */

static void print_end(const struct push *p)
{
	hr_autofree char *name = fetch_ref_text(&p->to);
	hr_autofree char *how = p->n_layers == 0   ? hr_xstrdup("as it was pulled")
				: p->n_layers == 1 ? hr_xstrdup("as one layer")
						   : hr_xasprintf("as %zu layers", p->n_layers);
	char digest[FETCH_DIGEST_TEXT], size[STORE_SIZE_TEXT];
	json_t *o;

	fetch_digest_text(&p->digest, digest);
	if (p->args->json) {
		o = json_object();
		store_json_set(o, "reference", json_string(name));
		store_json_set(o, "digest", json_string(digest));
		store_json_set(o, "as_it_was", json_boolean(p->n_layers == 0));
		store_json_set(o, "uploaded", store_json_u64(p->sent));
		store_json_print(o);
		return;
	}
	printf("%s\n", digest);
	if (!p->args->quiet)
		fprintf(stderr, "%s: %s, %s uploaded\n", name, how, store_size_text(p->sent, size));
}

static int push(struct push *p, const char *image, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	HR_CLEANUP(store_paths_release) struct store_paths paths = { 0 };
	int r;

	if (store_cmd_paths(&p->args->common, &conf, &paths, e) < 0 ||
	    store_cmd_image_open(&paths, image, &p->image, e) < 0 ||
	    store_cmd_client(&conf, store_interrupt_catch(), &p->client, e) < 0)
		return -1;
	r = push_image(p, e);
	/* the client borrows from conf */
	fetch_client_free(hr_steal(&p->client));
	return r < 0 ? -1 : 0;
}

static int push_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(push_release) struct push p = { .args = args };

	(void)argc;
	p.progress.quiet = p.args->quiet || p.args->json;
	p.progress.bars = isatty(STDERR_FILENO);
	if (fetch_ref_parse(argv[1], &p.to, e) < 0)
		return -1;
	if (p.to.has_digest)
		return hr_fail(e, HR_USAGE, 0, "'%s' has a digest: an image is pushed to a tag",
			       argv[1]);
	if (push(&p, argv[0], e) < 0)
		return hr_wrap(e, "cannot push '%s' to '%s'", argv[0], argv[1]);
	print_end(&p);
	return 0;
}

const struct hr_cmd store_cmd_push = {
	.name = "push",
	.operands = "IMAGE REFERENCE",
	.summary = "upload an image to a registry",
	.opts = push_opts,
	.common = store_cmd_common_opts,
	.args_size = sizeof(struct push_args),
	.min_operands = 2,
	.max_operands = 2,
	.main = push_main,
};

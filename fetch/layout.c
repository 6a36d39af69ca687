/* SPDX-License-Identifier: BSD-3-Clause */
/* What lies in an OCI layout, and in an archive of 'docker save': pure parsers. */
#include "config.h"

#include "fetch/fetch.h"

#include <string.h>

#include "fetch/json.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define REF_NAME "org.opencontainers.image.ref.name"

/* The name that the layout gives an image, or NULL. */
static int name_of(const json_t *entry, const char **name, struct hr_err *e)
{
	json_t *annotations;

	*name = NULL;
	if (fetch_json_object_opt(entry, "annotations", &annotations, e) < 0)
		return -1;
	return annotations ? fetch_json_string_opt(annotations, REF_NAME, name, e) : 0;
}

/* A name may be a tag alone, or a whole reference, as docker writes it. */
static bool is_named(const char *name, const char *tag)
{
	const char *colon = name ? strrchr(name, ':') : NULL;

	return name && (strcmp(name, tag) == 0 || (colon && strcmp(colon + 1, tag) == 0));
}

static int ambiguous(const json_t *manifests, const char *tag, size_t found, struct hr_err *e)
{
	hr_autobuf struct hr_buf names = { 0 };
	struct hr_err ignored = { 0 }; /* the list is for people */

	for (size_t i = 0; i < json_array_size(manifests) && i < 20; i++) {
		const char *name;

		if (name_of(json_array_get(manifests, i), &name, &ignored) == 0 && name) {
			hr_buf_str(&names, names.len ? ", " : "");
			hr_buf_untrusted(&names, name, strlen(name));
		}
	}
	hr_hint(e, "its images: %s", names.len ? (const char *)names.p : "(without names)");
	if (tag)
		return hr_fail(e, HR_NOTFOUND, 0, "the layout has %s image '%s'",
			       found ? "more than one" : "no", tag);
	return hr_fail(e, found ? HR_USAGE : HR_NOTFOUND, 0, "the layout has %s",
		       found ? "several images, name one" : "no image");
}

int fetch_layout_pick(const void *doc, size_t len, const char *tag, struct fetch_digest *out,
		      struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	const char *name, *digest = NULL, *text;
	json_t *manifests;
	size_t found = 0;

	if (fetch_json_parse(doc, len, "index.json", &root, e) < 0 ||
	    fetch_json_array(root, "manifests", &manifests, e) < 0)
		return hr_wrap(e, "OCI layout");
	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const json_t *entry = json_array_get(manifests, i);

		if (!json_is_object(entry) || name_of(entry, &name, e) < 0 ||
		    fetch_json_string(entry, "digest", &text, e) < 0)
			return e->kind ? hr_wrap(e, "OCI layout")
				       : hr_fail(e, HR_CORRUPT, 0, "OCI layout: an odd entry");
		if (tag && !is_named(name, tag))
			continue;
		digest = text;
		found++;
	}
	if (found != 1)
		return ambiguous(manifests, tag, found, e);
	return fetch_digest_parse(digest, out, e);
}

/* ---- docker save ---- */

/* manifest.json is an array, which our parser of strangers' JSON does not take: as a member. */
static int parse_array(const void *doc, size_t len, json_t **root, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, "{\"images\":");
	hr_buf_add(&b, doc, len);
	hr_buf_str(&b, "}");
	return fetch_json_parse(b.p, b.len, "manifest.json", root, e);
}

static bool has_tag(const struct hr_strv *tags, const char *tag)
{
	for (size_t i = 0; i < tags->n; i++)
		if (is_named(tags->v[i], tag))
			return true;
	return false;
}

int fetch_docker_save_parse(const void *doc, size_t len, const char *tag,
			    struct fetch_docker_save *out, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	json_t *images, *picked = NULL;
	const char *config;

	if (parse_array(doc, len, &root, e) < 0 || fetch_json_array(root, "images", &images, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(images); i++) {
		HR_CLEANUP(hr_strv_release) struct hr_strv tags = { 0 };
		json_t *image = json_array_get(images, i);

		if (!json_is_object(image))
			return hr_fail(e, HR_CORRUPT, 0, "manifest.json: an odd entry");
		if (fetch_json_strings_opt(image, "RepoTags", &tags, e) < 0)
			return hr_wrap(e, "manifest.json");
		if (tag && !has_tag(&tags, tag))
			continue;
		if (picked)
			return hr_fail(e, HR_USAGE, 0,
				       "the archive has several images, name one by its tag");
		picked = image;
	}
	if (!picked)
		return hr_fail(e, HR_NOTFOUND, 0, "the archive has no image%s%s", tag ? " " : "",
			       tag ? tag : "");
	if (fetch_json_string(picked, "Config", &config, e) < 0 ||
	    fetch_json_strings_opt(picked, "Layers", &out->layers, e) < 0)
		return hr_wrap(e, "manifest.json");
	if (out->layers.n > FETCH_LAYERS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "manifest.json: %zu layers", out->layers.n);
	out->config = hr_xstrdup(config);
	return 0;
}

void fetch_docker_save_release(struct fetch_docker_save *s)
{
	free(s->config);
	hr_strv_release(&s->layers);
	memset(s, 0, sizeof(*s));
}

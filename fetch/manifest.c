/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "fetch/fetch.h"

#include <string.h>

#include "fetch/json.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define OCI    "application/vnd.oci."
#define DOCKER "application/vnd.docker."

enum media_kind { MEDIA_MANIFEST, MEDIA_INDEX, MEDIA_CONFIG, MEDIA_LAYER };

/* Every media type that means something here; all others are refused by name. */
static const struct media {
	const char *type;
	enum media_kind kind;
	enum fetch_compression compression;
} media_types[] = {
	{ OCI "image.manifest.v1+json", MEDIA_MANIFEST, FETCH_PLAIN },
	{ DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST, FETCH_PLAIN },
	{ OCI "image.index.v1+json", MEDIA_INDEX, FETCH_PLAIN },
	{ DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX, FETCH_PLAIN },
	{ OCI "image.config.v1+json", MEDIA_CONFIG, FETCH_PLAIN },
	{ DOCKER "container.image.v1+json", MEDIA_CONFIG, FETCH_PLAIN },
	{ OCI "image.layer.v1.tar", MEDIA_LAYER, FETCH_PLAIN },
	{ OCI "image.layer.v1.tar+gzip", MEDIA_LAYER, FETCH_GZIP },
	{ OCI "image.layer.v1.tar+zstd", MEDIA_LAYER, FETCH_ZSTD },
	{ OCI "image.layer.nondistributable.v1.tar", MEDIA_LAYER, FETCH_PLAIN },
	{ OCI "image.layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, FETCH_GZIP },
	{ OCI "image.layer.nondistributable.v1.tar+zstd", MEDIA_LAYER, FETCH_ZSTD },
	{ DOCKER "image.rootfs.diff.tar", MEDIA_LAYER, FETCH_PLAIN },
	{ DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER, FETCH_GZIP },
	{ DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER, FETCH_ZSTD },
	{ DOCKER "image.rootfs.foreign.diff.tar", MEDIA_LAYER, FETCH_PLAIN },
	{ DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, FETCH_GZIP },
};

static const struct media *media_find(const char *type)
{
	for (size_t i = 0; i < HR_COUNT(media_types); i++)
		if (strcmp(type, media_types[i].type) == 0)
			return &media_types[i];
	return NULL;
}

/* ---- what kind of document ---- */

static int refuse_by_name(const json_t *root, const char *media, struct hr_err *e)
{
	uint64_t version;

	if (json_object_get(root, "fsLayers"))
		return hr_fail(e, HR_CORRUPT, 0,
			       "is a Docker schema 1 manifest, which is not supported");
	if (json_object_get(root, "blobs") || (media && strstr(media, "artifact")))
		return hr_fail(e, HR_CORRUPT, 0, "is an OCI artifact, not an image");
	if (fetch_json_size(root, "schemaVersion", &version, e) < 0)
		return -1;
	if (version != 2)
		return hr_fail(e, HR_CORRUPT, 0, "'schemaVersion' is %llu, expected 2",
			       (unsigned long long)version);
	return 0;
}

/* The members decide; a media type in the body must agree with them. */
static int doc_kind(const json_t *root, enum fetch_doc_kind *out, struct hr_err *e)
{
	bool index = json_object_get(root, "manifests") != NULL;
	bool manifest = json_object_get(root, "layers") || json_object_get(root, "config");
	const struct media *known;
	const char *media;

	if (fetch_json_string_opt(root, "mediaType", &media, e) < 0 ||
	    refuse_by_name(root, media, e) < 0)
		return -1;
	if (index && manifest)
		return hr_fail(
			e, HR_CORRUPT, 0,
			"has both 'manifests' and 'layers' or 'config', so it has two meanings");
	if (!index && !manifest)
		return hr_fail(e, HR_CORRUPT, 0, "has neither 'manifests' nor 'layers'");
	known = media ? media_find(media) : NULL;
	if (media && (!known || known->kind != (index ? MEDIA_INDEX : MEDIA_MANIFEST)))
		return hr_fail(e, HR_CORRUPT, 0,
			       "'mediaType' is '%.120s', but the content is an image %s", media,
			       index ? "index" : "manifest");
	*out = index ? FETCH_DOC_INDEX : FETCH_DOC_MANIFEST;
	return 0;
}

int fetch_doc_kind(const void *doc, size_t len, enum fetch_doc_kind *out, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;

	if (fetch_json_parse(doc, len, "manifest", &root, e) < 0)
		return -1;
	if (doc_kind(root, out, e) < 0)
		return hr_wrap(e, "manifest");
	return 0;
}

/* Parse a document that must be of KIND. */
static int load_doc(const void *doc, size_t len, enum fetch_doc_kind kind, json_t **root,
		    struct hr_err *e)
{
	enum fetch_doc_kind is;

	if (fetch_json_parse(doc, len, "manifest", root, e) < 0)
		return -1;
	if (doc_kind(*root, &is, e) < 0)
		return hr_wrap(e, "manifest");
	if (is != kind)
		return hr_fail(e, HR_CORRUPT, 0, "manifest is an image %s, expected an image %s",
			       is == FETCH_DOC_INDEX ? "index" : "manifest",
			       kind == FETCH_DOC_INDEX ? "index" : "manifest");
	return 0;
}

/* ---- descriptors ---- */

static int parse_descriptor(const json_t *o, struct fetch_descriptor *d, const struct media **media,
			    struct hr_err *e)
{
	const char *type, *digest;

	if (!json_is_object(o))
		return hr_fail(e, HR_CORRUPT, 0, "is not an object");
	if (fetch_json_string(o, "mediaType", &type, e) < 0 ||
	    fetch_json_string(o, "digest", &digest, e) < 0 ||
	    fetch_json_size(o, "size", &d->size, e) < 0)
		return -1;
	if (fetch_digest_parse(digest, &d->digest, e) < 0)
		return hr_wrap(e, "'digest'");
	*media = media_find(type);
	d->compression = *media ? (*media)->compression : FETCH_PLAIN;
	return 0;
}

static int parse_layers(const json_t *list, struct fetch_manifest *m, struct hr_err *e)
{
	size_t n = json_array_size(list);

	if (n > FETCH_LAYERS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "has %zu layers, at most %d are allowed", n,
			       FETCH_LAYERS_MAX);
	m->layers = hr_xmalloc(n * sizeof(*m->layers));
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(list, i);
		const struct media *media;

		if (parse_descriptor(item, &m->layers[i], &media, e) < 0)
			return hr_wrap(e, "layer %zu", i);
		if (!media || media->kind != MEDIA_LAYER)
			return hr_fail(
				e, HR_CORRUPT, 0,
				"layer %zu has the media type '%.120s', which is no image layer", i,
				json_string_value(json_object_get(item, "mediaType")));
	}
	m->n_layers = n;
	return 0;
}

static int parse_manifest(const json_t *root, struct fetch_manifest *m, struct hr_err *e)
{
	const struct media *media;
	json_t *config, *layers;

	if (fetch_json_object(root, "config", &config, e) < 0 ||
	    fetch_json_array(root, "layers", &layers, e) < 0)
		return -1;
	if (parse_descriptor(config, &m->config, &media, e) < 0)
		return hr_wrap(e, "'config'");
	if (!media || media->kind != MEDIA_CONFIG)
		return hr_fail(
			e, HR_CORRUPT, 0,
			"is an artifact, not an image: its config has the media type '%.120s'",
			json_string_value(json_object_get(config, "mediaType")));
	if (m->config.size > FETCH_CONFIG_LIMIT)
		return hr_fail(e, HR_CORRUPT, 0,
			       "'config' has a size of %llu bytes, at most %u are allowed",
			       (unsigned long long)m->config.size, FETCH_CONFIG_LIMIT);
	return parse_layers(layers, m, e);
}

int fetch_manifest_parse(const void *doc, size_t len, struct fetch_manifest *out, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	HR_CLEANUP(fetch_manifest_release) struct fetch_manifest m = { 0 };

	if (load_doc(doc, len, FETCH_DOC_MANIFEST, &root, e) < 0)
		return -1;
	if (parse_manifest(root, &m, e) < 0)
		return hr_wrap(e, "manifest");
	*out = m;
	memset(&m, 0, sizeof(m));
	return 0;
}

void fetch_manifest_release(struct fetch_manifest *m)
{
	free(m->layers);
	memset(m, 0, sizeof(*m));
}

/* ---- image config ---- */

static int parse_rootfs(const json_t *root, struct fetch_config *c, struct hr_err *e)
{
	const char *type;
	json_t *rootfs, *list;
	size_t n;

	if (fetch_json_object(root, "rootfs", &rootfs, e) < 0)
		return -1;
	if (fetch_json_string(rootfs, "type", &type, e) < 0 ||
	    fetch_json_array(rootfs, "diff_ids", &list, e) < 0)
		return hr_wrap(e, "'rootfs'");
	if (strcmp(type, "layers") != 0)
		return hr_fail(e, HR_CORRUPT, 0, "'rootfs' has the type '%.40s', expected 'layers'",
			       type);
	n = json_array_size(list);
	if (n > FETCH_LAYERS_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "has %zu layers, at most %d are allowed", n,
			       FETCH_LAYERS_MAX);
	c->diff_ids = hr_xmalloc(n * sizeof(*c->diff_ids));
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			return hr_fail(e, HR_CORRUPT, 0, "'diff_ids'[%zu] is not a string", i);
		if (fetch_digest_parse(text, &c->diff_ids[i], e) < 0)
			return hr_wrap(e, "'diff_ids'[%zu]", i);
	}
	c->n_diff_ids = n;
	return 0;
}

/* NAME=VALUE with a name of printable characters; anything else cannot be set by a shell either. */
static bool is_env_entry(const char *s)
{
	size_t n = strcspn(s, "=");

	if (n == 0 || s[n] != '=')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

static int parse_env(const json_t *config, struct hr_strv *out, struct hr_err *e)
{
	struct hr_strv all = { 0 };
	size_t bad = 0;
	int r = fetch_json_strings_opt(config, "Env", &all, e);

	for (size_t i = 0; r == 0 && i < all.n; i++) {
		if (is_env_entry(all.v[i]))
			hr_strv_add(out, all.v[i]);
		else
			bad++;
	}
	if (bad > 0)
		hr_warn("image config: entries of 'Env' that are not NAME=VALUE are ignored: %zu",
			bad);
	hr_strv_release(&all);
	return r;
}

static char *dup_or_null(const char *s)
{
	return s && *s ? hr_xstrdup(s) : NULL;
}

static int parse_run_config(const json_t *root, struct fetch_config *c, struct hr_err *e)
{
	const char *dir, *user;
	json_t *config;

	if (fetch_json_object_opt(root, "config", &config, e) < 0)
		return -1;
	if (!config)
		return 0;
	if (parse_env(config, &c->env, e) < 0 ||
	    fetch_json_strings_opt(config, "Entrypoint", &c->entrypoint, e) < 0 ||
	    fetch_json_strings_opt(config, "Cmd", &c->cmd, e) < 0 ||
	    fetch_json_string_opt(config, "WorkingDir", &dir, e) < 0 ||
	    fetch_json_string_opt(config, "User", &user, e) < 0)
		return hr_wrap(e, "'config'");
	c->working_dir = dup_or_null(dir);
	c->user = dup_or_null(user);
	return 0;
}

static int parse_config(const json_t *root, struct fetch_config *c, struct hr_err *e)
{
	const char *arch, *os, *created;

	if (fetch_json_string(root, "architecture", &arch, e) < 0 ||
	    fetch_json_string(root, "os", &os, e) < 0 ||
	    fetch_json_string_opt(root, "created", &created, e) < 0)
		return -1;
	c->architecture = hr_xstrdup(arch);
	c->os = hr_xstrdup(os);
	c->created = dup_or_null(created);
	if (parse_rootfs(root, c, e) < 0)
		return -1;
	return parse_run_config(root, c, e);
}

int fetch_config_parse(const void *doc, size_t len, struct fetch_config *out, struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	HR_CLEANUP(fetch_config_release) struct fetch_config c = { 0 };

	if (fetch_json_parse(doc, len, "image config", &root, e) < 0)
		return -1;
	if (parse_config(root, &c, e) < 0)
		return hr_wrap(e, "image config");
	*out = c;
	memset(&c, 0, sizeof(c));
	return 0;
}

void fetch_config_release(struct fetch_config *c)
{
	free(c->architecture);
	free(c->os);
	free(c->created);
	free(c->diff_ids);
	hr_strv_release(&c->env);
	hr_strv_release(&c->entrypoint);
	hr_strv_release(&c->cmd);
	free(c->working_dir);
	free(c->user);
	memset(c, 0, sizeof(*c));
}

/* ---- platforms ---- */

struct platform {
	const char *os, *arch, *variant; /* variant may be NULL */
};

/* The platform of an index entry; false when it has none that can be read. */
static bool platform_of(const json_t *entry, struct platform *p)
{
	const json_t *o = json_object_get(entry, "platform");

	p->os = json_string_value(json_object_get(o, "os"));
	p->arch = json_string_value(json_object_get(o, "architecture"));
	p->variant = json_string_value(json_object_get(o, "variant"));
	return p->os && p->arch;
}

/* What every machine of an architecture can run; amd64 v2 and up would need a look at each node. */
static bool variant_fits(const char *arch, const char *variant)
{
	static const struct {
		const char *arch, *variant;
	} base[] = { { "amd64", "v1" }, { "arm64", "v8" }, { "arm64", "v8.0" } };

	if (!variant || !*variant)
		return true;
	for (size_t i = 0; i < HR_COUNT(base); i++)
		if (strcmp(base[i].arch, arch) == 0 && strcmp(base[i].variant, variant) == 0)
			return true;
	return false;
}

static int no_platform(const json_t *list, const char *arch, struct hr_err *e)
{
	hr_autobuf struct hr_buf there = { 0 };

	for (size_t i = 0; i < json_array_size(list) && there.len < 400; i++) {
		struct platform p;

		if (!platform_of(json_array_get(list, i), &p) || strcmp(p.os, "unknown") == 0)
			continue;
		hr_buf_printf(&there, "%s%.40s/%.40s%s%.40s", there.len ? ", " : "", p.os, p.arch,
			      p.variant ? "/" : "", p.variant ? p.variant : "");
	}
	return hr_fail(e, HR_NOTFOUND, 0, "image has no manifest for linux/%s; it has: %s", arch,
		       there.len ? (const char *)there.p : "none with a platform");
}

int fetch_platform_pick(const void *doc, size_t len, const char *arch, struct fetch_descriptor *out,
			struct hr_err *e)
{
	HR_CLEANUP(fetch_json_freep) json_t *root = NULL;
	struct fetch_descriptor d;
	const struct media *media;
	json_t *list;

	if (load_doc(doc, len, FETCH_DOC_INDEX, &root, e) < 0)
		return -1;
	if (fetch_json_array(root, "manifests", &list, e) < 0)
		return hr_wrap(e, "manifest");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		struct platform p;

		if (!platform_of(entry, &p) || strcmp(p.os, "linux") != 0 ||
		    strcmp(p.arch, arch) != 0 || !variant_fits(arch, p.variant))
			continue;
		if (parse_descriptor(entry, &d, &media, e) < 0)
			return hr_wrap(e, "manifest: 'manifests'[%zu]", i);
		if (!media || (media->kind != MEDIA_MANIFEST && media->kind != MEDIA_INDEX))
			return hr_fail(e, HR_CORRUPT, 0,
				       "manifest: 'manifests'[%zu] is neither an image manifest "
				       "nor an index",
				       i);
		*out = d;
		return 0;
	}
	return no_platform(list, arch, e);
}

const char *fetch_host_arch(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	return "ppc64le";
#elif defined(__riscv) && __riscv_xlen == 64
	return "riscv64";
#elif defined(__s390x__)
	return "s390x";
#else
#error "the GOARCH name of this machine is not known here"
#endif
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* fetch: manifests, indexes and configs, mostly hostile ones. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fetch/fetch.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define HEX    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST "'sha256:" HEX "'"
#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

#define CONFIG	     "{'mediaType':'" OCI "config.v1+json','digest':" DIGEST ",'size':7}"
#define LAYER(type)  "{'mediaType':'" type "','digest':" DIGEST ",'size':9}"
#define GZIP	     LAYER(OCI "layer.v1.tar+gzip")
#define SIZED(s)     "{'mediaType':'" OCI "layer.v1.tar','digest':" DIGEST ",'size':" s "}"
#define DIGESTED(d)  "{'mediaType':'" OCI "layer.v1.tar','digest':" d ",'size':1}"
#define MANIFEST(ls) "{'schemaVersion':2,'config':" CONFIG ",'layers':[" ls "]}"

/* Rows are written with ' for ", which JSON has no use for. */
static char *doc(const char *text)
{
	char *s = hr_xstrdup(text);

	for (char *p = s; *p; p++)
		if (*p == '\'')
			*p = '"';
	return s;
}

static const struct {
	const char *what, *in, *message;
	size_t layers;
} manifest_rows[] = {
	{ "one layer", MANIFEST(GZIP), NULL, 1 },
	{ "no layer", MANIFEST(""), NULL, 0 },
	{ "docker",
	  "{'schemaVersion':2,'mediaType':'" DOCKER "distribution.manifest.v2+json',"
	  "'config':{'mediaType':'" DOCKER "container.image.v1+json','digest':" DIGEST
	  ",'size':7},'layers':[" LAYER(DOCKER "image.rootfs.diff.tar.gzip") "]}",
	  NULL, 1 },
	{ "zstd and plain", MANIFEST(LAYER(OCI "layer.v1.tar+zstd") "," LAYER(OCI "layer.v1.tar")),
	  NULL, 2 },
	{ "urls and annotations are ignored",
	  "{'schemaVersion':2,'x':[1.5,null],'config':" CONFIG
	  ",'layers':[{'urls':['http://evil.x/'],'annotations':{'a':'b'},'mediaType':'" OCI
	  "layer.v1.tar','digest':" DIGEST ",'size':1}]}",
	  NULL, 1 },
	{ "largest size", MANIFEST(SIZED("9223372036854775807")), NULL, 1 },
	{ "smallest size", MANIFEST(SIZED("0")), NULL, 1 },
	{ "size 2^63", MANIFEST(SIZED("9223372036854775808")), "not valid JSON", 0 },
	{ "size 2^64", MANIFEST(SIZED("18446744073709551616")), "not valid JSON", 0 },
	{ "size -1", MANIFEST(SIZED("-1")), "layer 0: 'size' is negative", 0 },
	{ "size 1e3", MANIFEST(SIZED("1e3")), "expected an integer", 0 },
	{ "size 1.0", MANIFEST(SIZED("1.0")), "expected an integer", 0 },
	{ "size text", MANIFEST(SIZED("'12'")), "is a string, expected an integer", 0 },
	{ "size null", MANIFEST(SIZED("null")), "'size' is missing", 0 },
	{ "empty", "", "manifest is empty", 0 },
	{ "blank", " ", "not valid JSON", 0 },
	{ "truncated", "{'schemaVersion':2", "not valid JSON", 0 },
	{ "trailing", MANIFEST(GZIP) "x", "not valid JSON", 0 },
	{ "two documents", MANIFEST(GZIP) MANIFEST(GZIP), "not valid JSON", 0 },
	{ "byte order mark", "\xef\xbb\xbf" MANIFEST(GZIP), "not valid JSON", 0 },
	{ "bad utf-8", "{'schemaVersion':2,'x':'\xff'}", "not valid JSON", 0 },
	{ "NUL escape", "{'schemaVersion':2,'x':'\\u0000'}", "not valid JSON", 0 },
	{ "array", "[]", "not a JSON object", 0 },
	{ "number", "2", "not valid JSON", 0 },
	{ "duplicate key", "{'schemaVersion':2,'layers':[],'layers':[],'config':" CONFIG "}",
	  "duplicate object key", 0 },
	{ "both", "{'schemaVersion':2,'manifests':[],'layers':[],'config':" CONFIG "}",
	  "two meanings", 0 },
	{ "manifests and config", "{'schemaVersion':2,'manifests':[],'config':" CONFIG "}",
	  "two meanings", 0 },
	{ "neither", "{'schemaVersion':2}", "has neither", 0 },
	{ "index", "{'schemaVersion':2,'manifests':[]}", "expected an image manifest", 0 },
	{ "schema 1", "{'schemaVersion':1,'fsLayers':[]}", "schema 1", 0 },
	{ "schema 3", "{'schemaVersion':3,'layers':[]}", "'schemaVersion' is 3", 0 },
	{ "no schema", "{'layers':[]}", "'schemaVersion' is missing", 0 },
	{ "media type of an index",
	  "{'schemaVersion':2,'mediaType':'" OCI "index.v1+json','config':" CONFIG ",'layers':[]}",
	  "but the content is an image manifest", 0 },
	{ "media type a number", "{'schemaVersion':2,'mediaType':1,'layers':[]}",
	  "'mediaType' is an integer", 0 },
	{ "artifact by config",
	  "{'schemaVersion':2,'layers':[],'config':{'mediaType':'application/"
	  "vnd.oci.empty.v1+json"
	  "','digest':" DIGEST ",'size':2}}",
	  "artifact, not an image", 0 },
	{ "artifact by type",
	  "{'schemaVersion':2,'mediaType':'application/"
	  "vnd.oci.artifact.manifest.v1+json','blobs':"
	  "[]}",
	  "artifact, not an image", 0 },
	{ "config missing", "{'schemaVersion':2,'layers':[]}", "'config' is missing", 0 },
	{ "config null", "{'schemaVersion':2,'layers':[],'config':null}", "'config' is missing",
	  0 },
	{ "config an array", "{'schemaVersion':2,'layers':[],'config':[]}", "'config' is an array",
	  0 },
	{ "config too large",
	  "{'schemaVersion':2,'layers':[],'config':{'mediaType':'" OCI
	  "config.v1+json','digest':" DIGEST ",'size':16777217}}",
	  "at most 16777216", 0 },
	{ "layers missing", "{'schemaVersion':2,'config':" CONFIG "}", "'layers' is missing", 0 },
	{ "layers an object", "{'schemaVersion':2,'config':" CONFIG ",'layers':{}}",
	  "'layers' is an object", 0 },
	{ "layer a string", MANIFEST("'x'"), "layer 0: is not an object", 0 },
	{ "second layer", MANIFEST(GZIP ",{}"), "layer 1: 'mediaType' is missing", 0 },
	{ "layer of an odd type", MANIFEST(LAYER("application/x-helm")), "is no image layer", 0 },
	{ "layer that is a config", MANIFEST(CONFIG), "is no image layer", 0 },
	{ "encrypted layer", MANIFEST(LAYER(OCI "layer.v1.tar+gzip+encrypted")),
	  "is no image layer", 0 },
	{ "digest of 63", MANIFEST(DIGESTED("'sha256:00'")), "layer 0: 'digest': digest has", 0 },
	{ "digest a path", MANIFEST(DIGESTED("'sha256:../../x'")), "digits", 0 },
	{ "digest md5", MANIFEST(DIGESTED("'md5:00'")), "algorithm 'md5'", 0 },
	{ "digest sha512", MANIFEST(DIGESTED("'sha512:00'")), "algorithm 'sha512'", 0 },
	{ "digest missing", MANIFEST("{'mediaType':'" OCI "layer.v1.tar','size':1}"),
	  "'digest' is missing", 0 },
};

static void manifests(void **state)
{
	(void)state;
	for (size_t i = 0; i < HR_COUNT(manifest_rows); i++) {
		HR_CLEANUP(fetch_manifest_release) struct fetch_manifest m = { 0 };
		hr_autofree char *text = doc(manifest_rows[i].in);
		struct hr_err e = { 0 };
		int r = fetch_manifest_parse(text, strlen(text), &m, &e);

		if ((r == 0) != (manifest_rows[i].message == NULL) ||
		    m.n_layers != manifest_rows[i].layers ||
		    (r < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, manifest_rows[i].message))))
			fail_msg("row '%s': %d '%s'", manifest_rows[i].what, r, e.text);
	}
}

static void every_prefix_of_a_manifest_is_refused(void **state)
{
	hr_autofree char *text = doc(MANIFEST(GZIP "," GZIP));

	(void)state;
	for (size_t n = 0; n < strlen(text); n++) {
		/* exact allocation: a read past the end is seen by the sanitizers */
		hr_autofree char *cut = hr_xmalloc(n);
		struct fetch_manifest m = { 0 };
		struct hr_err e = { 0 };

		memcpy(cut, text, n);
		assert_int_equal(fetch_manifest_parse(cut, n, &m, &e), -1);
		assert_int_equal(e.kind, HR_CORRUPT);
	}
}

static void compression_follows_the_media_type(void **state)
{
	hr_autofree char *text = doc(
		MANIFEST(LAYER(OCI "layer.v1.tar") "," GZIP "," LAYER(OCI "layer.v1.tar+zstd")));
	HR_CLEANUP(fetch_manifest_release) struct fetch_manifest m = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(fetch_manifest_parse(text, strlen(text), &m, &e), 0);
	assert_int_equal(m.layers[0].compression, FETCH_PLAIN);
	assert_int_equal(m.layers[1].compression, FETCH_GZIP);
	assert_int_equal(m.layers[2].compression, FETCH_ZSTD);
	assert_int_equal(m.layers[1].size, 9);
	assert_int_equal(m.config.size, 7);
}

/* OPEN repeated N times, then CLOSE N times, as the value of a member. */
static int parse_nested(size_t n, char open, char close, struct hr_err *e)
{
	HR_CLEANUP(hr_buf_release) struct hr_buf b = { 0 };
	HR_CLEANUP(fetch_manifest_release) struct fetch_manifest m = { 0 };
	hr_autofree char *head = doc("{'schemaVersion':2,'x':");
	hr_autofree char *tail = doc(",'config':" CONFIG ",'layers':[]}");

	hr_buf_str(&b, head);
	for (size_t i = 0; i < n; i++)
		hr_buf_add(&b, &open, 1);
	for (size_t i = 0; close && i < n; i++)
		hr_buf_add(&b, &close, 1);
	hr_buf_str(&b, tail);
	return fetch_manifest_parse(b.p, b.len, &m, e);
}

static void nesting_is_bounded(void **state)
{
	static const struct {
		size_t n;
		char open, close;
		const char *message;
	} rows[] = {
		{ 30, '[', ']', NULL },
		{ 31, '[', ']', NULL },
		{ 32, '[', ']', "deeper than 32" },
		{ 100000, '[', ']', "deeper than 32" },
		{ 100000, '[', 0, "deeper than 32" },
		{ 100000, '{', 0, "deeper than 32" },
		{ 30, '{', 0, "not valid JSON" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		int r = parse_nested(rows[i].n, rows[i].open, rows[i].close, &e);

		if ((r == 0) != (rows[i].message == NULL) ||
		    (r < 0 && !strstr(e.text, rows[i].message)))
			fail_msg("row %zu: %d '%s'", i, r, e.text);
	}
}

static int parse_layers(size_t n, struct fetch_manifest *m, struct hr_err *e)
{
	HR_CLEANUP(hr_buf_release) struct hr_buf b = { 0 };
	hr_autofree char *head = doc("{'schemaVersion':2,'config':" CONFIG ",'layers':[");
	hr_autofree char *layer = doc(GZIP);

	hr_buf_str(&b, head);
	for (size_t i = 0; i < n; i++)
		hr_buf_printf(&b, "%s%s", i ? "," : "", layer);
	hr_buf_str(&b, "]}");
	return fetch_manifest_parse(b.p, b.len, m, e);
}

static void layers_are_bounded(void **state)
{
	static const struct {
		size_t n;
		bool ok;
	} rows[] = { { 1, true },    { 128, true },   { 500, true },   { 4095, true },
		     { 4096, true }, { 4097, false }, { 20000, false } };

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(fetch_manifest_release) struct fetch_manifest m = { 0 };
		struct hr_err e = { 0 };
		int r = parse_layers(rows[i].n, &m, &e);

		if ((r == 0) != rows[i].ok || m.n_layers != (r == 0 ? rows[i].n : 0) ||
		    (r < 0 && !strstr(e.text, "at most 4096")))
			fail_msg("%zu layers: %d '%s'", rows[i].n, r, e.text);
	}
}

static void kinds(void **state)
{
	static const struct {
		const char *in, *message;
		enum fetch_doc_kind kind;
	} rows[] = {
		{ MANIFEST(GZIP), NULL, FETCH_DOC_MANIFEST },
		{ "{'schemaVersion':2,'manifests':[]}", NULL, FETCH_DOC_INDEX },
		{ "{'schemaVersion':2,'mediaType':'" OCI "index.v1+json','manifests':[]}", NULL,
		  FETCH_DOC_INDEX },
		{ "{'schemaVersion':2,'mediaType':'" OCI "manifest.v1+json','manifests':[]}",
		  "but the content is an image index", 0 },
		{ "{'schemaVersion':2,'mediaType':'text/html','manifests':[]}", "text/html", 0 },
		{ "{'schemaVersion':2,'manifests':[],'layers':[]}", "two meanings", 0 },
		{ "<html>", "not valid JSON", 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *text = doc(rows[i].in);
		enum fetch_doc_kind kind = 0;
		struct hr_err e = { 0 };
		int r = fetch_doc_kind(text, strlen(text), &kind, &e);

		if ((r == 0) != (rows[i].message == NULL) || kind != rows[i].kind ||
		    (r < 0 && !strstr(e.text, rows[i].message)))
			fail_msg("row '%s': %d '%s'", rows[i].in, r, e.text);
	}
}

#define ENTRY(size, platform)                                                                      \
	"{'mediaType':'" OCI "manifest.v1+json','digest':" DIGEST ",'size':" size                  \
	",'platform':" platform "}"
#define INDEX(entries) "{'schemaVersion':2,'manifests':[" entries "]}"
#define AMD64	       "{'os':'linux','architecture':'amd64'}"
#define AMD64_V3       "{'os':'linux','architecture':'amd64','variant':'v3'}"
#define ARM64_V8       "{'os':'linux','architecture':'arm64','variant':'v8'}"
#define UNKNOWN	       "{'os':'unknown','architecture':'unknown'}"

static void platforms(void **state)
{
	static const struct {
		const char *what, *in, *arch, *message;
		uint64_t size; /* says which entry was taken */
	} rows[] = {
		{ "only one", INDEX(ENTRY("1", AMD64)), "amd64", NULL, 1 },
		{ "second", INDEX(ENTRY("1", AMD64) "," ENTRY("2", ARM64_V8)), "arm64", NULL, 2 },
		{ "first of two", INDEX(ENTRY("1", AMD64) "," ENTRY("2", AMD64)), "amd64", NULL,
		  1 },
		{ "variant too new is passed over",
		  INDEX(ENTRY("1", AMD64_V3) "," ENTRY("2", AMD64)), "amd64", NULL, 2 },
		{ "attestation is passed over", INDEX(ENTRY("1", UNKNOWN) "," ENTRY("2", AMD64)),
		  "amd64", NULL, 2 },
		{ "broken entry before it is passed over", INDEX("1," ENTRY("2", AMD64)), "amd64",
		  NULL, 2 },
		{ "none fits", INDEX(ENTRY("1", AMD64_V3) "," ENTRY("2", UNKNOWN)), "amd64",
		  "it has: linux/amd64/v3", 0 },
		{ "windows", INDEX(ENTRY("1", "{'os':'windows','architecture':'amd64'}")), "amd64",
		  "it has: windows/amd64", 0 },
		{ "empty", INDEX(""), "amd64", "none with a platform", 0 },
		{ "no platform", INDEX(ENTRY("1", "null")), "amd64", "none with a platform", 0 },
		{ "fitting entry without digest",
		  INDEX("{'mediaType':'" OCI "manifest.v1+json','size':1,'platform':" AMD64 "}"),
		  "amd64", "'manifests'[0]: 'digest' is missing", 0 },
		{ "fitting entry of an odd type",
		  INDEX("{'mediaType':'text/html','digest':" DIGEST ",'size':1,'platform':" AMD64
			"}"),
		  "amd64", "neither an image manifest nor an index", 0 },
		{ "a manifest", MANIFEST(GZIP), "amd64", "expected an image index", 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *text = doc(rows[i].in);
		struct fetch_descriptor d = { 0 };
		struct hr_err e = { 0 };
		int r = fetch_platform_pick(text, strlen(text), rows[i].arch, &d, &e);

		if ((r == 0) != (rows[i].message == NULL) || d.size != rows[i].size ||
		    (r < 0 && !strstr(e.text, rows[i].message)))
			fail_msg("row '%s': %d '%s'", rows[i].what, r, e.text);
	}
}

#define ROOTFS	     "'rootfs':{'type':'layers','diff_ids':[" DIGEST "]}"
#define HEAD	     "{'architecture':'amd64','os':'linux',"
#define RUN(members) HEAD ROOTFS ",'config':{" members "}}"

static void configs(void **state)
{
	static const struct {
		const char *what, *in, *message;
	} rows[] = {
		{ "smallest", HEAD "'rootfs':{'type':'layers','diff_ids':[]}}", NULL },
		{ "config null", HEAD ROOTFS ",'config':null}", NULL },
		{ "everything null",
		  RUN("'Env':null,'Entrypoint':null,'Cmd':null,'WorkingDir':null,'User':null"),
		  NULL },
		{ "unknown members", RUN("'Labels':{'a':'b'},'Volumes':{},'OnBuild':[]"), NULL },
		{ "no architecture", "{'os':'linux'," ROOTFS "}", "'architecture' is missing" },
		{ "no rootfs", "{'architecture':'amd64','os':'linux'}", "'rootfs' is missing" },
		{ "other rootfs", HEAD "'rootfs':{'type':'zfs','diff_ids':[]}}", "'zfs'" },
		{ "diff_ids text", HEAD "'rootfs':{'type':'layers','diff_ids':'x'}}",
		  "'diff_ids' is a string" },
		{ "diff_id number", HEAD "'rootfs':{'type':'layers','diff_ids':[1]}}",
		  "'diff_ids'[0] is not a string" },
		{ "diff_id short", HEAD "'rootfs':{'type':'layers','diff_ids':['sha256:0']}}",
		  "'diff_ids'[0]: digest has 1 digits" },
		{ "Cmd a string", RUN("'Cmd':'sh'"), "'Cmd' is a string, expected an array" },
		{ "Entrypoint a string", RUN("'Entrypoint':'sh'"), "'Entrypoint' is a string" },
		{ "Entrypoint with a number", RUN("'Entrypoint':['a',1]"), "'Entrypoint'[1]" },
		{ "Cmd with NUL", RUN("'Cmd':['a\\u0000b']"), "not valid JSON" },
		{ "Env an object", RUN("'Env':{}"), "'Env' is an object" },
		{ "WorkingDir a number", RUN("'WorkingDir':1"), "'WorkingDir' is an integer" },
		{ "created a number", HEAD "'created':1," ROOTFS "}", "'created' is an integer" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		HR_CLEANUP(fetch_config_release) struct fetch_config c = { 0 };
		hr_autofree char *text = doc(rows[i].in);
		struct hr_err e = { 0 };
		int r = fetch_config_parse(text, strlen(text), &c, &e);

		if ((r == 0) != (rows[i].message == NULL) ||
		    (r < 0 && (e.kind != HR_CORRUPT || !strstr(e.text, rows[i].message))))
			fail_msg("row '%s': %d '%s'", rows[i].what, r, e.text);
	}
}

static void config_values(void **state)
{
	hr_autofree char *text = doc(RUN("'Env':['A=1','','=x','B','C=','D\\n=1','E=a\\nb'],'"
					 "Entrypoint':['/e','x'],'Cmd':[],"
					 "'WorkingDir':'/w','User':'0:0'"));
	HR_CLEANUP(fetch_config_release) struct fetch_config c = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	hr_log_setup("test", HR_LOG_ERROR);
	assert_int_equal(fetch_config_parse(text, strlen(text), &c, &e), 0);
	assert_int_equal(c.env.n, 3);
	assert_string_equal(c.env.v[0], "A=1");
	assert_string_equal(c.env.v[1], "C=");
	assert_string_equal(c.env.v[2], "E=a\nb");
	assert_int_equal(c.entrypoint.n, 2);
	assert_int_equal(c.cmd.n, 0);
	assert_string_equal(c.working_dir, "/w");
	assert_string_equal(c.user, "0:0");
	assert_int_equal(c.n_diff_ids, 1);
	assert_null(c.created);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifests),
		cmocka_unit_test(every_prefix_of_a_manifest_is_refused),
		cmocka_unit_test(compression_follows_the_media_type),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(layers_are_bounded),
		cmocka_unit_test(kinds),
		cmocka_unit_test(platforms),
		cmocka_unit_test(configs),
		cmocka_unit_test(config_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

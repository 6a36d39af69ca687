/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/oci_out.h"

#include <inttypes.h>

#include <jansson.h>

#include "util/buf.h"
#include "util/mem.h"
#include "util/poison.h"

static size_t layers_of(const json_t *config)
{
	return json_array_size(json_object_get(json_object_get(config, "rootfs"), "diff_ids"));
}

static int set_layers(json_t *config, const struct store_oci_layer *layers, size_t n)
{
	char text[FETCH_DIGEST_TEXT];
	json_t *ids = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(ids,
				      json_string(fetch_digest_text(&layers[i].diff_id, text)));
	return json_object_set_new(config, "rootfs",
				   json_pack("{s:s,s:o}", "type", "layers", "diff_ids", ids));
}

char *store_oci_config(const struct store_index *ix, const struct store_oci_layer *layers, size_t n,
		       struct hr_err *e)
{
	json_error_t why;
	size_t len;
	const uint8_t *p = store_index_config(ix, &len);
	json_t *doc = json_loadb((const char *)p, len, 0, &why);
	char *out = NULL;

	if (layers_of(doc) != n)
		json_object_del(doc, "history");
	if (json_is_object(doc) && set_layers(doc, layers, n) == 0 &&
	    (json_object_get(doc, "architecture") ||
	     json_object_set_new(doc, "architecture", json_string(fetch_host_arch())) == 0))
		out = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (!out)
		hr_fail(e, HR_CORRUPT, 0, "the image config is no JSON object");
	return out;
}

char *store_oci_manifest(const struct store_oci_part *config, const struct store_oci_layer *layers,
			 size_t n)
{
	static const char *const types[] = { [FETCH_PLAIN] = STORE_OCI_TAR,
					     [FETCH_GZIP] = STORE_OCI_TAR "+gzip",
					     [FETCH_ZSTD] = STORE_OCI_TAR "+zstd" };
	char digest[FETCH_DIGEST_TEXT];
	struct hr_buf b = { 0 };

	hr_buf_printf(&b,
		      "{\"schemaVersion\":2,\"mediaType\":\"" STORE_OCI_MANIFEST
		      "\",\"config\":{\"mediaType\":\"" STORE_OCI_CONFIG
		      "\",\"digest\":\"%s\",\"size\":%" PRIu64 "},\"layers\":[",
		      fetch_digest_text(&config->digest, digest), config->bytes);
	for (size_t i = 0; i < n; i++)
		hr_buf_printf(&b, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%" PRIu64 "}",
			      i > 0 ? "," : "", types[layers[i].compression],
			      fetch_digest_text(&layers[i].blob.digest, digest),
			      layers[i].blob.bytes);
	hr_buf_str(&b, "]}");
	return (char *)b.p; /* ends with a NUL */
}

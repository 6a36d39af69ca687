/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/oci_out.h"

#include <inttypes.h>

#include <jansson.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

char *store_oci_config(const struct store_index *ix, const struct fetch_digest *diff_id,
		       struct hr_err *e)
{
	char text[FETCH_DIGEST_TEXT], *out = NULL;
	json_error_t why;
	size_t n;
	const uint8_t *p = store_index_config(ix, &n);
	json_t *doc = json_loadb((const char *)p, n, 0, &why);

	if (json_is_object(doc) &&
	    json_object_set_new(doc, "rootfs",
				json_pack("{s:s,s:[s]}", "type", "layers", "diff_ids",
					  fetch_digest_text(diff_id, text))) == 0 &&
	    (json_object_get(doc, "architecture") ||
	     json_object_set_new(doc, "architecture", json_string(fetch_host_arch())) == 0)) {
		json_object_del(doc, "history");
		out = json_dumps(doc, JSON_COMPACT);
	}
	json_decref(doc);
	if (!out)
		hr_fail(e, HR_CORRUPT, 0, "the image config is no JSON object");
	return out;
}

char *store_oci_manifest(const struct store_oci_part *config, const struct store_oci_part *layer,
			 const char *layer_type)
{
	char a[FETCH_DIGEST_TEXT], b[FETCH_DIGEST_TEXT];

	return hr_xasprintf(
		"{\"schemaVersion\":2,\"mediaType\":\"" STORE_OCI_MANIFEST
		"\",\"config\":{\"mediaType\":\"" STORE_OCI_CONFIG
		"\",\"digest\":\"%s\",\"size\":%" PRIu64
		"},\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%" PRIu64 "}]}",
		fetch_digest_text(&config->digest, a), config->bytes, layer_type,
		fetch_digest_text(&layer->digest, b), layer->bytes);
}

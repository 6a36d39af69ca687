/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_source.h"

#include "util/poison.h"

static int registry_document(void *arg, const struct fetch_digest *which, struct hr_buf *doc,
			     struct fetch_digest *digest, struct hr_err *e)
{
	const struct store_import_registry *r = arg;
	struct fetch_ref ref = *r->ref; /* borrows its strings */

	if (which) {
		ref.has_digest = true;
		ref.digest = *which;
	}
	return fetch_manifest_get(r->client, &ref, doc, digest, e);
}

static int registry_blob(void *arg, const struct fetch_descriptor *d, fetch_sink *sink,
			 void *sink_arg, struct hr_err *e)
{
	const struct store_import_registry *r = arg;

	return fetch_blob_get(r->client, r->ref, d, sink, sink_arg, e);
}

struct store_import_source store_import_registry_source(struct store_import_registry *r)
{
	return (struct store_import_source) { registry_document, registry_blob, r,
					      r->ref->registry };
}

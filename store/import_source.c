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

static int known_document(void *arg, const struct fetch_digest *which, struct hr_buf *doc,
			  struct fetch_digest *digest, struct hr_err *e)
{
	const struct store_import_known *k = arg;
	char text[FETCH_DIGEST_TEXT];
	struct fetch_digest got;
	size_t before = doc->len;

	*digest = which ? *which : k->record->document;
	if (store_object_read(k->st, STORE_DOC, digest, FETCH_MANIFEST_LIMIT, doc, e) < 0)
		return -1;
	fetch_digest_of(doc->p + before, doc->len - before, &got);
	if (!fetch_digest_equal(&got, digest))
		return hr_fail(e, HR_CORRUPT, 0, "the store's copy of %s is damaged",
			       fetch_digest_text(digest, text));
	return 0;
}

static int known_blob(void *arg, const struct fetch_descriptor *d, fetch_sink *sink, void *sink_arg,
		      struct hr_err *e)
{
	char text[FETCH_DIGEST_TEXT];

	(void)arg;
	(void)sink;
	(void)sink_arg;
	return hr_fail(e, HR_NOTFOUND, 0, "the store does not have %s",
		       fetch_digest_text(&d->digest, text));
}

struct store_import_source store_import_known_source(struct store_import_known *k)
{
	return (struct store_import_source) { known_document, known_blob, k, k->record->server };
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where an import takes an image from: a registry (below), or files (bundle.h); and where a plan
 * takes it from when neither can be asked.
 */
#ifndef STORE_IMPORT_SOURCE_H
#define STORE_IMPORT_SOURCE_H

#include "fetch/fetch.h"
#include "store/layout.h"

/* Where the documents and blobs of an image come from: a registry, an archive, a directory. */
struct store_import_source {
	/* Append the document named WHICH, or, NULL, the one that the image's name means. */
	int (*document)(void *arg, const struct fetch_digest *which, struct hr_buf *doc,
			struct fetch_digest *digest, struct hr_err *e);
	/* As fetch_blob_get(); any number of threads at once. */
	int (*blob)(void *arg, const struct fetch_descriptor *d, fetch_sink *sink, void *sink_arg,
		    struct hr_err *e);
	void *arg;
	const char *name; /* for the reference: the host, or STORE_SERVER_FILES */
};

/* A registry, where REF is; both are borrowed. */
struct store_import_registry {
	struct fetch_client *client;
	const struct fetch_ref *ref;
};
struct store_import_source store_import_registry_source(struct store_import_registry *r);

/* What a reference of a store meant when it was written; both are borrowed. It has no blobs. */
struct store_import_known {
	const struct store *st;
	const struct store_ref_record *record;
};
struct store_import_source store_import_known_source(struct store_import_known *k);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OCI documents of an image of one layer, for what leaves the store: config and manifest.
 * Source: OCI image-spec 1.1 config.md, manifest.md.
 */
#ifndef STORE_OCI_OUT_H
#define STORE_OCI_OUT_H

#include "store/index.h"

#define STORE_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define STORE_OCI_CONFIG   "application/vnd.oci.image.config.v1+json"
#define STORE_OCI_TAR	   "application/vnd.oci.image.layer.v1.tar"
#define STORE_OCI_TAR_GZIP STORE_OCI_TAR "+gzip"

struct store_oci_part {
	struct fetch_digest digest;
	uint64_t bytes;
};

/*
 * The config of IX with the one layer DIFF_ID in place of those it had, and without its history,
 * which is of layers that are no more; the caller frees. NULL with HR_CORRUPT: it is no JSON
 * object.
 */
char *store_oci_config(const struct store_index *ix, const struct fetch_digest *diff_id,
		       struct hr_err *e) HR_MUST_USE;

/* The manifest; the caller frees. */
char *store_oci_manifest(const struct store_oci_part *config, const struct store_oci_part *layer,
			 const char *layer_type) HR_MUST_USE;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The OCI documents of an image that leaves the store: config and manifest.
 * Source: OCI image-spec 1.1 config.md, manifest.md.
 */
#ifndef STORE_OCI_OUT_H
#define STORE_OCI_OUT_H

#include "store/index.h"

#define STORE_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define STORE_OCI_CONFIG   "application/vnd.oci.image.config.v1+json"
#define STORE_OCI_TAR	   "application/vnd.oci.image.layer.v1.tar"

struct store_oci_part {
	struct fetch_digest digest;
	uint64_t bytes;
};

struct store_oci_layer {
	struct store_oci_part blob;
	enum fetch_compression compression;
	struct fetch_digest diff_id;
};

/*
 * The config of IX with these LAYERS, lowest first, in place of those it had; where there are not
 * as many, without its history, which is of layers that are no more. The caller frees. NULL with
 * HR_CORRUPT: it is no JSON object.
 */
char *store_oci_config(const struct store_index *ix, const struct store_oci_layer *layers, size_t n,
		       struct hr_err *e) HR_MUST_USE;

/* The manifest; the caller frees. */
char *store_oci_manifest(const struct store_oci_part *config, const struct store_oci_layer *layers,
			 size_t n) HR_MUST_USE;

#endif

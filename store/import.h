/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing an image from a registry, an archive or a directory into a store.
 *
 * For: hpcrun-store pull and import. Not for: printing; whoever wants to show how far it is reads
 * struct store_import_status from another thread. Sequence: store_import_pull(); the status may be
 * read meanwhile by the functions below.
 */
#ifndef STORE_IMPORT_H
#define STORE_IMPORT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "store/import_source.h"
#include "store/import_work.h"
#include "store/layout.h"

enum store_import_state {
	STORE_IMPORT_WAITING, /* for its turn, or for another process that works on it */
	STORE_IMPORT_RUNNING,
	STORE_IMPORT_DONE,
	STORE_IMPORT_HERE /* it was in the store already */
};

/* How far one layer is; all may be read at any time. */
struct store_import_layer {
	struct fetch_descriptor blob;
	struct fetch_digest diff_id;
	_Atomic uint64_t got; /* bytes of the blob */
	struct store_import_layer_sums sums;
	_Atomic enum store_import_state state;
};

/* How far a pull is. layers are there from the moment that ready is true. */
struct store_import_status {
	atomic_bool ready;
	struct store_import_layer *layers; /* lowest first */
	size_t n_layers;
};

struct store_import_options {
	struct store *st;
	const struct store_import_source *source;
	const struct fetch_ref *ref; /* what it is called here */
	unsigned int downloads, workers;
	int level;	    /* of zstd */
	uint64_t max_bytes; /* of one uncompressed layer */
	bool force;	    /* take nothing from what is here */
	bool if_changed;    /* show no layers when nothing has changed */
	atomic_bool *stop;  /* true: end soon. Set by us, too, when one layer fails */
	/* NULL, or asked when it is known what is missing, before any layer is fetched: -1 with *e
	 * filled ends the pull there. Not asked when nothing has changed. */
	int (*admit)(void *arg, const struct store_import_status *status, struct hr_err *e);
	void *admit_arg;
};

struct store_import_result {
	struct fetch_digest manifest, document;
	uint64_t size;	     /* bytes of all files of the image */
	uint64_t compressed; /* bytes of all blobs */
	uint64_t stored;     /* bytes added to the store's packs */
	bool unchanged;	     /* all was here, under this reference */
};

/*
 * Pull an image. On success the reference is written; after a failure the layers that were finished
 * are kept for the next time, and nothing else is visible. When the reference means what it meant
 * here, and all of it is here, that takes one manifest request and writes nothing.
 *
 * Errors:  those of fetch; HR_CORRUPT naming layer and entry; HR_SYS naming the store.
 * Owns:    *status, filled while it runs; store_import_status_release() frees it afterwards.
 */
int store_import_pull(const struct store_import_options *o, struct store_import_status *status,
		      struct store_import_result *out, struct hr_err *e) HR_MUST_USE;
void store_import_status_release(struct store_import_status *s);
/* Bytes of the blobs that are not here, each once; *N of them. Of a plan, or when admit is asked.
 */
uint64_t store_import_missing(const struct store_import_status *s, size_t *n);

/* What a pull would do. */
struct store_import_prospect {
	struct fetch_digest manifest;
	bool here; /* the image was made here before, all of it */
	char *platform, *created;
};

/*
 * Look what a pull would do: get the manifest and the image config, and see which layers are in
 * O->st, which may be NULL: no store. Those have the state STORE_IMPORT_HERE in *status.
 *
 * Nothing is written.
 *
 * Errors:  those of fetch.
 * Owns:    *status and *out; their _release functions free them, out also after an error.
 */
int store_import_plan(const struct store_import_options *o, struct store_import_status *status,
		      struct store_import_prospect *out, struct hr_err *e) HR_MUST_USE;
void store_import_prospect_release(struct store_import_prospect *p);

#endif

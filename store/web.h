/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store behind a URL: the metadata of an image is copied into a store on this node, and opened
 * there.
 *
 * For: hpcrun-serve and hpcrun prefetch. Not for: chunks, which pager.h pages in.
 * Sequence: store_web_copy(); store_web_sync(); store_image_open() with the copy;
 * store_pager_new().
 */
#ifndef STORE_WEB_H
#define STORE_WEB_H

#include "fetch/fetch.h"
#include "store/image.h"
#include "store/layout.h"
#include "store/outage.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/mem.h"

/* Open the copy of the metadata of the store at URL, in the cache directory CACHE; it is made if it
 * is not there. */
int store_web_copy(const char *cache, const char *url, struct store **out,
		   struct hr_err *e) HR_MUST_USE;

/*
 * What the origins give is not what the locations in COPY promise: they are fetched again at the
 * next start, for the store may have been written anew.
 */
void store_web_forget_loc(struct store *copy, const struct store_index *ix);

/*
 * Append to OUT where the packs of the store at URL are to be had: the mirrors, which begin
 * elsewhere on each node, so that they share the load; the store itself is last.
 */
void store_web_origins(const struct hr_conf *conf, const char *url, struct hr_strv *out);

/* From where metadata comes, and to where; all is borrowed. */
struct store_web {
	struct fetch_client *client; /* nobody else's meanwhile */
	const char *url;
	struct store *copy;
	/* told what the user is to know of a store without which it goes on */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
	struct store_outage *outage; /* of the chain that this store is in */
};

/*
 * Bring the reference, the image record, the index and the locations of an image of the store W
 * into the copy.
 *
 * What is there already is not fetched again, unless its check sum is wrong; the index is checked
 * against the digest in the record. When the store cannot be reached and the copy has the image,
 * that is a notice, and 0.
 *
 * Bounds:  an index of at most 4 GiB.
 * Errors:  HR_NOTFOUND the store does not have it; HR_NET, HR_DENIED, HR_CORRUPT, HR_SYS.
 */
int store_web_sync(const struct store_web *w, const struct store_name *name,
		   struct hr_err *e) HR_MUST_USE;

/* Whether COPY alone can show the image. */
bool store_web_has(const struct store *copy, const struct store_name *name);
/* And with locations that nobody has found to be wrong. */
bool store_web_is_sound(const struct store *copy, const struct store_name *name);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image that is a file behind a URL, read in place by ranges: file_image.h says what is in it.
 *
 * For: hpcrun-serve-net and hpcrun prefetch. Its head and its metadata, which lies at the end, are
 * fetched when it is opened, unless the node cache has them of the same version; its blocks come
 * through the pager. Sequence: store_url_image_open(); store_url_image_file();
 * store_url_image_object() for pager.h; it lives as long as the process.
 */
#ifndef STORE_URL_IMAGE_H
#define STORE_URL_IMAGE_H

#include "fetch/fetch.h"
#include "store/cache.h"
#include "store/file_image.h"
#include "store/layout.h"
#include "store/pager.h"
#include "util/err.h"

struct store_url_image;

/* All are borrowed for ever. */
struct store_url_options {
	const char *url;
	struct fetch_client *client;
	struct store_cache *cache; /* keeps its index */
	const struct store *copy;  /* of store_web_copy(): keeps what a start needs beside that */
	/* told what the user is to know of a server without which it goes on */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
};

/*
 * Open the file. Where the server cannot be reached, and this node has its index, that is a
 * notice.
 *
 * Errors:  those of fetch_web_range_of() and of store_file_open().
 */
int store_url_image_open(const struct store_url_options *o, struct store_url_image **out,
			 struct hr_err *e) HR_MUST_USE;
/* Borrowed. */
struct store_file *store_url_image_file(struct store_url_image *u);
const struct store_pager_object *store_url_image_object(struct store_url_image *u);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file behind a URL as a file of this machine, for an import. Not for running it in place, which
 * takes what is touched (url_image.h).
 */
#ifndef STORE_URL_FILE_H
#define STORE_URL_FILE_H

#include <stdatomic.h>

#include "fetch/fetch.h"
#include "store/layout.h"
#include "util/err.h"

struct store_url_file_options {
	struct fetch_client *client;
	const char *url;
	const struct store *st;	 /* that has room for it */
	const atomic_bool *stop; /* or NULL */
	/* told after each part, and before the first; or NULL */
	void (*tick)(void *arg, uint64_t there, uint64_t total);
	void *arg;
};

/*
 * Ask for its first byte, which tells whether it is there; .st is not used.
 *
 * Errors:  as store_url_file_get().
 */
int store_url_file_ask(const struct store_url_file_options *o, struct hr_err *e) HR_MUST_USE;

/*
 * Download the file into *OUT, an unfinished object of the store, for store_tmp_discard().
 *
 * Bounds:  8 MiB of memory. A part that fails to come is asked for again, five times.
 * Errors:  those of fetch_web_range_of(); HR_SYS no room, EINTR stopped.
 */
int store_url_file_get(const struct store_url_file_options *o, struct store_tmp *out,
		       struct hr_err *e) HR_MUST_USE;

/* Whether NAME is a URL that ends as the files of images do: "https://host/x.sif". */
bool store_url_file_is_named(const char *name);

#endif

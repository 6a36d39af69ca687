/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of images that a store mirrors, and what became of each: two text files of the store.
 *
 * For: 'hpcrun store add', 'drop', 'sync' and 'status'. Not for: pulling. The parsers are pure.
 * Sequence: store_site_load() reads both files; work on one that store_site_due() says is due;
 * store_site_synced() or _failed() note how it went; store_site_save() writes the second file, the
 * first is its editor's.
 * Source: hpcrun-store(5) MIRRORED IMAGES.
 */
#ifndef STORE_SITE_H
#define STORE_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/layout.h"

#define STORE_SITE_EVERY_S  86400
#define STORE_SITE_KEEP_MAX 1000

/* A manifest that a tag meant before. */
struct store_site_old {
	char *digest;
	uint64_t parted_s; /* when it was seen that the tag had moved on; 0: not known */
};

/* One image of the list; and, of what became of it, all from tried on. */
struct store_site_image {
	char *name;	     /* the reference in full, with a tag */
	uint64_t every_s;    /* 0: as the list says for all */
	uint64_t keep;	     /* images, the one of the tag among them; 0: as the list says */
	uint64_t keep_for_s; /* more of them: all that the tag meant so recently; 0: as the list
				says */
	bool listed;	     /* false: what became of it is known still, but it is off the list */
	uint64_t tried_s;    /* seconds since 1970; 0: never */
	uint64_t synced_s;   /* the last time that it went well */
	struct store_site_old *old; /* that are kept, newest first */
	size_t n_old;
	struct hr_strv reason; /* why the last try failed; none: it did not */
};

struct store_site {
	uint64_t every_s, keep, keep_for_s; /* of images that say nothing else */
	uint64_t quota;			    /* bytes of the store; 0: none */
	struct store_site_image *images;
	size_t n;
};

/*
 * Parse the list; NAME is for messages. On top of an empty *OUT.
 *
 * Errors:  HR_USAGE naming line and word.
 * Owns:    *out; store_site_release frees it, also after an error.
 */
int store_site_parse(const char *text, const char *name, struct store_site *out,
		     struct hr_err *e) HR_MUST_USE;
/* Parse what became of the images, into those of the list. Errors: HR_CORRUPT. */
int store_site_parse_state(const char *text, struct store_site *site, struct hr_err *e) HR_MUST_USE;
/* Append what became of them. */
void store_site_write_state(const struct store_site *site, struct hr_buf *out);
void store_site_release(struct store_site *site);
/* Whether an image is on the list; NAME is a reference in full. */
bool store_site_lists(const struct store_site *site, const char *name);

/*
 * A reference in full, for the same image has one name in the list; the caller frees. NULL with *e
 * filled: HR_USAGE it is none, or has a digest.
 */
char *store_site_name(const char *word, struct hr_err *e) HR_MUST_USE;

/* "90m", "12h", "1d", "2w" to seconds. Errors: HR_USAGE naming WHAT. */
int store_site_duration(const char *text, const char *what, uint64_t *out,
			struct hr_err *e) HR_MUST_USE;

/* The line of the list that says what IM says. */
void store_site_line(const struct store_site_image *im, struct hr_buf *out);
/*
 * The list TEXT, with the line of the image NAME replaced by LINE, or LINE appended, or, LINE NULL,
 * taken out; comments and other lines stay. False when it would be as it was.
 */
bool store_site_edit(const char *text, const char *name, const char *line, struct hr_buf *out);

/* When an image is to be tried again; after a failure sooner. */
uint64_t store_site_due(const struct store_site *site, const struct store_site_image *im);

/*
 * Note at NOW that it went well; PARTED (NULL: none) is the manifest that the tag meant before.
 * Those of the old ones that are to be given up are moved to DROPPED.
 */
void store_site_synced(const struct store_site *site, struct store_site_image *im, uint64_t now,
		       const char *parted, struct hr_strv *dropped);
void store_site_failed(struct store_site_image *im, uint64_t now, const char *reason);

/* ---- the files (site_file.c) ---- */

/* Read both. Errors: HR_NOTFOUND the store has no list; those of the parsers. */
int store_site_load(const struct store *st, struct store_site *out, struct hr_err *e) HR_MUST_USE;
int store_site_save(const struct store *st, const struct store_site *site,
		    struct hr_err *e) HR_MUST_USE;
/* Make a list that says how it is written, unless there is one. */
int store_site_create(const struct store *st, struct hr_err *e) HR_MUST_USE;
/* store_site_edit() of the file: 1 changed, 0 it was so already. */
int store_site_edit_file(const struct store *st, const char *name, const char *line,
			 struct hr_err *e) HR_MUST_USE;

#endif

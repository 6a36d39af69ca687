/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every path, mode and name of a store on a file system, and which stores there are; nobody else
 * builds a store path.
 *
 * For: opening and creating a store, its objects, its references. Not for: what is inside an
 * object (record.h, loc.h, layer.h, index.h, pack.h) or who may write when (lease.h).
 * Sequence, reading:  store_list(); for each store_open(STORE_READ); store_object_open().
 * Sequence, writing:  store_open(STORE_WRITE); store_tmp_open(); write to tmp.fd;
 * store_tmp_publish(); or store_object_write() for what is in memory.
 */
#ifndef STORE_LAYOUT_H
#define STORE_LAYOUT_H

#include <stdbool.h>
#include <sys/types.h>

#include "store/record.h"
#include "store/store.h"
#include "util/buf.h"
#include "util/conf.h"
#include "util/err.h"

#define STORE_FORMAT "hpcrun-store 1" /* the line of the file "format" */

enum store_mode {
	STORE_READ, /* it must be there */
	STORE_WRITE /* it is made when it is missing or an empty directory */
};

/* Who is trusted with stores besides the user and root. */
#define STORE_OWNERS_MAX 16
struct store_owners {
	uid_t v[STORE_OWNERS_MAX];
	size_t n;
};

/* Paths and URLs of stores in their order, and who is trusted with them. A zeroed one is empty. */
struct store_paths {
	char **v; /* as in struct hr_strv */
	size_t n;
	struct store_owners trusted;
	size_t urls; /* stores left out, for messages: URLs */
};

/* An open store, for any number of threads. */
struct store {
	char *path; /* as it was named, for messages */
	struct store_owners trusted;
	int fd;			   /* the directory */
	struct store_names *names; /* directories whose names changed since store_sync_names() */
};

/* The objects of a store, named by a digest. */
enum store_kind {
	STORE_DOC,
	STORE_BLOB,
	STORE_LAYER,
	STORE_LAYER_LOC,
	STORE_IMAGE,
	STORE_META,
	STORE_INDEX,
	STORE_INDEX_LOC,
	STORE_INDEX_SUM, /* of both, in copies on nodes alone */
	STORE_PACK,
	STORE_PACK_OLD, /* empty: the pack of that name is to be gone, nothing new may refer to it
			 */
	STORE_TRACE,
	STORE_DICT,
	STORE_KINDS
};

/* Whether the name of a store is a URL, not a path. */
bool store_is_url(const char *name);

/*
 * List the paths and URLs of the stores to use, each once: those GIVEN (--store) if any; else those
 * of HPCRUN_STORE, separated by blanks, if set; else the user's and then those of CONF. The first
 * one is the one to write to.
 *
 * Owns:    *out; store_paths_release() frees it.
 * Errors:  HR_USAGE when there is none, or one is not an absolute path after all: relative paths
 *          are taken from the working directory; HR_DENIED those of CONF are locked.
 */
int store_list(const struct hr_strv *given, const struct hr_conf *conf, struct store_paths *out,
	       struct hr_err *e) HR_MUST_USE;
void store_paths_release(struct store_paths *paths);

/* Whom CONF trusts; store_list() asks this, too. Errors: HR_USAGE. */
int store_trust(const struct hr_conf *conf, struct store_owners *out, struct hr_err *e) HR_MUST_USE;

/*
 * Open a store. Its directory and each object in it must belong to the user, to root or to one of
 * TRUSTED (NULL: nobody else), and be writable by nobody else.
 *
 * Errors:  HR_NOTFOUND no such directory, or an empty one (STORE_READ); HR_DENIED the wrong owner
 * or mode; HR_CORRUPT a directory that is no store, or of another format.
 */
int store_open(const char *path, enum store_mode mode, const struct store_owners *trusted,
	       struct store **out, struct hr_err *e) HR_MUST_USE;
void store_close(struct store *st);
void store_closep(struct store **st);

/* The path of an object below the store, for messages and openat(); returns BUF. */
#define STORE_OBJECT_PATH 96
char *store_object_path(enum store_kind kind, const struct fetch_digest *d,
			char buf[STORE_OBJECT_PATH]);

/*
 * Open an object for reading; the fd is the caller's, *size (may be NULL) its bytes.
 *
 * Errors:  HR_NOTFOUND; HR_DENIED wrong owner or mode; HR_CORRUPT not a regular file; HR_SYS.
 */
int store_object_open(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		      uint64_t *size, struct hr_err *e) HR_MUST_USE;
bool store_object_exists(const struct store *st, enum store_kind kind,
			 const struct fetch_digest *d);
/* Append an object of at most LIMIT bytes to B. */
int store_object_read(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		      uint64_t limit, struct hr_buf *b, struct hr_err *e) HR_MUST_USE;
/* Write, sync and publish an object in memory; one that is there is replaced. */
int store_object_write(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		       const void *p, size_t n, struct hr_err *e) HR_MUST_USE;
/* Remove an object; one that is gone already is fine. */
int store_object_remove(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
			struct hr_err *e) HR_MUST_USE;
/* How many seconds ago an object was written or touched; false when that cannot be told. */
bool store_object_age(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		      uint64_t *seconds);
/* Make the directory that an object will lie in. */
int store_object_prepare(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
			 struct hr_err *e) HR_MUST_USE;
/*
 * Call FN for each object of a kind, in no order; it may remove the object. Names that are no
 * digest are passed over. FN returns 0 to go on.
 */
typedef int store_object_fn(void *arg, const struct fetch_digest *d, uint64_t bytes,
			    struct hr_err *e);
int store_object_each(const struct store *st, enum store_kind kind, store_object_fn *fn, void *arg,
		      struct hr_err *e) HR_MUST_USE;

/*
 * What a store occupies, in bytes. Records and documents are left out: looking at them takes longer
 * than they weigh.
 */
int store_size(const struct store *st, uint64_t *bytes, struct hr_err *e) HR_MUST_USE;

/* An unfinished object: tmp/NAME. */
struct store_tmp {
	const struct store *st; /* borrowed; NULL: empty */
	int fd;			/* for writing; -1 once synced */
	char name[112];		/* "tmp/..." */
};
#define STORE_TMP_EMPTY                                                                            \
	{                                                                                          \
		NULL, -1, ""                                                                       \
	}
int store_tmp_open(const struct store *st, struct store_tmp *t, struct hr_err *e) HR_MUST_USE;
/* fsync and close; it may be published much later. */
int store_tmp_sync(struct store_tmp *t, struct hr_err *e) HR_MUST_USE;
/* Give a synced object its name; T is empty afterwards. An object that is there is replaced. */
int store_tmp_publish(struct store_tmp *t, enum store_kind kind, const struct fetch_digest *d,
		      struct hr_err *e) HR_MUST_USE;
/* Remove what was not published; T is empty afterwards. */
void store_tmp_discard(struct store_tmp *t);
/* Remove what dead processes left in tmp/, or with DRY only count: adds to *bytes. */
int store_tmp_clean(const struct store *st, bool dry, uint64_t *bytes,
		    struct hr_err *e) HR_MUST_USE;

/*
 * Make the names of all objects published or removed through ST durable: one fsync for each
 * directory that is concerned. Called before a reference to them is written, or before what they
 * reached is removed.
 */
int store_sync_names(struct store *st, struct hr_err *e) HR_MUST_USE;

/* Where the store keeps what it knows of REF, below its directory. The caller frees. */
char *store_ref_path(const struct fetch_ref *ref);

/*
 * When a reference is removed, or made to mean another image, the time of the record of the image
 * that it meant is set to now: gc may spare such an image for a while.
 *
 * References: what the tag of REF meant here; of a REF without a tag, what its digest meant when it
 * was pulled by that alone.
 *
 * Errors:  HR_NOTFOUND when the store has none.
 */
int store_ref_read(const struct store *st, const struct fetch_ref *ref, struct store_ref_record *r,
		   struct hr_err *e) HR_MUST_USE;
int store_ref_write(const struct store *st, const struct fetch_ref *ref,
		    const struct store_ref_record *r, struct hr_err *e) HR_MUST_USE;
int store_ref_remove(const struct store *st, const struct fetch_ref *ref,
		     struct hr_err *e) HR_MUST_USE;
/*
 * Call FN for each reference, sorted by name. Returns the number of those that could not be read,
 * each a warning, or -1.
 */
typedef int store_ref_fn(void *arg, const struct fetch_ref *ref, const struct store_ref_record *r,
			 struct hr_err *e);
int store_ref_each(const struct store *st, store_ref_fn *fn, void *arg,
		   struct hr_err *e) HR_MUST_USE;

/* Append the names of all references, sorted; nothing is read of what they mean. */
int store_ref_names(const struct store *st, struct hr_strv *out, struct hr_err *e) HR_MUST_USE;

/*
 * Read and parse the record of an image.
 *
 * Errors:  HR_NOTFOUND; HR_CORRUPT; those of store_object_open().
 * Owns:    *out; store_image_record_release() frees it, also after an error.
 */
int store_image_record_read(const struct store *st, const struct fetch_digest *manifest,
			    struct store_image_record *out, struct hr_err *e) HR_MUST_USE;

/*
 * Find the image that REF means in ST: by its digest if it has one (of a manifest, or of an index
 * that a tag here answered), else by its tag.
 *
 * Errors:  HR_NOTFOUND.
 */
int store_ref_resolve(const struct store *st, const struct fetch_ref *ref,
		      struct fetch_digest *manifest, struct hr_err *e) HR_MUST_USE;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of hpcrun-serve share: the one image it serves. Private to store/serve_*.c.
 */
#ifndef STORE_SERVE_H
#define STORE_SERVE_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 35
#endif
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/cache.h"
#include "store/chunks.h"
#include "store/image.h"
#include "store/native_make.h"
#include "store/outage.h"
#include "store/serve_ahead.h"
#include "store/serve_push.h"
#include "store/serve_tree.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/stats.h"

struct serve_native;
struct store_foresee;
struct read_op;

/* Reads whose process had a signal that did not kill it: looked at again until they are answered,
 * for the kernel sends no second FUSE_INTERRUPT when another signal does. Of serve_read.c. */
struct serve_watch {
	pthread_mutex_t lock;
	struct read_op *first;
	bool running; /* the thread that looks */
};

/* Complete before the first request; only what says so changes after it. */
struct serve {
	struct store_image *img;
	const struct store_index *ix; /* of img */
	struct serve_tree *tree;
	struct store_chunks *chunks;
	struct serve_ahead *ahead;
	struct serve_push *push;
	struct store_cache *cache;     /* of this node, or NULL */
	struct serve_native *native;   /* or NULL */
	struct store_foresee *foresee; /* or NULL */
	int control;		       /* the socket of the session */
	bool files;		       /* the packs of img are files */
	bool push_pages;	       /* what is foreseen goes into the kernel's page cache */
	struct hr_stats *stats;	       /* never NULL */
	struct serve_watch watch;      /* changes, under its lock */
	uid_t uid;		       /* the owner of everything, inside the user namespace */
	gid_t gid;
	void (*end)(struct serve *s); /* called when the connection is over, or NULL */
	void *end_arg;
	bool no_open, no_opendir; /* the kernel takes ENOSYS for "never ask again"; set by INIT */
};

/* How to open an image. */
struct serve_web {
	const char *image;    /* as the user named it */
	const char *manifest; /* what it means, if that is settled already; else NULL */
	bool goes_on;	      /* where a former server was: programs have it open */
	const struct store_paths *stores;
	struct store_outage *outage; /* of the stores before the one that is looked into */
	const char *app;	     /* the program that the session was started for, or "" */
	const char *cache;	     /* as on the command line, or NULL */
	const struct hr_conf *conf;
	int stats_fd;	       /* -1: none */
	unsigned int keep_fds; /* behind it: the session's locks */
	uint64_t memory;
	bool verify_full, native;
};

/*
 * Open an image of the store at URL, or, when it is that, the image file at URL; fills s->img,
 * s->ix and s->chunks.
 *
 * Two programs are made from the same sources. serve_net.c does it; serve_files.c executes the
 * other program, so that who reads files does not load libcurl with its thirty shared objects (7 of
 * the 9 ms of a start). Errors: as of store_image_open().
 */
int serve_open_web(struct serve *s, const struct serve_web *w, const char *url,
		   struct hr_err *e) HR_MUST_USE;

/* FUSE numbers: the root is 1 there, 0 in the tree. */
static inline uint32_t serve_node_of(fuse_ino_t ino)
{
	return ino - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ino - 1);
}

static inline fuse_ino_t serve_ino_of(uint32_t node)
{
	return (fuse_ino_t)node + 1;
}

/* The kernel was given BYTES of a chunk, which a program read or is about to read. */
static inline void serve_count(const struct serve *s, const struct store_chunk_ref *ref,
			       uint64_t bytes)
{
	hr_stats_add(&s->stats->from[ref->from].pieces, 1);
	hr_stats_add(&s->stats->from[ref->from].bytes, bytes);
}

/* serve_ops.c */
extern const struct fuse_lowlevel_ops serve_ops;

/* serve_sha256.c: libcrypto's sha256, loaded now. Errors: HR_SYS. Threads: before any other. */
int serve_sha256_load(store_chunk_sha256 **out, struct hr_err *e) HR_MUST_USE;

/* serve_read.c: answers now, or when the last chunk it needs is there. */
void serve_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);

/*
 * serve_warm.c: on a thread that then ends, open all packs, load what a start of PROGRAM ("": not
 * known) reads, then make room in the node cache, down to CACHE_BYTES: its size must not delay a
 * start.
 */
void serve_warm_start(const struct serve *s, const char *program, uint64_t cache_bytes);

/* Where serve_native.c gets the bytes of large files from, and whom it tells. */
struct serve_native_options {
	const char *cache_dir;
	const char *program; /* "": not known; borrowed for ever, like all below */
	uint64_t cache_bytes;
	bool all; /* not only what is read: the whole image is to be in the cache */
	/* PLAIN and FRAME alone are used, as of store_native_maker_options */
	struct store_chunk_source source;
	/* with the argument of SOURCE, as there, too */
	bool (*has)(void *arg, uint32_t chunk);
	store_native_moved_fn *moved;
	store_native_sha256_many *sha256_many; /* or NULL */
};

/* Errors: none; NULL when there is no cache that could hold such files. */
struct serve_native *serve_native_start(const struct serve *s,
					const struct serve_native_options *o);
/* LEN bytes of a file are read. N may be NULL. Threads: any. */
void serve_native_seen(struct serve_native *n, uint32_t node, const struct store_inode *file,
		       uint64_t len);

/* serve_main.c: to the session, whose ranks have a user; the log has nobody. ARG is the struct
 * serve. Threads: any. */
void serve_tell(void *arg, const char *text);
/* The same of the cache in DIR, if it is not where it should be. */
void serve_tell_place(struct serve *s, const struct serve_web *w, const char *dir);

/*
 * serve_loop.c: serve FD, a mounted /dev/fuse, until the kernel ends the connection. The
 * FUSE_INIT request is reported to the session; INIT, INIT_LEN are what an earlier server reported,
 * if any.
 *
 * Errors:  HR_SYS; 0 at the end of the connection.
 */
int serve_loop(struct serve *s, int fd, const uint8_t *init, size_t init_len,
	       struct hr_err *e) HR_MUST_USE;

#endif

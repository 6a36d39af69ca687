/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bring what a reader will want (serve_ahead.h) before it is asked for, on threads beside it: into
 * memory, decompressed; and, where the site says push = yes, into the kernel's page cache
 * (FUSE_NOTIFY_STORE): a request is two switches between processes, 50 to 100 us; this is one
 * system call. And the kernel reads ahead 128 KiB for an unprivileged mount, a chunk has 1 MiB.
 *
 * Advice only: what is lost costs a request later. Contents are verified as those of reads are.
 * Sequence: serve_push_new(); serve_push_begin() with the device; serve_push() from any thread.
 * Source: linux/fs/fuse/dev.c fuse_notify_store(): an inode that the kernel does not know is
 * ENOENT, whole pages and the last one of a file become up to date.
 */
#ifndef STORE_SERVE_PUSH_H
#define STORE_SERVE_PUSH_H

#include "store/serve_ahead.h"

struct serve;
struct serve_push;

/* S is borrowed; its tree, chunks and ahead are used. Nothing is started before serve_push(). */
struct serve_push *serve_push_new(struct serve *s);
void serve_push_begin(struct serve_push *p, int fuse_fd);
/* Bring X; does not wait. */
void serve_push(struct serve_push *p, const struct serve_extent *x);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mount system calls as a session needs them. Each function does one thing in the mount
 * namespace of the caller; none creates or removes a path.
 *
 * New mounts are stacked on "/": no directory of the host has to exist for them, and the top of the
 * stack is where a process that joins the namespace finds itself (setns takes the topmost mount).
 */
#ifndef RT_MOUNT_H
#define RT_MOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/err.h"

/* Nothing that is mounted from here on shows elsewhere, nor the reverse (CVE-2018-19295). */
int rt_mount_private(struct hr_err *e) HR_MUST_USE;

/* A detached copy of what is mounted at and below host path SRC, as a descriptor for
 * rt_mount_attach. */
int rt_mount_clone(const char *src, struct hr_err *e) HR_MUST_USE;
/* The same of NAME below DIRFD. */
int rt_mount_clone_at(int dirfd, const char *name, struct hr_err *e) HR_MUST_USE;

/*
 * Make a detached copy read-only, all its submounts too.
 *
 * Errors:  HR_SYS; before Linux 5.12 this cannot be done for a tree and is refused, not weakened.
 */
int rt_mount_set_readonly(int tree, struct hr_err *e) HR_MUST_USE;

/* The same of a single file, without suid and devices as well. */
int rt_mount_seal(int tree, struct hr_err *e) HR_MUST_USE;

/* Attach a detached copy on what TARGET (a descriptor) refers to. */
int rt_mount_attach(int tree, int target, struct hr_err *e) HR_MUST_USE;

/*
 * A new, empty file system of TYPE, nosuid, detached, as a descriptor for rt_mount_attach. OPTIONS
 * are "NAME=VALUE" with commas between, or "".
 */
int rt_mount_new(const char *type, const char *options, struct hr_err *e) HR_MUST_USE;

/* Stack a file system on "/" and open its root, O_PATH. */
int rt_mount_tmpfs(const char *options, struct hr_err *e) HR_MUST_USE;
/*
 * FUSE is the descriptor of /dev/fuse, opened inside the user namespace; UID and GID the owner as
 * numbered there.
 */
int rt_mount_fuse(int fuse, uid_t uid, gid_t gid, struct hr_err *e) HR_MUST_USE;
/* An overlay over the tree at LOWER; directories "upper" and "work" exist at SCRATCH. READ_ONLY:
 * "upper" is seen, too, and nothing can be changed. */
int rt_mount_overlay(int lower, int scratch, bool read_only, struct hr_err *e) HR_MUST_USE;

/* Open /dev/fuse, with the remedy for each way it can be missing. */
int rt_mount_open_fuse(struct hr_err *e) HR_MUST_USE;

/*
 * Make the tree at ROOT, the top of the stack, the root of this namespace, and let go of the host's
 * and of the BELOW mounts of ours between the two. Success means that a process that joins the
 * namespace finds itself at ROOT: that is checked.
 */
int rt_mount_pivot(int root, unsigned int below, struct hr_err *e) HR_MUST_USE;

#endif

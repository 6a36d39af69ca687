/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where sessions have their sockets: one directory of the user's on this node, and the names in it.
 *
 * Not for: anything that must survive the node's next boot.
 * Sequence: fd = rt_place_open(e); rt_place_address(fd, key, &address) for bind or connect.
 */
#ifndef RT_PLACE_H
#define RT_PLACE_H

#include <stddef.h>
#include <sys/un.h>

#include "util/err.h"

#define RT_PLACE_NAME_SIZE 64

/*
 * Open the directory, making it if it is not there: $XDG_RUNTIME_DIR/hpcrun, else
 * /tmp/hpcrun-<uid>, else /tmp/hpcrun-<uid>.1 and so on if another user was faster.
 *
 * The result is an O_PATH descriptor of a directory that is owned by the caller with mode 0700, not
 * reached through a symlink, and not on a network file system.
 * Errors:  HR_DENIED when every name is taken by somebody else; HR_SYS.
 */
int rt_place_open(struct hr_err *e) HR_MUST_USE;

/*
 * The address of a session's socket, by way of the descriptor: sun_path has room for 107 bytes
 * only. Valid in this process alone.
 */
void rt_place_address(int fd, const char *key, struct sockaddr_un *address);

/* "KEY.sock" and "KEY.lock". */
void rt_place_sock_name(const char *key, char name[RT_PLACE_NAME_SIZE]);
void rt_place_lock_name(const char *key, char name[RT_PLACE_NAME_SIZE]);

/*
 * Try to become the one who starts or ends session KEY: create and lock "KEY.lock".
 *
 * Returns the descriptor (the lock lives as long as copies of it), or -1 with e->kind HR_OK when
 * somebody else holds it.
 * Errors:  HR_SYS.
 */
int rt_place_lock(int fd, const char *key, struct hr_err *e) HR_MUST_USE;

/* Remove what sessions that died left behind: names whose lock nobody holds. Failures are passed
 * over: it is housekeeping. */
void rt_place_sweep(int fd);

#endif

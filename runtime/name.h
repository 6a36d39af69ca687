/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name of a session's socket. It is an abstract one (unix(7)), which the kernel removes with
 * the last process that has the socket: nothing is left of a session that is killed, and who binds
 * the name is the only one.
 *
 * All users of a network namespace see such names, and may take one that is free. So a name is a
 * digest of the session's key under a secret: it neither tells what is run nor can it be foretold.
 * Who has seen one may still take it when the session has ended; then the secret is replaced. There
 * are RT_NAME_SECRETS of them in a file of the user's, each for a part of the keys, so that other
 * sessions of that time keep theirs.
 *
 * Sequence: rt_name_find; rt_name_connect, or rt_name_listen when nobody listens; rt_name_renew
 * when somebody else has it.
 */
#ifndef RT_NAME_H
#define RT_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/siphash.h"
#include "util/err.h"

#define RT_NAME_SECRETS 256
#define RT_NAME_FILE	"secret" /* in the directory of place.h */
#define RT_NAME_SIZE	40	 /* "hpcrun-", 32 hexadecimal digits */

struct rt_name {
	char text[RT_NAME_SIZE];
	uint8_t secret[RT_SIPHASH_SECRET]; /* that it is of */
};

/*
 * The name of session KEY. Makes the file in DIRFD where it is not there, or damaged; where that
 * cannot be done, on a full disk say, the secret is zero, and names are as good as long as nobody
 * takes them.
 */
void rt_name_find(int dirfd, const char *key, struct rt_name *out);

/*
 * Replace the secret of KEY in DIRFD, if it is that of TAKEN still: rt_name_find gives another name
 * then.
 *
 * Errors:  HR_SYS.
 */
int rt_name_renew(int dirfd, const char *key, const struct rt_name *taken,
		  struct hr_err *e) HR_MUST_USE;

/*
 * Connect to who listens. Returns the socket; or -1 with e->kind HR_OK when nobody does, or *ALIEN
 * is true: it is somebody else's.
 *
 * Errors:  HR_SYS.
 */
int rt_name_connect(const struct rt_name *name, bool *alien, struct hr_err *e) HR_MUST_USE;

/*
 * Take the name and listen. Returns the socket, or -1 with e->kind HR_OK when another process has
 * the name.
 *
 * Errors:  HR_SYS.
 */
int rt_name_listen(const struct rt_name *name, struct hr_err *e) HR_MUST_USE;

#endif

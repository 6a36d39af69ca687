/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * passwd and group of the container: the image's lines, and one for the user. Files only: no NSS,
 * no directory service.
 */
#ifndef RT_IDENTITY_H
#define RT_IDENTITY_H

#include <sys/types.h>

#include "runtime/userns.h"
#include "util/buf.h"
#include "util/err.h"

#define RT_IDENTITY_FILE_MAX (1u << 20)

/* Who the user is: strings on the heap, never NULL, without a colon or control character. */
struct rt_identity {
	uid_t uid; /* inside */
	gid_t gid;
	char *user, *gecos, *home, *shell, *group;
};

/*
 * Find the caller in /etc/passwd and /etc/group of the host; who is not there is called after
 * $LOGNAME or $USER, else "user". HOME is the home directory inside, or NULL. User 0 inside is
 * root.
 */
void rt_identity_find(struct rt_identity *id, const struct rt_ids *ids, const char *home);
void rt_identity_release(struct rt_identity *id);

/*
 * Append to OUT the lines of an image's file, LEN bytes at TEXT, without those of the same name or
 * number, then the user's own line. Pure.
 */
void rt_identity_passwd(const struct rt_identity *id, const char *text, size_t len,
			struct hr_buf *out);
void rt_identity_group(const struct rt_identity *id, const char *text, size_t len,
		       struct hr_buf *out);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session found out about libraries of the host, kept for the next ones of this boot: it
 * takes reading and comparing hundreds of files, and comes out the same until one of them changes.
 * hpcrun-session(7), FILES, says where the entries are.
 *
 * An answer is recalled only for the same key (this boot, this build of hpcrun, and all that
 * whoever asks adds), and only if each file of the host that was looked at, or was not there, is as
 * it was then. Anything wrong with an entry is the same as none.
 *
 * Not for: what depends on more than the key and files of the host, as devices do.
 * Sequence: rt_memo_begin; rt_memo_key for each part; rt_memo_recall, and the answer is there. Else
 * find it, with rt_memo_saw for each file before it is looked at, and rt_memo_answer; rt_memo_keep.
 */
#ifndef RT_MEMO_H
#define RT_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#define RT_MEMO_MAX (1u << 20) /* bytes of an entry; a longer one is not kept */

/* A zeroed struct is empty. */
struct rt_memo {
	struct hr_strv key;    /* "what=value" */
	struct hr_strv seen;   /* files, as they were: rt_memo_saw */
	struct hr_strv answer; /* for who asked; not interpreted here */
	bool unsure;	       /* something seen can change unnoticed: not to be kept */
};

void rt_memo_begin(struct rt_memo *m, const char *question);
void rt_memo_key(struct rt_memo *m, const char *what, const char *value);

/* PATH of the host is about to be looked at, whether it is there or not. M may be NULL: nobody will
 * ask again. */
void rt_memo_saw(struct rt_memo *m, const char *path);

/* One string of the answer: TAG says what TEXT is. */
void rt_memo_answer(struct rt_memo *m, char tag, const char *text);

/* Fill m->answer, and m->seen, from the directory DIRFD; false: there is no such entry, or it is
 * out of date. */
bool rt_memo_recall(struct rt_memo *m, int dirfd) HR_MUST_USE;

/* Keep the answer in DIRFD. A failure costs the next session time, no more. */
void rt_memo_keep(struct rt_memo *m, int dirfd);

void rt_memo_release(struct rt_memo *m);

/*
 * The bytes of an entry, and back. Pure.
 *
 * Owns:    *OUT; rt_memo_release, also after an error.
 * Errors:  HR_CORRUPT: torn, or of another version.
 */
void rt_memo_write(struct rt_memo *m, struct hr_buf *out);
int rt_memo_parse(const uint8_t *p, size_t n, struct rt_memo *out, struct hr_err *e) HR_MUST_USE;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a pull shows while it runs: a bar for each layer on a terminal, else lines, or JSON.
 *
 * Sequence: progress_start(); store_import_pull() with the same status; progress_end().
 * A thread of this module reads the status ten times a second.
 */
#ifndef STORE_PROGRESS_H
#define STORE_PROGRESS_H

#include "store/import.h"
#include "util/buf.h"

enum progress_style { PROGRESS_QUIET, PROGRESS_LINES, PROGRESS_BARS, PROGRESS_JSON };

struct progress;

/* STATUS and REF are borrowed until progress_end(). LOCAL: nothing comes over a network. */
struct progress *progress_start(const struct store_import_status *status,
				const struct fetch_ref *ref, enum progress_style style, bool local);
/* In front of a line that is shown in the place of the last one, or of nothing. */
#define PROGRESS_CLEAR "\r\033[K"

/* The first digits of a digest, enough to tell layers apart; returns BUF. */
#define PROGRESS_DIGEST 13
char *progress_digest(const struct fetch_digest *d, char buf[PROGRESS_DIGEST]);

/*
 * Append what is behind a layer's digest on a line of WIDTH columns: a bar, GOT of SIZE bytes, and
 * the rate.
 */
void progress_bar(uint64_t got, uint64_t size, double seconds, unsigned int width,
		  struct hr_buf *b);
double progress_seconds_since(const struct timespec *t); /* of CLOCK_MONOTONIC */
/* What the terminal has, less one. */
unsigned int progress_columns(void);

/* Show the end: RESULT, or nothing after a failure, which is told elsewhere. */
void progress_end(struct progress *p, const struct store_import_result *result);

#endif

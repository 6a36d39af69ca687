/* SPDX-License-Identifier: BSD-3-Clause */
/* Times for people: from what image configs say to "3 weeks ago". Pure. */
#ifndef STORE_WHEN_H
#define STORE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Parse an RFC 3339 date and time to seconds since 1970; a fraction is dropped.
 *
 * False for anything else, and for the year 1, which is what Go writes for "not set".
 */
bool store_when_parse(const char *s, int64_t *out);

/*
 * How long before NOW it was, in the largest unit of which there are at least two; a date when it
 * is more than a minute in the future. Returns BUF.
 */
#define STORE_WHEN_TEXT 32
char *store_when_text(int64_t then, int64_t now, char buf[STORE_WHEN_TEXT]);

#endif

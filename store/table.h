/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables for people: columns as wide as their content, narrower where the terminal is.
 *
 * Sequence: struct store_table t = { .columns = c, .n = HR_COUNT(c) }; store_table_add() for each
 * cell, row by row; store_table_print(); store_table_release().
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "fetch/fetch.h"
#include "util/mem.h"

struct store_table_column {
	const char *title;
	bool right;  /* aligned to the right, for numbers */
	bool shrink; /* may lose its beginning when the terminal is narrow */
};

struct store_table {
	const struct store_table_column *columns;
	size_t n;
	struct hr_strv cells;
};

/* Add the next cell. TEXT may come from outside: what a terminal would obey is made visible. */
void store_table_add(struct store_table *t, const char *text);

/* The digits of a digest: the first 12, which tell images apart, or the WHOLE of its text. */
void store_table_add_digest(struct store_table *t, const struct fetch_digest *d, bool whole);

/* Print the titles and all rows; lines of at most WIDTH columns if possible, 0: any length. */
void store_table_print(const struct store_table *t, FILE *f, size_t width);
void store_table_release(struct store_table *t);

/* Columns of the terminal at standard output; 0 when it is none. */
size_t store_table_terminal_width(void);

#endif

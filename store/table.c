/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/table.h"

#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define GAP	     2 /* blanks between columns */
#define SHRINK_MIN   12
#define DIGEST_SHOWN 12
#define CUT	     ".." /* in place of a beginning that was cut off: ends of names tell more */

void store_table_add(struct store_table *t, const char *text)
{
	hr_autobuf struct hr_buf b = { 0 };

	hr_buf_str(&b, "");
	hr_buf_untrusted(&b, text, strlen(text));
	hr_strv_add(&t->cells, (const char *)b.p);
}

void store_table_add_digest(struct store_table *t, const struct fetch_digest *d, bool whole)
{
	char text[FETCH_DIGEST_TEXT];

	if (whole) {
		fetch_digest_text(d, text);
	} else {
		fetch_digest_hex(d, text);
		text[DIGEST_SHOWN] = '\0';
	}
	hr_strv_add(&t->cells, text);
}

void store_table_release(struct store_table *t)
{
	hr_strv_release(&t->cells);
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Characters of UTF-8 text. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += !is_continuation(*s);
	return n;
}

static void measure(const struct store_table *t, size_t *widths)
{
	for (size_t i = 0; i < t->n; i++)
		widths[i] = width_of(t->columns[i].title);
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t w = width_of(t->cells.v[i]);

		if (w > widths[i % t->n])
			widths[i % t->n] = w;
	}
}

/* Take from the widest columns until the lines fit, or nothing is left to take. */
static void shrink(const struct store_table *t, size_t *widths, size_t width)
{
	size_t total = (t->n - 1) * GAP;

	for (size_t i = 0; i < t->n; i++)
		total += widths[i];
	for (; total > width; total--) {
		size_t widest = SIZE_MAX;

		for (size_t i = 0; i < t->n; i++)
			if (t->columns[i].shrink && widths[i] > SHRINK_MIN &&
			    (widest == SIZE_MAX || widths[i] > widths[widest]))
				widest = i;
		if (widest == SIZE_MAX)
			return;
		widths[widest]--;
	}
}

/* Append the last WIDTH characters at most. */
static void add_cut(struct hr_buf *line, const char *cell, size_t width)
{
	size_t have = width_of(cell);

	if (have <= width) {
		hr_buf_str(line, cell);
		return;
	}
	for (size_t drop = have - (width - strlen(CUT)); drop > 0; drop--)
		do
			cell++;
		while (is_continuation(*cell));
	hr_buf_printf(line, CUT "%s", cell);
}

static void add_cell(struct hr_buf *line, const char *cell, size_t width, bool right, bool last)
{
	size_t have = width_of(cell), blanks = have < width ? width - have : 0;

	if (right)
		hr_buf_printf(line, "%*s", (int)blanks, "");
	add_cut(line, cell, width);
	if (last)
		hr_buf_str(line, "\n");
	else
		hr_buf_printf(line, "%*s", (int)(right ? 0 : blanks) + GAP, "");
}

void store_table_print(const struct store_table *t, FILE *f, size_t width)
{
	hr_autofree size_t *widths = hr_xmalloc(t->n * sizeof(*widths));
	hr_autobuf struct hr_buf line = { 0 };

	measure(t, widths);
	if (width > 0)
		shrink(t, widths, width);
	for (size_t i = 0; i < t->n; i++)
		add_cell(&line, t->columns[i].title, widths[i], t->columns[i].right, i + 1 == t->n);
	for (size_t i = 0; i < t->cells.n; i++)
		add_cell(&line, t->cells.v[i], widths[i % t->n], t->columns[i % t->n].right,
			 i % t->n + 1 == t->n);
	fwrite(line.p, 1, line.len, f);
}

size_t store_table_terminal_width(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

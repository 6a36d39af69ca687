/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "store/size.h"
#include "store/ticker.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define TICK_MS	     100
#define WIDTH_MIN    40
#define BAR_MAX	     40
#define LINES_MARGIN 2 /* lines of the screen that bars leave free */

struct progress {
	const struct store_import_status *status;
	char *image;
	enum progress_style style;
	struct store_ticker ticker;
	bool local;	/* an import, no pull */
	bool announced; /* "pulling" was shown */
	struct timespec begin;
	enum store_import_state *shown; /* of each layer */
	unsigned int drawn;		/* lines of bars on the screen */
};

double progress_seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

char *progress_digest(const struct fetch_digest *d, char buf[PROGRESS_DIGEST])
{
	char hex[FETCH_DIGEST_HEX];

	fetch_digest_hex(d, hex);
	memcpy(buf, hex, PROGRESS_DIGEST - 1);
	buf[PROGRESS_DIGEST - 1] = '\0';
	return buf;
}

/* Percent of a layer's content that was in the store before. */
static unsigned int percent_known(const struct store_import_layer *l)
{
	uint64_t known = l->sums.known, all = known + l->sums.stored;

	return all ? (unsigned int)((double)known * 100 / (double)all) : 0;
}

/* What became of a finished layer. */
static void outcome(const struct store_import_layer *l, enum store_import_state state,
		    struct hr_buf *b)
{
	if (state == STORE_IMPORT_HERE) {
		hr_buf_str(b, "already here");
		return;
	}
	hr_buf_str(b, "done");
	if (percent_known(l) > 0)
		hr_buf_printf(b, ", %u%% deduplicated", percent_known(l));
}

/* ---- lines and JSON: one for each change ---- */

static void json_layer(const struct store_import_layer *l, enum store_import_state state,
		       struct hr_buf *b)
{
	static const char *const names[] = { "waiting", "running", "done", "here" };
	char digest[FETCH_DIGEST_TEXT];

	hr_buf_printf(b,
		      "{\"event\":\"layer\",\"digest\":\"%s\",\"state\":\"%s\",\"size\":%" PRIu64
		      ",\"got\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"packed\":%" PRIu64
		      ",\"known\":%" PRIu64 "}\n",
		      fetch_digest_text(&l->blob.digest, digest), names[state], l->blob.size,
		      l->got, l->sums.stored, l->sums.packed, l->sums.known);
}

static void line_layer(const struct store_import_layer *l, enum store_import_state state,
		       struct hr_buf *b)
{
	char digest[PROGRESS_DIGEST], size[STORE_SIZE_TEXT];

	if (state == STORE_IMPORT_RUNNING || state == STORE_IMPORT_WAITING)
		return;
	hr_buf_printf(b, "layer %s: %s: ", progress_digest(&l->blob.digest, digest),
		      store_size_text(l->blob.size, size));
	outcome(l, state, b);
	hr_buf_str(b, "\n");
}

static void show_changes(struct progress *p)
{
	hr_autobuf struct hr_buf b = { 0 };

	for (size_t i = 0; i < p->status->n_layers; i++) {
		const struct store_import_layer *l = &p->status->layers[i];
		enum store_import_state state = atomic_load(&l->state);

		if (state == p->shown[i])
			continue;
		p->shown[i] = state;
		if (p->style == PROGRESS_JSON)
			json_layer(l, state, &b);
		else
			line_layer(l, state, &b);
	}
	if (b.len)
		fputs((const char *)b.p, stdout);
	fflush(stdout);
}

/* ---- bars ---- */

void progress_bar(uint64_t got, uint64_t size, double seconds, unsigned int width, struct hr_buf *b)
{
	/* digest, two sizes and the rate take 12 + 2 + 10 + 3 + 10 + 2 + 12 columns */
	unsigned int bar = width > 54 ? width - 54 : 0, full;
	char text[STORE_SIZE_TEXT], of[STORE_SIZE_TEXT];

	if (bar > BAR_MAX)
		bar = BAR_MAX;
	full = (unsigned int)((size ? (double)got / (double)size : 1) * bar);
	if (bar > 4) {
		hr_buf_str(b, "[");
		for (unsigned int i = 0; i < bar; i++)
			hr_buf_str(b, i < full ? "#" : ".");
		hr_buf_str(b, "] ");
	}
	hr_buf_printf(b, "%s of %s", store_size_text(got, text), store_size_text(size, of));
	if (seconds > 0.5)
		hr_buf_printf(b, ", %s/s",
			      store_size_text((uint64_t)((double)got / seconds), text));
}

static void bar_line(const struct progress *p, const struct store_import_layer *l,
		     unsigned int width, struct hr_buf *b)
{
	char digest[PROGRESS_DIGEST], size[STORE_SIZE_TEXT];
	enum store_import_state state = atomic_load(&l->state);

	hr_buf_printf(b, "%s  ", progress_digest(&l->blob.digest, digest));
	if (state == STORE_IMPORT_RUNNING) {
		progress_bar(l->got, l->blob.size, progress_seconds_since(&p->begin), width, b);
		return;
	}
	hr_buf_printf(b, "%9s  ", store_size_text(l->blob.size, size));
	if (state == STORE_IMPORT_WAITING)
		hr_buf_str(b, "waiting");
	else
		outcome(l, state, b);
}

static void screen_size(unsigned int *columns, unsigned int *lines)
{
	struct winsize ws = { 0 };

	if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 &&
	     ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) < 0) ||
	    ws.ws_col == 0 || ws.ws_row == 0)
		ws = (struct winsize) { .ws_col = 80, .ws_row = 24 };
	*columns = ws.ws_col < WIDTH_MIN ? WIDTH_MIN : ws.ws_col;
	*lines = ws.ws_row > LINES_MARGIN + 1 ? ws.ws_row - LINES_MARGIN : 1;
}

unsigned int progress_columns(void)
{
	unsigned int columns, lines;

	screen_size(&columns, &lines);
	return columns - 1;
}

/*
 * Draw the layers again, in place. Of more layers than the screen has lines, those that run come
 * first; the others are counted.
 */
static void draw_bars(struct progress *p)
{
	hr_autobuf struct hr_buf b = { 0 };
	unsigned int columns, lines, shown = 0, hidden = 0;

	screen_size(&columns, &lines);
	if (p->drawn)
		hr_buf_printf(&b, "\033[%uA", p->drawn);
	for (unsigned int pass = p->status->n_layers > lines ? 0 : 1; pass < 2; pass++) {
		for (size_t i = 0; i < p->status->n_layers; i++) {
			const struct store_import_layer *l = &p->status->layers[i];
			hr_autobuf struct hr_buf line = { 0 };

			if (p->status->n_layers > lines &&
			    (pass == 0) != (atomic_load(&l->state) == STORE_IMPORT_RUNNING))
				continue;
			if (shown + 1 > lines) {
				hidden++;
				continue;
			}
			bar_line(p, l, columns - 1, &line);
			hr_buf_printf(&b, "\033[2K%.*s\n", (int)(columns - 1), (char *)line.p);
			shown++;
		}
	}
	if (hidden) {
		hr_buf_printf(&b, "\033[2Kand %u more layer%s\n", hidden, HR_PLURAL(hidden));
		shown++;
	}
	p->drawn = shown;
	fputs((const char *)b.p, stdout);
	fflush(stdout);
}

/* ---- the thread ---- */

static void announce(struct progress *p)
{
	char text[512];

	if (p->announced)
		return;
	p->announced = true;
	p->shown = hr_xmalloc(p->status->n_layers * sizeof(*p->shown) + 1);
	if (p->style == PROGRESS_JSON)
		snprintf(text, sizeof(text),
			 "{\"event\":\"pull\",\"image\":\"%s\",\"layers\":%zu}\n", p->image,
			 p->status->n_layers);
	else
		snprintf(text, sizeof(text), "%sing %s, %zu layer%s\n",
			 p->local ? "import" : "pull", p->image, p->status->n_layers,
			 HR_PLURAL(p->status->n_layers));
	fputs(text, stdout);
}

static void show(void *arg)
{
	struct progress *p = arg;

	if (p->style == PROGRESS_QUIET || !p->status->ready)
		return;
	announce(p);
	if (p->style == PROGRESS_BARS)
		draw_bars(p);
	else
		show_changes(p);
}

struct progress *progress_start(const struct store_import_status *status,
				const struct fetch_ref *ref, enum progress_style style, bool local)
{
	struct progress *p = hr_xmalloc(sizeof(*p));

	p->status = status;
	p->image = fetch_ref_text(ref);
	p->style = style;
	p->local = local;
	clock_gettime(CLOCK_MONOTONIC, &p->begin);
	(void)store_ticker_start(&p->ticker, TICK_MS, show, p); /* without it the end is shown */
	return p;
}

static void show_result(const struct progress *p, const struct store_import_result *r)
{
	char digest[FETCH_DIGEST_TEXT], size[STORE_SIZE_TEXT], blobs[STORE_SIZE_TEXT],
		stored[STORE_SIZE_TEXT];

	fetch_digest_text(&r->manifest, digest);
	switch (p->style) {
	case PROGRESS_QUIET:
		printf("%s\n", digest);
		break;
	case PROGRESS_JSON:
		printf("{\"event\":\"done\",\"image\":\"%s\",\"digest\":\"%s\",\"size\":%" PRIu64
		       ",\"compressed\":%" PRIu64 ",\"stored\":%" PRIu64 "}\n",
		       p->image, digest, r->size, r->compressed, r->stored);
		break;
	default:
		printf("%s\n%s: %s of files, %s to %s, %s added to the store\n", digest, p->image,
		       store_size_text(r->size, size), store_size_text(r->compressed, blobs),
		       p->local ? "read" : "download", store_size_text(r->stored, stored));
	}
}

void progress_end(struct progress *p, const struct store_import_result *result)
{
	store_ticker_stop(&p->ticker);
	show(p);
	if (result)
		show_result(p, result);
	fflush(stdout);
	free(p->shown);
	free(p->image);
	free(p);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/inflate.h"

#include <inttypes.h>
#include <isa-l.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

#define WINDOW_LOG_MAX 27
/* How much of a blob is needed to tell what it is: a tar header, up to its magic. */
#define HEAD_BYTES    263
#define TAR_MAGIC_OFF 257

struct store_inflate;
typedef int inflate_step(struct store_inflate *s, const uint8_t *p, size_t n, struct hr_err *e);

enum gzip_state { GZIP_HEADER, GZIP_MEMBER, GZIP_BETWEEN, GZIP_PADDING };

struct store_inflate {
	enum fetch_compression type;
	struct store_inflate_out out;
	uint8_t head[HEAD_BYTES]; /* collected until the form of the blob is known */
	size_t head_len;
	inflate_step *step; /* NULL until then */
	uint64_t fed;	    /* bytes of the blob before the current piece, for messages */

	struct inflate_state *gzip;
	struct isal_gzip_header gzip_header;
	enum gzip_state gzip_state;
	ZSTD_DCtx *zstd;
	size_t zstd_left; /* 0 between frames */

	uint8_t *room; /* place for output that was not used up yet */
	size_t cap, used;
};

struct store_inflate *store_inflate_new(enum fetch_compression type,
					const struct store_inflate_out *out)
{
	struct store_inflate *s = hr_xmalloc(sizeof(*s));

	s->type = type;
	s->out = *out;
	return s;
}

void store_inflate_free(struct store_inflate *s)
{
	if (!s)
		return;
	free(s->gzip);
	ZSTD_freeDCtx(s->zstd);
	free(s);
}

void store_inflate_freep(struct store_inflate **s)
{
	store_inflate_free(*s);
}

/* ---- output ---- */

/* Make room for at least one byte. */
static int need_room(struct store_inflate *s, struct hr_err *e)
{
	if (s->room && s->used < s->cap)
		return 0;
	if (s->room && s->out.done(s->out.arg, s->used, e) < 0)
		return -1;
	s->used = 0;
	s->room = s->out.room(s->out.arg, &s->cap, e);
	return s->room ? 0 : -1;
}

static int flush(struct store_inflate *s, struct hr_err *e)
{
	if (!s->room || s->used == 0)
		return 0;
	s->room = NULL;
	return s->out.done(s->out.arg, s->used, e);
}

/* ---- plain ---- */

static int plain_step(struct store_inflate *s, const uint8_t *p, size_t n, struct hr_err *e)
{
	while (n > 0) {
		size_t part;

		if (need_room(s, e) < 0)
			return -1;
		part = s->cap - s->used < n ? s->cap - s->used : n;
		memcpy(s->room + s->used, p, part);
		s->used += part;
		p += part;
		n -= part;
	}
	return 0;
}

/* ---- gzip ---- */

static const char *gzip_error(int r)
{
	static const struct {
		int code;
		const char *text;
	} texts[] = {
		{ ISAL_INVALID_BLOCK, "invalid block" },
		{ ISAL_INVALID_SYMBOL, "invalid symbol" },
		{ ISAL_INVALID_LOOKBACK, "distance too far back" },
		{ ISAL_INVALID_WRAPPER, "invalid header" },
		{ ISAL_UNSUPPORTED_METHOD, "unknown method" },
		{ ISAL_INCORRECT_CHECKSUM, "wrong check sum" },
		{ ISAL_NEED_DICT, "a dictionary is needed" },
	};

	for (size_t i = 0; i < HR_COUNT(texts); i++)
		if (texts[i].code == r)
			return texts[i].text;
	return "invalid data";
}

static int gzip_fail(const struct store_inflate *s, const char *what, struct hr_err *e)
{
	return hr_fail(e, HR_CORRUPT, 0, "damaged gzip data near byte %" PRIu64 ": %s", s->fed,
		       what);
}

/*
 * The decoder would read headers as well, but forgets what it has read of one where a piece of the
 * blob ends within its optional fields (ISA-L 2.30: it is a variable of isal_inflate()).
 */
static void gzip_expect(struct store_inflate *s)
{
	isal_gzip_header_init(&s->gzip_header);
	s->gzip->crc_flag = ISAL_GZIP_NO_HDR_VER;
	s->gzip_state = GZIP_HEADER;
}

static int gzip_header(struct store_inflate *s, const uint8_t **p, size_t *n, struct hr_err *e)
{
	struct inflate_state *z = s->gzip;
	uint32_t in = *n > UINT32_MAX ? UINT32_MAX : (uint32_t)*n;
	int r;

	z->next_in = (uint8_t *)(uintptr_t)*p;
	z->avail_in = in;
	r = isal_read_gzip_header(z, &s->gzip_header);
	*p += in - z->avail_in;
	*n -= in - z->avail_in;
	if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT)
		return gzip_fail(s, gzip_error(r), e);
	if (r == ISAL_DECOMP_OK)
		s->gzip_state = GZIP_MEMBER;
	return 0;
}

/* Behind a member: another one, or zeros to the end. */
static int gzip_between(struct store_inflate *s, const uint8_t **p, size_t *n, struct hr_err *e)
{
	if (s->gzip_state == GZIP_BETWEEN && (*p)[0] == 0x1f) {
		isal_inflate_reset(s->gzip);
		gzip_expect(s);
		return 0;
	}
	s->gzip_state = GZIP_PADDING;
	for (; *n > 0; (*p)++, (*n)--)
		if ((*p)[0] != 0)
			return gzip_fail(s, "other data behind the end", e);
	return 0;
}

static int gzip_member(struct store_inflate *s, const uint8_t **p, size_t *n, struct hr_err *e)
{
	struct inflate_state *z = s->gzip;
	uint32_t in = *n > UINT32_MAX ? UINT32_MAX : (uint32_t)*n, room;
	int r;

	if (need_room(s, e) < 0)
		return -1;
	room = s->cap - s->used > UINT32_MAX ? UINT32_MAX : (uint32_t)(s->cap - s->used);
	z->next_in = (uint8_t *)(uintptr_t)*p;
	z->avail_in = in;
	z->next_out = s->room + s->used;
	z->avail_out = room;
	r = isal_inflate(z);
	*p += in - z->avail_in;
	*n -= in - z->avail_in;
	s->used += room - z->avail_out;
	if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT && r != ISAL_OUT_OVERFLOW)
		return gzip_fail(s, gzip_error(r), e);
	if (z->block_state == ISAL_BLOCK_FINISH)
		s->gzip_state = GZIP_BETWEEN;
	return 0;
}

/*
 * All of P is given to the decoder, and what the decoder holds back is taken out: with the room
 * full it may still have output when its input is used up.
 */
static int gzip_step(struct store_inflate *s, const uint8_t *p, size_t n, struct hr_err *e)
{
	bool full = false;

	while (n > 0 || (full && s->gzip_state == GZIP_MEMBER)) {
		if (s->gzip_state == GZIP_HEADER   ? gzip_header(s, &p, &n, e) < 0
		    : s->gzip_state == GZIP_MEMBER ? gzip_member(s, &p, &n, e) < 0
						   : gzip_between(s, &p, &n, e) < 0)
			return -1;
		full = s->used == s->cap;
	}
	return 0;
}

static void gzip_begin(struct store_inflate *s)
{
	s->gzip = hr_xmalloc(sizeof(*s->gzip));
	isal_inflate_init(s->gzip);
	gzip_expect(s);
	s->step = gzip_step;
}

/* ---- zstd ---- */

static int zstd_fail(const struct store_inflate *s, size_t r, struct hr_err *e)
{
	switch (ZSTD_getErrorCode(r)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		hr_fail(e, HR_CORRUPT, 0, "its zstd window is larger than %u MiB",
			1u << (WINDOW_LOG_MAX - 20));
		hr_hint(e, "compress the layer again without --long");
		return -1;
	case ZSTD_error_dictionary_wrong:
		return hr_fail(e, HR_CORRUPT, 0, "its zstd data need a dictionary");
	default:
		return hr_fail(e, HR_CORRUPT, 0, "damaged zstd data near byte %" PRIu64 ": %s",
			       s->fed, ZSTD_getErrorName(r));
	}
}

static int zstd_step(struct store_inflate *s, const uint8_t *p, size_t n, struct hr_err *e)
{
	ZSTD_inBuffer in = { p, n, 0 };
	bool full = false;

	while (in.pos < in.size || (full && s->zstd_left > 0)) {
		ZSTD_outBuffer out;

		if (need_room(s, e) < 0)
			return -1;
		out = (ZSTD_outBuffer) { s->room, s->cap, s->used };
		s->zstd_left = ZSTD_decompressStream(s->zstd, &out, &in);
		if (ZSTD_isError(s->zstd_left))
			return zstd_fail(s, s->zstd_left, e);
		s->used = out.pos;
		full = out.pos == out.size;
	}
	return 0;
}

static int zstd_begin(struct store_inflate *s, struct hr_err *e)
{
	size_t r;

	s->zstd = ZSTD_createDCtx();
	HR_BUG_ON(!s->zstd);
	r = ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	if (ZSTD_isError(r))
		return hr_fail(e, HR_SYS, 0, "cannot set up zstd: %s", ZSTD_getErrorName(r));
	s->step = zstd_step;
	return 0;
}

/* ---- what is it? ---- */

enum form { FORM_GZIP, FORM_ZSTD, FORM_TAR, FORM_XZ, FORM_BZIP2, FORM_OTHER };

static const char *const form_names[] = {
	[FORM_GZIP] = "gzip", [FORM_ZSTD] = "zstd",   [FORM_TAR] = "a plain archive",
	[FORM_XZ] = "xz",     [FORM_BZIP2] = "bzip2", [FORM_OTHER] = "of an unknown form",
};

static enum form form_of(const uint8_t *p, size_t n)
{
	if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return FORM_GZIP;
	if (n >= 4 && (hr_le32(p) == ZSTD_MAGICNUMBER ||
		       (hr_le32(p) & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START))
		return FORM_ZSTD;
	if (n >= 6 && memcmp(p,
			     "\xfd"
			     "7zXZ",
			     6) == 0)
		return FORM_XZ;
	if (n >= 3 && memcmp(p, "BZh", 3) == 0)
		return FORM_BZIP2;
	if (n >= HEAD_BYTES && memcmp(p + TAR_MAGIC_OFF, "ustar", 5) == 0)
		return FORM_TAR;
	return FORM_OTHER;
}

/*
 * Which forms a media type may have. Docker's one media type, of gzip, is also used for zstd
 * (BuildKit with oci-mediatypes=false) and for plain archives (docker save, old registries).
 */
static const bool allowed[][FORM_OTHER + 1] = {
	[FETCH_GZIP] = { [FORM_GZIP] = true, [FORM_ZSTD] = true, [FORM_TAR] = true },
	[FETCH_ZSTD] = { [FORM_ZSTD] = true },
	[FETCH_PLAIN] = { [FORM_TAR] = true, [FORM_OTHER] = true }, /* V7, or zeros */
};
static const char *const type_names[] = {
	[FETCH_GZIP] = "gzip", [FETCH_ZSTD] = "zstd", [FETCH_PLAIN] = "a plain archive"
};

static int begin(struct store_inflate *s, struct hr_err *e)
{
	enum form form = form_of(s->head, s->head_len);

	if (s->head_len == 0 && s->type != FETCH_PLAIN)
		return hr_fail(e, HR_CORRUPT, 0, "the blob is empty, the manifest says it is %s",
			       type_names[s->type]);
	if (!allowed[s->type][form])
		return hr_fail(e, HR_CORRUPT, 0, "the blob is %s, the manifest says it is %s",
			       form_names[form], type_names[s->type]);
	if (form == FORM_GZIP)
		gzip_begin(s);
	else if (form == FORM_ZSTD)
		return zstd_begin(s, e);
	else
		s->step = plain_step;
	return 0;
}

int store_inflate_feed(struct store_inflate *s, const void *in, size_t n, struct hr_err *e)
{
	const uint8_t *p = in;

	if (!s->step) {
		size_t part = HEAD_BYTES - s->head_len < n ? HEAD_BYTES - s->head_len : n;

		memcpy(s->head + s->head_len, p, part);
		s->head_len += part;
		if (s->head_len < HEAD_BYTES)
			return 0;
		if (begin(s, e) < 0 || s->step(s, s->head, s->head_len, e) < 0)
			return -1;
		p += part;
		n -= part;
		s->fed = HEAD_BYTES;
	}
	if (n > 0 && s->step(s, p, n, e) < 0)
		return -1;
	s->fed += n;
	return 0;
}

int store_inflate_end(struct store_inflate *s, struct hr_err *e)
{
	if (!s->step &&
	    (begin(s, e) < 0 || (s->head_len > 0 && s->step(s, s->head, s->head_len, e) < 0)))
		return -1;
	if (s->gzip && (s->gzip_state == GZIP_HEADER || s->gzip_state == GZIP_MEMBER))
		return hr_fail(e, HR_CORRUPT, 0, "the gzip data end too early, at byte %" PRIu64,
			       s->fed);
	if (s->zstd && s->zstd_left > 0)
		return hr_fail(e, HR_CORRUPT, 0, "the zstd data end too early, at byte %" PRIu64,
			       s->fed);
	return flush(s, e);
}

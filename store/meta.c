/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <zstd.h>

#include "store/record.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define LEVEL	    3 /* an index: a fifth of its size, in a tenth of a second; 9 saves 3 per cent */
#define EXPANSION   256
#define INDEX_MAX   UINT32_MAX
#define FRAME_LEAST 6 /* bytes of the smallest frame: magic, descriptor, content size */

/* Decompress the frame that *P begins with, and go behind it. */
static int open_part(const char *what, const uint8_t **p, size_t *n, uint64_t limit,
		     struct hr_buf *out, struct hr_err *e)
{
	size_t frame = *n < FRAME_LEAST ? 0 : ZSTD_findFrameCompressedSize(*p, *n), got;
	unsigned long long bytes;

	if (frame == 0 || ZSTD_isError(frame))
		return hr_fail(e, HR_CORRUPT, 0, "the metadata file has no whole frame for the %s",
			       what);
	bytes = ZSTD_getFrameContentSize(*p, frame);
	if (bytes == ZSTD_CONTENTSIZE_UNKNOWN || bytes == ZSTD_CONTENTSIZE_ERROR)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the metadata file does not say how large the %s is", what);
	if (bytes == 0 || bytes > limit || bytes / EXPANSION > frame)
		return hr_fail(
			e, HR_CORRUPT, 0,
			"the metadata file says that the %s has %llu bytes, in a frame of %zu",
			what, bytes, frame);
	hr_buf_reserve(out, (size_t)bytes + 1);
	got = ZSTD_decompress(out->p, (size_t)bytes, *p, frame);
	if (ZSTD_isError(got) || got != bytes)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the metadata file's frame for the %s is damaged: %s", what,
			       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "short");
	out->len = got;
	out->p[got] = '\0';
	*p += frame;
	*n -= frame;
	return 0;
}

int store_meta_open(const uint8_t *p, size_t n, struct store_meta *out, struct hr_err *e)
{
	struct store_meta b = { 0 };

	if (open_part("record", &p, &n, STORE_RECORD_LIMIT, &b.record, e) == 0 &&
	    open_part("index", &p, &n, INDEX_MAX, &b.index, e) == 0 &&
	    open_part("locations", &p, &n, INDEX_MAX, &b.loc, e) == 0) {
		if (n == 0) {
			*out = b;
			return 0;
		}
		(void)hr_fail(e, HR_CORRUPT, 0, "the metadata file has %zu bytes behind its end",
			      n);
	}
	store_meta_release(&b);
	return -1;
}

void store_meta_release(struct store_meta *b)
{
	hr_buf_release(&b->record);
	hr_buf_release(&b->index);
	hr_buf_release(&b->loc);
}

static int add_part(ZSTD_CCtx *zstd, const struct hr_buf *part, struct hr_buf *out,
		    struct hr_err *e)
{
	size_t room = ZSTD_compressBound(part->len), got;

	hr_buf_reserve(out, room + 1);
	got = ZSTD_compress2(zstd, out->p + out->len, room, part->p, part->len);
	if (ZSTD_isError(got))
		return hr_fail(e, HR_SYS, ENOMEM, "cannot compress a metadata file: %s",
			       ZSTD_getErrorName(got));
	out->len += got;
	out->p[out->len] = '\0';
	return 0;
}

int store_meta_write(const struct store_meta *in, struct hr_buf *out, struct hr_err *e)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	int r = -1;

	/* a check sum, for nothing else tells a wrong byte among the locations */
	if (!zstd || ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1)))
		(void)hr_fail(e, HR_SYS, ENOMEM, "cannot make a compressor");
	else if (add_part(zstd, &in->record, out, e) == 0 &&
		 add_part(zstd, &in->index, out, e) == 0 && add_part(zstd, &in->loc, out, e) == 0)
		r = 0;
	ZSTD_freeCCtx(zstd);
	return r;
}

int store_meta_put(const struct store *st, const struct fetch_digest *manifest,
		   const struct store_meta *in, struct hr_err *e)
{
	hr_autobuf struct hr_buf out = { 0 };

	return store_meta_write(in, &out, e) < 0
		       ? -1
		       : store_object_write(st, STORE_META, manifest, out.p, out.len, e);
}

int store_meta_remake(const struct store *st, const struct fetch_digest *manifest, struct hr_err *e)
{
	HR_CLEANUP(store_image_record_release) struct store_image_record r = { 0 };
	HR_CLEANUP(store_meta_release) struct store_meta m = { 0 };
	struct hr_err none = { 0 }; /* a store works without this file */

	if (store_object_read(st, STORE_IMAGE, manifest, STORE_RECORD_LIMIT, &m.record, &none) <
		    0 ||
	    store_image_record_parse(m.record.p, m.record.len, &r, &none) < 0 ||
	    store_object_read(st, STORE_INDEX, &r.index, INDEX_MAX, &m.index, &none) < 0 ||
	    store_object_read(st, STORE_INDEX_LOC, &r.index, INDEX_MAX, &m.loc, &none) < 0)
		return store_object_remove(st, STORE_META, manifest, e);
	return store_meta_put(st, manifest, &m, e);
}

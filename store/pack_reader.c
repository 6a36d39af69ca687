/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/pack_reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "store/frame.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/poison.h"

struct store_pack_reader {
	const struct store *st;
	ZSTD_DCtx *zstd;
	uint8_t *frame; /* room for STORE_FRAME_CAP bytes */
	int fd;		/* of PACK, or -1 */
	struct fetch_digest pack;
};

struct store_pack_reader *store_pack_reader_new(const struct store *st)
{
	struct store_pack_reader *r = hr_xmalloc(sizeof(*r));

	r->st = st;
	r->fd = -1;
	r->frame = hr_xmalloc(STORE_FRAME_CAP);
	r->zstd = ZSTD_createDCtx();
	HR_BUG_ON(!r->zstd); /* out of memory */
	return r;
}

void store_pack_reader_free(struct store_pack_reader *r)
{
	if (!r)
		return;
	hr_fd_cleanup(&r->fd);
	ZSTD_freeDCtx(r->zstd);
	free(r->frame);
	free(r);
}

int store_pack_reader_open(struct store_pack_reader *r, const struct fetch_digest *pack,
			   struct hr_err *e)
{
	if (r->fd >= 0 && fetch_digest_equal(&r->pack, pack))
		return 0;
	hr_fd_cleanup(&r->fd);
	r->fd = store_object_open(r->st, STORE_PACK, pack, NULL, e);
	r->pack = *pack;
	return r->fd < 0 ? -1 : 0;
}

int store_pack_reader_read(struct store_pack_reader *r, uint64_t off, uint32_t len,
			   const struct store_chunk *want, uint8_t *out, const uint8_t **frame,
			   struct hr_err *e)
{
	if (len > STORE_FRAME_CAP)
		return hr_fail(e, HR_CORRUPT, 0,
			       "a frame of %" PRIu32 " bytes, more than any frame has", len);
	if (hr_pread_all(r->fd, r->frame, len, off, "the pack", e) < 0 ||
	    store_frame_open(r->zstd, r->frame, len, want, out, e) < 0)
		return -1;
	if (frame)
		*frame = r->frame;
	return 0;
}

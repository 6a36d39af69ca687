/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/frame.h"

#include <inttypes.h>

#include "util/poison.h"

int store_frame_open(ZSTD_DCtx *zstd, const void *frame, size_t len, const struct store_chunk *want,
		     uint8_t *out, struct hr_err *e)
{
	size_t n = ZSTD_decompressDCtx(zstd, out, want->bytes, frame, len);

	if (ZSTD_isError(n))
		return hr_fail(e, HR_CORRUPT, 0, "zstd frame of %zu bytes: %s", len,
			       ZSTD_getErrorName(n));
	if (n != want->bytes)
		return hr_fail(e, HR_CORRUPT, 0, "frame holds %zu bytes, expected %" PRIu32, n,
			       want->bytes);
	return 0;
}

int store_frame_verify(const struct store_chunk *want, const uint8_t *p, store_chunk_sha256 *sha256,
		       struct hr_err *e)
{
	uint64_t crc = store_crc64(p, want->bytes);
	char got_hex[FETCH_DIGEST_HEX], want_hex[FETCH_DIGEST_HEX];
	struct fetch_digest got;

	if (crc != want->crc)
		return hr_fail(e, HR_CORRUPT, 0,
			       "check sum is %016" PRIx64 ", expected %016" PRIx64, crc, want->crc);
	if (!sha256)
		return 0;
	sha256(p, want->bytes, &got);
	if (!fetch_digest_equal(&got, &want->digest))
		return hr_fail(e, HR_CORRUPT, 0, "digest is %s, expected %s",
			       fetch_digest_hex(&got, got_hex),
			       fetch_digest_hex(&want->digest, want_hex));
	return 0;
}

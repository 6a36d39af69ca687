/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/image_libc.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define LIBC_LIMIT (16u << 20)

static const char *const glibc_paths[] = {
	"lib/x86_64-linux-gnu/libc.so.6",
	"lib/aarch64-linux-gnu/libc.so.6",
	"usr/lib/x86_64-linux-gnu/libc.so.6",
	"usr/lib/aarch64-linux-gnu/libc.so.6",
	"lib64/libc.so.6",
	"usr/lib64/libc.so.6",
	"lib/libc.so.6",
	"usr/lib/libc.so.6",
};
static const char *const musl_paths[] = { "lib/ld-musl-x86_64.so.1", "lib/ld-musl-aarch64.so.1" };

static bool read_file(const struct store_index *ix, struct store_chunks *chunks,
		      const struct store_inode *file, struct hr_buf *out)
{
	struct store_piece piece;

	if (!S_ISREG(file->mode) || file->size > LIBC_LIMIT)
		return false;
	for (uint64_t off = 0; off < file->size; off += piece.len) {
		struct store_chunk_ref ref;

		if (!store_index_piece(ix, file, off, &piece))
			return false;
		if (piece.chunk == STORE_HOLE) {
			hr_buf_reserve(out, (size_t)piece.len);
			memset(out->p + out->len, 0, (size_t)piece.len);
			out->len += (size_t)piece.len;
			continue;
		}
		if (!store_chunks_get_alone(chunks, piece.chunk, &ref))
			return false;
		hr_buf_add(out, ref.p + piece.off, (size_t)piece.len);
		store_chunks_put(chunks, &ref, (uint32_t)piece.len);
	}
	return true;
}

/* "2.36" at the beginning of the N bytes at P, and no digit behind. */
static bool parse_version(const char *p, size_t n, struct store_libc *out)
{
	char text[16] = "";
	char *dot;
	uint64_t major, minor;
	struct hr_err none = { 0 };

	n = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
	memcpy(text, p, n);
	text[strspn(text, "0123456789.")] = '\0';
	dot = strchr(text, '.');
	if (!dot)
		return false;
	*dot = '\0';
	dot[1 + strspn(dot + 1, "0123456789")] = '\0'; /* the point that ends the sentence */
	if (hr_parse_u64(text, "", 1, 99, &major, &none) < 0 ||
	    hr_parse_u64(dot + 1, "", 0, 999, &minor, &none) < 0)
		return false;
	*out = (struct store_libc) { STORE_LIBC_GLIBC, (unsigned int)major, (unsigned int)minor };
	return true;
}

/* The sentence that a glibc prints when it is run: "GNU C Library (...) ... release version 2.36."
 */
static bool parse_banner(const struct hr_buf *b, struct store_libc *out)
{
	static const char begin[] = "GNU C Library (", version[] = " release version ";
	const char *at = b->len ? memmem(b->p, b->len, begin, strlen(begin)) : NULL;
	const char *end = (const char *)b->p + b->len;

	at = at ? memmem(at, (size_t)(end - at), version, strlen(version)) : NULL;
	if (!at)
		return false;
	at += strlen(version);
	return parse_version(at, (size_t)(end - at), out);
}

struct store_libc store_image_libc(const struct store_index *ix, struct store_chunks *chunks)
{
	struct store_libc libc = { STORE_LIBC_UNKNOWN, 0, 0 };
	struct store_inode file;

	for (size_t i = 0; i < HR_COUNT(glibc_paths); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		if (store_index_find(ix, glibc_paths[i], &file) &&
		    read_file(ix, chunks, &file, &b) && parse_banner(&b, &libc))
			return libc;
	}
	for (size_t i = 0; i < HR_COUNT(musl_paths); i++)
		if (store_index_find(ix, musl_paths[i], &file))
			libc.kind = STORE_LIBC_MUSL;
	return libc;
}

struct store_libc store_host_libc(void)
{
	struct store_libc libc = { STORE_LIBC_UNKNOWN, 0, 0 };
#ifdef _CS_GNU_LIBC_VERSION
	static const char begin[] = "glibc ";
	char text[64] = "";
	size_t n = confstr(_CS_GNU_LIBC_VERSION, text, sizeof(text));

	if (n > strlen(begin) && n <= sizeof(text) && strncmp(text, begin, strlen(begin)) == 0)
		(void)parse_version(text + strlen(begin), strlen(text + strlen(begin)), &libc);
#endif
	return libc;
}

int store_libc_fits(const struct store_libc *image, const struct store_libc *host)
{
	if (image->kind == STORE_LIBC_MUSL && host->kind == STORE_LIBC_GLIBC)
		return 0;
	if (image->kind != STORE_LIBC_GLIBC || host->kind != STORE_LIBC_GLIBC)
		return -1;
	/* what is built for an older one runs with a newer one, never promised the other way */
	return image->major > host->major ||
			       (image->major == host->major && image->minor >= host->minor)
		       ? 1
		       : -1;
}

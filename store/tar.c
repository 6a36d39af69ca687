/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/tar_format.h"
#include "util/mem.h"
#include "util/poison.h"

#define SPECIAL_MAX (1u << 20) /* bytes of a pax header or a long name */

/* Offsets and lengths of header fields. */
#define H_NAME	 0, 100
#define H_MODE	 100, 8
#define H_UID	 108, 8
#define H_GID	 116, 8
#define H_SIZE	 124, 12
#define H_MTIME	 136, 12
#define H_TYPE	 156
#define H_LINK	 157, 100
#define H_MAGIC	 257
#define H_MAJOR	 329, 8
#define H_MINOR	 337, 8
#define H_PREFIX 345, 155

#define GNU_MAP	      386 /* 4 pieces of 24 bytes */
#define GNU_EXTENDED  482
#define GNU_REAL_SIZE 483, 12
#define EXT_PIECES    21
#define EXT_EXTENDED  504

void store_tar_init(struct store_tar *t, store_tar_source *source, void *arg)
{
	memset(t, 0, sizeof(*t));
	t->source = source;
	t->arg = arg;
}

void store_tar_release(struct store_tar *t)
{
	hr_buf_release(&t->pax);
	hr_buf_release(&t->long_path);
	hr_buf_release(&t->long_target);
	free(t->map);
	free(t->xattrs);
	memset(t, 0, sizeof(*t));
}

void store_tar_entry_release(struct store_tar_entry *n)
{
	hr_buf_release(&n->path);
	hr_buf_release(&n->target);
}

/* ---- the stream ---- */

/* Make some bytes available; 0 at the end of the stream. */
static int fill(struct store_tar *t, struct hr_err *e)
{
	if (t->n > 0)
		return 1;
	if (t->ended)
		return 0;
	if (t->source(t->arg, &t->p, &t->n, e) < 0)
		return -1;
	t->ended = t->n == 0;
	return t->n > 0;
}

static void consume(struct store_tar *t, size_t n)
{
	t->p += n;
	t->n -= n;
	t->at += n;
}

/* Copy LEN bytes out, or skip them when OUT is NULL; 0 when the stream ends in or before them. */
static int take(struct store_tar *t, void *out, uint64_t len, uint64_t *got, struct hr_err *e)
{
	uint8_t *to = out;

	*got = 0;
	while (*got < len) {
		int r = fill(t, e);
		size_t part;

		if (r <= 0)
			return r;
		part = t->n < len - *got ? t->n : (size_t)(len - *got);
		if (to)
			memcpy(to + *got, t->p, part);
		consume(t, part);
		*got += part;
	}
	return 1;
}

static int take_all(struct store_tar *t, void *out, uint64_t len, const char *what,
		    struct hr_err *e)
{
	uint64_t got;
	int r = take(t, out, len, &got, e);

	if (r == 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the archive ends in %s: %" PRIu64 " of %" PRIu64 " bytes", what,
			       got, len);
	return r < 0 ? -1 : 0;
}

/* The next block into t->block: 1; 0 when the stream ends before it. */
static int take_block(struct store_tar *t, struct hr_err *e)
{
	uint64_t got;
	int r;

	if (t->peeked) {
		t->peeked = false;
		return 1;
	}
	r = take(t, t->block, STORE_TAR_BLOCK, &got, e);
	if (r == 0 && got > 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the archive ends in a header: %" PRIu64 " of %d bytes", got,
			       STORE_TAR_BLOCK);
	return r;
}

int store_tar_drain(struct store_tar *t, struct hr_err *e)
{
	int r;

	while ((r = fill(t, e)) > 0)
		consume(t, t->n);
	return r;
}

/* ---- content ---- */

static uint64_t padding_of(uint64_t size)
{
	return (STORE_TAR_BLOCK - size % STORE_TAR_BLOCK) % STORE_TAR_BLOCK;
}

int store_tar_data(struct store_tar *t, uint64_t *off, const uint8_t **p, size_t *n,
		   struct hr_err *e)
{
	const struct store_tar_piece *piece;
	uint64_t rest;
	int r;

	while (t->piece < t->n_map && t->piece_at == t->map[t->piece].len) {
		t->piece++;
		t->piece_at = 0;
	}
	if (t->piece == t->n_map)
		return 0;
	r = fill(t, e);
	if (r < 0)
		return -1;
	if (r == 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the archive ends in the data of a file: %" PRIu64 " bytes missing",
			       t->left);
	piece = &t->map[t->piece];
	rest = piece->len - t->piece_at;
	*n = t->n < rest ? t->n : (size_t)rest;
	*off = piece->off + t->piece_at;
	*p = t->p;
	t->piece_at += *n;
	t->left -= *n;
	consume(t, *n);
	return 1;
}

/* Pass over what was not read of the last entry. */
static int skip_rest(struct store_tar *t, struct hr_err *e)
{
	if (take_all(t, NULL, t->left, "the data of a file", e) < 0)
		return -1;
	/* the padding of the very last file may be missing: some writers end there */
	uint64_t got;
	int r = take(t, NULL, t->padding, &got, e);

	t->left = t->padding = 0;
	return r < 0 ? -1 : 0;
}

/* Read a special entry of SIZE bytes and its padding. */
static int take_special(struct store_tar *t, uint64_t size, const char *what, struct hr_buf *out,
			struct hr_err *e)
{
	if (size > SPECIAL_MAX)
		return hr_fail(e, HR_CORRUPT, 0, "%s of %" PRIu64 " bytes, at most %u", what, size,
			       SPECIAL_MAX);
	out->len = 0;
	hr_buf_reserve(out, (size_t)size);
	if (take_all(t, out->p, size, what, e) < 0)
		return -1;
	out->len = (size_t)size;
	out->p[out->len] = '\0';
	return take_all(t, NULL, padding_of(size), what, e);
}

/* ---- headers ---- */

static int field(struct store_tar *t, size_t off, size_t len, const char *what, int64_t *out,
		 struct hr_err *e)
{
	if (!store_tar_number(t->block + off, len, out))
		return hr_fail(e, HR_CORRUPT, 0, "its %s is not a number", what);
	return 0;
}

/* The same for what cannot be negative. */
static int positive(struct store_tar *t, size_t off, size_t len, const char *what, uint64_t *out,
		    struct hr_err *e)
{
	int64_t v;

	if (field(t, off, len, what, &v, e) < 0)
		return -1;
	if (v < 0)
		return hr_fail(e, HR_CORRUPT, 0, "its %s is negative", what);
	*out = (uint64_t)v;
	return 0;
}

static void add_field(const struct store_tar *t, size_t off, size_t len, struct hr_buf *out)
{
	const char *s = (const char *)t->block + off;

	hr_buf_add(out, s, strnlen(s, len));
}

static bool is_posix(const struct store_tar *t)
{
	return memcmp(t->block + H_MAGIC, "ustar\0", 6) == 0;
}

static bool is_gnu(const struct store_tar *t)
{
	return memcmp(t->block + H_MAGIC, "ustar  ", 8) == 0;
}

static void set_names(struct store_tar *t, const struct store_tar_pax *pax,
		      struct store_tar_entry *n)
{
	n->path.len = n->target.len = 0;
	if (pax->sparse && pax->name.len > 0) {
		hr_buf_add(&n->path, pax->name.p, pax->name.len);
	} else if (pax->has_path) {
		hr_buf_add(&n->path, pax->path.p, pax->path.len);
	} else if (t->has_long_path) {
		hr_buf_str(&n->path, (const char *)t->long_path.p);
	} else {
		if (is_posix(t) && t->block[345] != '\0') {
			add_field(t, H_PREFIX, &n->path);
			hr_buf_str(&n->path, "/");
		}
		add_field(t, H_NAME, &n->path);
	}
	if (pax->has_target)
		hr_buf_add(&n->target, pax->target.p, pax->target.len);
	else if (t->has_long_target)
		hr_buf_str(&n->target, (const char *)t->long_target.p);
	else
		add_field(t, H_LINK, &n->target);
	hr_buf_add(&n->path, "", 0);
	hr_buf_add(&n->target, "", 0);
}

static uint32_t clamp_id(uint64_t id)
{
	return id >= UINT32_MAX ? 65534 : (uint32_t)id; /* nobody */
}

static int set_owner_and_time(struct store_tar *t, const struct store_tar_pax *pax,
			      struct store_attr *a, struct hr_err *e)
{
	uint64_t mode, uid, gid;

	if (positive(t, H_MODE, "mode", &mode, e) < 0 || positive(t, H_UID, "owner", &uid, e) < 0 ||
	    positive(t, H_GID, "group", &gid, e) < 0 || field(t, H_MTIME, "time", &a->mtime, e) < 0)
		return -1;
	a->mode = (uint32_t)(mode & 07777);
	a->uid = clamp_id(pax->has_uid ? pax->uid : uid);
	a->gid = clamp_id(pax->has_gid ? pax->gid : gid);
	if (pax->has_mtime) {
		a->mtime = pax->mtime;
		a->mtime_ns = pax->mtime_ns;
	}
	return 0;
}

static int set_device(struct store_tar *t, struct store_attr *a, struct hr_err *e)
{
	uint64_t major = 0, minor = 0;

	if ((is_posix(t) || is_gnu(t)) && (positive(t, H_MAJOR, "device", &major, e) < 0 ||
					   positive(t, H_MINOR, "device", &minor, e) < 0))
		return -1;
	if (major > 0xfff || minor > 0xfffff)
		return hr_fail(e, HR_CORRUPT, 0, "device %" PRIu64 ",%" PRIu64 " is out of range",
			       major, minor);
	a->dev = (uint32_t)(major << 20 | minor);
	return 0;
}

/*
 * The file type of a type flag; 0: of a hardlink, or of an entry whose data are no content: GNU's
 * lists of directories, parts of files, old long names and labels, Solaris' headers. POSIX wants
 * all other unknown flags to be read as files.
 */
static uint32_t type_of(uint8_t flag)
{
	static const struct {
		char flag;
		uint32_t type;
	} types[] = {
		{ '0', S_IFREG }, { '\0', S_IFREG }, { '7', S_IFREG },
		{ 'S', S_IFREG }, { '2', S_IFLNK },  { '3', S_IFCHR },
		{ '4', S_IFBLK }, { '5', S_IFDIR },  { '6', S_IFIFO },
	};

	for (size_t i = 0; i < HR_COUNT(types); i++)
		if (types[i].flag == (char)flag)
			return types[i].type;
	return strchr("1DMNVX", flag) ? 0 : S_IFREG;
}

/* ---- sparse files ---- */

static int add_gnu_pieces(struct store_tar *t, const uint8_t *p, size_t n, struct hr_err *e)
{
	for (size_t i = 0; i < n; i++, p += 24) {
		int64_t off, len;

		if (p[0] == '\0')
			return 0; /* the rest is not used */
		if (!store_tar_number(p, 12, &off) || !store_tar_number(p + 12, 12, &len) ||
		    off < 0 || len < 0)
			return hr_fail(e, HR_CORRUPT, 0, "its sparse map is not of numbers");
		if (store_tar_map_add(t, (uint64_t)off, (uint64_t)len, e) < 0)
			return -1;
	}
	return 0;
}

/* Type 'S': four pieces in the header, more in blocks behind it. */
static int read_gnu_map(struct store_tar *t, uint64_t *size, struct hr_err *e)
{
	bool more = t->block[GNU_EXTENDED] != 0;

	if (positive(t, GNU_REAL_SIZE, "size", size, e) < 0 ||
	    add_gnu_pieces(t, t->block + GNU_MAP, 4, e) < 0)
		return -1;
	while (more) {
		uint8_t ext[STORE_TAR_BLOCK];

		if (take_all(t, ext, sizeof(ext), "a sparse map", e) < 0 ||
		    add_gnu_pieces(t, ext, EXT_PIECES, e) < 0)
			return -1;
		more = ext[EXT_EXTENDED] != 0;
	}
	return 0;
}

/* Format 0.1: "off,len,off,len". */
static int read_map_text(struct store_tar *t, struct store_string map, struct hr_err *e)
{
	const char *p = map.p, *end = map.p + map.len;
	uint64_t pair[2];

	for (unsigned int i = 0; p < end; i++) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		if (!store_tar_decimal(p, (size_t)(stop - p), &pair[i % 2]))
			return hr_fail(e, HR_CORRUPT, 0, "its sparse map is not of numbers");
		if (i % 2 && store_tar_map_add(t, pair[0], pair[1], e) < 0)
			return -1;
		if (!comma && i % 2 == 0)
			return hr_fail(e, HR_CORRUPT, 0, "its sparse map ends in a pair");
		p = stop + 1;
	}
	return 0;
}

/* One line of format 1.0 out of the data area. */
static int take_line(struct store_tar *t, uint64_t *out, struct hr_err *e)
{
	char line[24];
	size_t n = 0;

	for (;;) {
		if (t->left == 0)
			return hr_fail(e, HR_CORRUPT, 0, "its sparse map has no end");
		if (take_all(t, &line[n], 1, "a sparse map", e) < 0)
			return -1;
		t->left--;
		if (line[n] == '\n')
			break;
		if (++n == sizeof(line))
			return hr_fail(e, HR_CORRUPT, 0, "its sparse map is not of numbers");
	}
	if (!store_tar_decimal(line, n, out))
		return hr_fail(e, HR_CORRUPT, 0, "its sparse map is not of numbers");
	return 0;
}

/* Format 1.0: the map stands in front of the data, in lines, padded to a block. */
static int read_map_1_0(struct store_tar *t, struct hr_err *e)
{
	uint64_t stored = t->left, pieces, off, len, pad;

	if (take_line(t, &pieces, e) < 0)
		return -1;
	for (uint64_t i = 0; i < pieces; i++)
		if (take_line(t, &off, e) < 0 || take_line(t, &len, e) < 0 ||
		    store_tar_map_add(t, off, len, e) < 0)
			return -1;
	pad = padding_of(stored - t->left);
	if (pad > t->left)
		return hr_fail(e, HR_CORRUPT, 0, "its sparse map has no end");
	t->left -= pad;
	return take_all(t, NULL, pad, "a sparse map", e);
}

/* Fill t->map for a regular file of the stored size t->left; its real size into *size. */
static int set_map(struct store_tar *t, const struct store_tar_pax *pax, uint64_t *size,
		   struct hr_err *e)
{
	if (t->block[H_TYPE] == 'S') {
		if (pax->sparse)
			return hr_fail(e, HR_CORRUPT, 0, "it is sparse in two ways");
		return read_gnu_map(t, size, e) < 0 ? -1
						    : store_tar_map_check(t, *size, t->left, e);
	}
	if (!pax->sparse) {
		*size = t->left;
		return t->left ? store_tar_map_add(t, 0, t->left, e) : 0;
	}
	if (!pax->has_real_size)
		return hr_fail(e, HR_CORRUPT, 0, "it is sparse and has no size");
	*size = pax->real_size;
	if (pax->major > 1 || pax->minor > (pax->major ? 0 : 1))
		return hr_fail(e, HR_CORRUPT, 0, "sparse format %u.%u is not known", pax->major,
			       pax->minor);
	if (pax->major == 1 ? read_map_1_0(t, e) < 0
			    : pax->map.len > 0 && read_map_text(t, pax->map, e) < 0)
		return -1;
	return store_tar_map_check(t, *size, t->left, e);
}

/* ---- entries ---- */

/*
 * Entries other than files have no data, whatever their size says; yet some writers put data behind
 * hardlinks. If what follows is no header, it is such data, and is passed over.
 */
static int skip_unexpected_data(struct store_tar *t, uint64_t size, struct hr_err *e)
{
	int r = take_block(t, e);

	if (r <= 0)
		return r;
	if (store_tar_block_is_zero(t->block) || store_tar_header_is_valid(t->block)) {
		t->peeked = true;
		return 0;
	}
	size += padding_of(size); /* at most 2^63: no overflow */
	return take_all(t, NULL, size - STORE_TAR_BLOCK, "the data of a link", e);
}

static int finish_entry(struct store_tar *t, const struct store_tar_pax *pax, size_t n_xattrs,
			struct store_tar_entry *n, struct hr_err *e)
{
	uint8_t flag = t->block[H_TYPE];
	uint32_t type = type_of(flag);
	uint64_t size;

	memset(&n->attr, 0, sizeof(n->attr));
	n->hardlink = flag == '1';
	n->xattrs = t->xattrs;
	n->n_xattrs = n_xattrs;
	set_names(t, pax, n);
	if (!n->hardlink && type == 0)
		return hr_fail(e, HR_CORRUPT, 0, "type '%c' is not known",
			       flag >= 0x20 && flag < 0x7f ? flag : '?');
	/* V7 had no directories but by name */
	if (flag == '\0' && n->path.len > 0 && n->path.p[n->path.len - 1] == '/')
		type = S_IFDIR;
	if (positive(t, H_SIZE, "size", &size, e) < 0 ||
	    set_owner_and_time(t, pax, &n->attr, e) < 0)
		return -1;
	if (pax->has_size)
		size = pax->size;
	if (size > INT64_MAX - STORE_TAR_BLOCK)
		return hr_fail(e, HR_CORRUPT, 0, "its size is 2^63 or more");
	if ((type == S_IFCHR || type == S_IFBLK) && set_device(t, &n->attr, e) < 0)
		return -1;
	n->attr.mode = n->hardlink ? 0 : n->attr.mode | type;
	if (type == S_IFREG && !n->hardlink) {
		t->left = size;
		t->padding = padding_of(size);
		return set_map(t, pax, &n->attr.size, e);
	}
	if (type == S_IFLNK)
		n->attr.size = n->target.len;
	return size > 0 ? skip_unexpected_data(t, size, e) : 0;
}

/* Headers that speak of the next entry. 1: it was one; 0: it is an entry. */
static int take_special_header(struct store_tar *t, struct hr_err *e)
{
	uint8_t flag = t->block[H_TYPE];
	uint64_t size;

	if (flag != 'x' && flag != 'g' && flag != 'L' && flag != 'K')
		return 0;
	if (positive(t, H_SIZE, "size", &size, e) < 0)
		return -1;
	switch (flag) {
	case 'x':
		if (t->has_pax)
			return hr_fail(e, HR_CORRUPT, 0, "two pax headers for one entry");
		t->has_pax = true;
		return take_special(t, size, "a pax header", &t->pax, e) < 0 ? -1 : 1;
	case 'L':
		t->has_long_path = true;
		return take_special(t, size, "a long name", &t->long_path, e) < 0 ? -1 : 1;
	case 'K':
		t->has_long_target = true;
		return take_special(t, size, "a long target", &t->long_target, e) < 0 ? -1 : 1;
	default: {
		/* global headers tell of commits and the like; layers give them no meaning */
		hr_autobuf struct hr_buf global = { 0 };

		return take_special(t, size, "a global header", &global, e) < 0 ? -1 : 1;
	}
	}
}

/* The end of the archive: the end of the stream, or two blocks of zeros, or one and the end. */
static int at_end(struct store_tar *t, int r, struct hr_err *e)
{
	if (t->has_pax || t->has_long_path || t->has_long_target)
		return hr_fail(e, HR_CORRUPT, 0, "the archive ends between a header and its entry");
	if (r == 0)
		return 0;
	r = take_block(t, e);
	if (r < 0)
		return -1;
	if (r > 0 && !store_tar_block_is_zero(t->block))
		return hr_fail(e, HR_CORRUPT, 0, "one block of zeros between entries");
	return 0;
}

static int next_entry(struct store_tar *t, struct store_tar_entry *n, struct hr_err *e)
{
	struct store_tar_pax pax = { 0 };
	size_t n_xattrs = 0;
	int r;

	do {
		r = take_block(t, e);
		if (r < 0)
			return -1;
		if (r == 0 || store_tar_block_is_zero(t->block))
			return at_end(t, r, e);
		if (!store_tar_header_is_valid(t->block))
			return hr_fail(e, HR_CORRUPT, 0, "a header with a wrong check sum");
		r = take_special_header(t, e);
	} while (r > 0);
	if (r < 0 ||
	    (t->has_pax && store_tar_pax_parse(t, t->pax.p, t->pax.len, &pax, &n_xattrs, e) < 0))
		return -1;
	if (finish_entry(t, &pax, n_xattrs, n, e) < 0)
		return -1;
	t->has_pax = t->has_long_path = t->has_long_target = false;
	return 1;
}

int store_tar_next(struct store_tar *t, struct store_tar_entry *n, struct hr_err *e)
{
	uint64_t at;
	int r;

	if (skip_rest(t, e) < 0)
		return -1;
	at = t->at - (t->peeked ? STORE_TAR_BLOCK : 0);
	t->n_map = t->piece = 0;
	t->piece_at = 0;
	r = next_entry(t, n, e);
	if (r < 0 && e->kind == HR_CORRUPT)
		hr_wrap(e, "tar entry at %" PRIu64, at);
	return r;
}

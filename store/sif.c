/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sif.h"

#include <inttypes.h>
#include <string.h>

#include "store/sif_format.h"
#include "util/le.h"
#include "util/mem.h"
#include "util/poison.h"

static const char *const arches[] = SIF_ARCHES;

bool store_sif_is(const uint8_t *p, size_t n)
{
	return n >= SIF_H_VERSION && memcmp(p + SIF_H_MAGIC, SIF_MAGIC, sizeof(SIF_MAGIC)) == 0;
}

/* Whether a span lies within a file; places are signed in the format, so they end below 2^63. */
static bool inside(const struct store_sif_span *s, uint64_t file_bytes)
{
	uint64_t end;

	return hr_add(s->off, s->len, &end) && end <= file_bytes && end <= INT64_MAX;
}

int store_sif_table(const uint8_t *p, size_t n, uint64_t file_bytes, struct store_sif_span *out,
		    struct hr_err *e)
{
	struct store_sif_span table;
	uint64_t total;

	if (n < STORE_SIF_HEADER_BYTES || !store_sif_is(p, n))
		return hr_fail(e, HR_CORRUPT, 0, "no SIF file: its header has no SIF_MAGIC");
	if (memcmp(p + SIF_H_VERSION, SIF_VERSION, sizeof(SIF_VERSION)) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "a SIF file of another version than " SIF_VERSION);
	total = hr_le64(p + SIF_H_TOTAL);
	table.off = hr_le64(p + SIF_H_TABLE_OFF);
	table.len = hr_le64(p + SIF_H_TABLE_LEN);
	if (total == 0 || total > STORE_SIF_DESCRIPTORS_MAX)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the SIF header counts %" PRIu64 " descriptors, expected 1 to %d",
			       total, STORE_SIF_DESCRIPTORS_MAX);
	/* the length is that of the space, which may be larger */
	if (table.len < total * STORE_SIF_DESCRIPTOR_BYTES)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the SIF header gives %" PRIu64 " descriptors %" PRIu64 " bytes",
			       total, table.len);
	table.len = total * STORE_SIF_DESCRIPTOR_BYTES;
	if (table.off < STORE_SIF_HEADER_BYTES || !inside(&table, file_bytes))
		return hr_fail(e, HR_CORRUPT, 0,
			       "the SIF header puts the descriptors at %" PRIu64
			       ", outside of the file (%" PRIu64 " bytes)",
			       table.off, file_bytes);
	*out = table;
	return 0;
}

static int check_fs(const uint8_t *d, struct hr_err *e)
{
	static const char *const names[] = { "?",	   "squashfs", "ext3",
					     "an archive", "raw data", "encrypted" };
	uint32_t fs = hr_le32(d + SIF_D_FS);

	if (fs == SIF_FS_SQUASHFS)
		return 0;
	if (fs == SIF_FS_ENCRYPTED) {
		hr_hint(e, "build it without --encrypt; hpcrun has no use for its key");
		return hr_fail(e, HR_USAGE, 0, "the SIF file is encrypted");
	}
	hr_hint(e, "convert it with 'apptainer build new.sif old.sif'");
	return hr_fail(e, HR_USAGE, 0, "the primary partition of the SIF file is %s, not squashfs",
		       fs < HR_COUNT(names) && fs > 0 ? names[fs] : "of an unknown type");
}

static int check_arch(const uint8_t *d, const char *arch, struct hr_err *e)
{
	const uint8_t *a = d + SIF_D_ARCH;
	unsigned int number;
	const char *name;

	if (a[0] < '0' || a[0] > '9' || a[1] < '0' || a[1] > '9' || a[2] != '\0')
		return hr_fail(e, HR_CORRUPT, 0, "the SIF file names no architecture");
	number = (unsigned int)(a[0] - '0') * 10 + (unsigned int)(a[1] - '0');
	name = number < HR_COUNT(arches) ? arches[number] : "of an unknown number";
	if (strcmp(name, arch) != 0)
		return hr_fail(e, HR_USAGE, 0, "the SIF file is for %s, this machine is %s", name,
			       arch);
	return 0;
}

static bool is_primary(const uint8_t *d)
{
	return d[SIF_D_USED] != 0 && hr_le32(d + SIF_D_TYPE) == SIF_TYPE_PARTITION &&
	       hr_le32(d + SIF_D_PART) == SIF_PART_PRIMARY;
}

int store_sif_find(const uint8_t *p, size_t n, uint64_t file_bytes, const char *arch,
		   struct store_sif_span *out, struct hr_err *e)
{
	const uint8_t *primary = NULL;
	struct store_sif_span span = { 0 };

	for (size_t i = 0; i < n / STORE_SIF_DESCRIPTOR_BYTES; i++) {
		const uint8_t *d = p + i * STORE_SIF_DESCRIPTOR_BYTES;

		if (!is_primary(d))
			continue;
		if (primary)
			return hr_fail(e, HR_CORRUPT, 0,
				       "the SIF file has two primary system partitions");
		primary = d;
	}
	if (!primary)
		return hr_fail(e, HR_CORRUPT, 0, "the SIF file has no primary system partition");
	span.off = hr_le64(primary + SIF_D_OFF);
	span.len = hr_le64(primary + SIF_D_LEN);
	if (span.off < STORE_SIF_HEADER_BYTES || span.len == 0 || !inside(&span, file_bytes))
		return hr_fail(e, HR_CORRUPT, 0,
			       "the SIF file puts its partition of %" PRIu64 " bytes at %" PRIu64
			       ", the file has %" PRIu64,
			       span.len, span.off, file_bytes);
	if (check_fs(primary, e) < 0 || check_arch(primary, arch, e) < 0)
		return -1;
	*out = span;
	return 0;
}

/* ---- what is in one ---- */

int store_sif_object_get(const uint8_t *p, size_t n, uint64_t file_bytes, size_t i,
			 struct store_sif_object *out, struct hr_err *e)
{
	const uint8_t *d = p + i * STORE_SIF_DESCRIPTOR_BYTES;
	struct store_sif_object o = { 0 };
	uint32_t link;

	if (i >= n / STORE_SIF_DESCRIPTOR_BYTES || d[SIF_D_USED] == 0)
		return 0;
	o.type = hr_le32(d + SIF_D_TYPE);
	o.id = hr_le32(d + SIF_D_ID);
	o.group = hr_le32(d + SIF_D_GROUP) & ~SIF_GROUP_NONE;
	o.at = (struct store_sif_span) { hr_le64(d + SIF_D_OFF), hr_le64(d + SIF_D_LEN) };
	if (!inside(&o.at, file_bytes))
		return hr_fail(e, HR_CORRUPT, 0,
			       "object %" PRIu32 " of the SIF file, %" PRIu64 " bytes at %" PRIu64
			       ", lies outside of it (%" PRIu64 " bytes)",
			       o.id, o.at.len, o.at.off, file_bytes);
	memcpy(o.name, d + SIF_D_NAME, sizeof(o.name) - 1);
	o.primary = is_primary(d);
	if (o.type == SIF_TYPE_SIGNATURE) {
		link = hr_le32(d + SIF_D_LINK);
		if ((link & SIF_GROUP_NONE) == SIF_GROUP_NONE)
			o.of_group = link & ~SIF_GROUP_NONE;
		else
			o.of_object = link;
		o.hash = hr_le32(d + SIF_D_HASH);
		memcpy(o.key, d + SIF_D_KEY, sizeof(o.key));
	}
	*out = o;
	return 1;
}

bool store_sif_signs(const struct store_sif_object *signature, const struct store_sif_object *o)
{
	return signature->type == SIF_TYPE_SIGNATURE && o->type != SIF_TYPE_SIGNATURE &&
	       ((signature->of_object != 0 && signature->of_object == o->id) ||
		(signature->of_group != 0 && signature->of_group == o->group));
}

const char *store_sif_type_name(const struct store_sif_object *o)
{
	static const char *const names[] = {
		"definition", "environment",	"labels",  "partition",
		"signature",  "JSON",		"data",	   "cryptographic message",
		"SBOM",	      "OCI root index", "OCI blob"
	};
	uint32_t i = o->type - SIF_TYPE_FIRST;

	return i < HR_COUNT(names) ? names[i] : "unknown";
}

const char *store_sif_hash_name(const struct store_sif_object *signature)
{
	static const char *const names[] = { "sha256", "sha384", "sha512", "blake2s", "blake2b" };

	return signature->hash - 1 < HR_COUNT(names) ? names[signature->hash - 1] : "unknown";
}

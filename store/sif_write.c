/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/sif_write.h"

#include <string.h>

#include "store/sif.h"
#include "store/sif_format.h"
#include "util/le.h"
#include "util/poison.h"

#define DESCRIPTORS 48 /* as many as Apptainer leaves room for */

static const char *const arches[] = SIF_ARCHES;

static void put_arch(uint8_t *at, const char *arch)
{
	size_t n = 0;

	for (size_t i = 1; i < HR_COUNT(arches); i++)
		if (strcmp(arches[i], arch) == 0)
			n = i;
	at[0] = (uint8_t)('0' + n / 10);
	at[1] = (uint8_t)('0' + n % 10);
}

void store_sif_write(uint64_t partition_bytes, const char *arch, int64_t now,
		     const uint8_t uuid[16], struct hr_buf *out)
{
	uint8_t h[STORE_SIF_HEADER_BYTES] = { 0 }, d[STORE_SIF_DESCRIPTOR_BYTES] = { 0 };
	size_t begin = out->len;

	memcpy(h + SIF_H_LAUNCH, SIF_LAUNCH, sizeof(SIF_LAUNCH));
	memcpy(h + SIF_H_MAGIC, SIF_MAGIC, sizeof(SIF_MAGIC));
	memcpy(h + SIF_H_VERSION, SIF_VERSION, sizeof(SIF_VERSION));
	put_arch(h + SIF_H_ARCH, arch);
	memcpy(h + SIF_H_UUID, uuid, 16);
	hr_le64_put(h + SIF_H_CREATED, (uint64_t)now);
	hr_le64_put(h + SIF_H_MODIFIED, (uint64_t)now);
	hr_le64_put(h + SIF_H_FREE, DESCRIPTORS - 1);
	hr_le64_put(h + SIF_H_TOTAL, DESCRIPTORS);
	hr_le64_put(h + SIF_H_TABLE_OFF, sizeof(h));
	hr_le64_put(h + SIF_H_TABLE_LEN, (uint64_t)DESCRIPTORS * sizeof(d));
	hr_le64_put(h + SIF_H_DATA_OFF, STORE_SIF_DATA_OFF);
	hr_le64_put(h + SIF_H_DATA_LEN, partition_bytes);
	hr_le32_put(d + SIF_D_TYPE, SIF_TYPE_PARTITION);
	d[SIF_D_USED] = 1;
	hr_le32_put(d + SIF_D_ID, 1);
	hr_le32_put(d + SIF_D_GROUP, SIF_GROUP_ONE);
	hr_le64_put(d + SIF_D_OFF, STORE_SIF_DATA_OFF);
	hr_le64_put(d + SIF_D_LEN, partition_bytes);
	hr_le64_put(d + SIF_D_LEN_PADDED, partition_bytes);
	hr_le64_put(d + SIF_D_CREATED, (uint64_t)now);
	hr_le64_put(d + SIF_D_MODIFIED, (uint64_t)now);
	memcpy(d + SIF_D_NAME, "squashfs", sizeof("squashfs"));
	hr_le32_put(d + SIF_D_FS, SIF_FS_SQUASHFS);
	hr_le32_put(d + SIF_D_PART, SIF_PART_PRIMARY);
	put_arch(d + SIF_D_ARCH, arch);
	hr_buf_reserve(out, STORE_SIF_DATA_OFF);
	hr_buf_add(out, h, sizeof(h));
	hr_buf_add(out, d, sizeof(d));
	memset(out->p + out->len, 0, begin + STORE_SIF_DATA_OFF - out->len);
	out->len = begin + STORE_SIF_DATA_OFF;
}

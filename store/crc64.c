/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/store.h"

#include <isa-l.h>

#include "util/poison.h"

uint64_t store_crc64(const void *p, size_t n)
{
	return crc64_ecma_refl(0, p, n);
}

uint64_t store_crc64_add(uint64_t crc, const void *p, size_t n)
{
	return crc64_ecma_refl(crc, p, n);
}

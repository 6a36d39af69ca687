/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/size.h"

#include <inttypes.h>
#include <stdio.h>

#include "util/err.h"
#include "util/poison.h"

char *store_size_text(uint64_t bytes, char buf[STORE_SIZE_TEXT])
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		snprintf(buf, STORE_SIZE_TEXT, "%" PRIu64 " B", bytes);
		return buf;
	}
	/* what would be rounded to 1000 is 1 of the next unit */
	for (; value >= 999.5 && unit + 1 < HR_COUNT(units); unit++)
		value /= 1000;
	snprintf(buf, STORE_SIZE_TEXT, "%.*f %s",
		 value < 9.995	 ? 2
		 : value < 99.95 ? 1
				 : 0,
		 value, units[unit]);
	return buf;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/boot.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/poison.h"

bool hr_boot_id(char id[HR_BOOT_ID + 1])
{
	hr_autofd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(id, 0, HR_BOOT_ID + 1);
	if (fd >= 0 && read(fd, id, HR_BOOT_ID) == HR_BOOT_ID &&
	    strspn(id, "0123456789abcdef-") == HR_BOOT_ID)
		return true;
	memset(id, 0, HR_BOOT_ID + 1);
	return false;
}

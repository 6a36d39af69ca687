/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/boot.h"
#include "util/buf.h"
#include "util/io.h"
#include "util/poison.h"

#define BOOT_DIGITS 16

/* The first digits of the boot id; false and zeros where it is hidden, as on other hosts then. */
static bool boot_digits(char out[BOOT_DIGITS + 1])
{
	char id[HR_BOOT_ID + 1];
	bool known = hr_boot_id(id);
	size_t n = 0;

	for (const char *p = id; *p && n < BOOT_DIGITS; p++)
		if (*p != '-')
			out[n++] = *p;
	memset(out + n, '0', BOOT_DIGITS - n);
	out[BOOT_DIGITS] = '\0';
	return known;
}

/* The inode number of our pid namespace: pids mean nothing in another one. */
static unsigned int pid_namespace(void)
{
	struct stat sb;

	return stat("/proc/self/ns/pid", &sb) == 0 ? (unsigned int)sb.st_ino : 0;
}

/*
 * When PID was started, in ticks since boot: field 22 of proc(5) stat. 0: unknown. A zombie has
 * done all it will ever do: 1, when no process was started.
 */
static unsigned long long start_time(int pid)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_err none = { 0 };
	unsigned long long start = 0;
	char path[64];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (hr_file_read(AT_FDCWD, path, 4096, &b, &none) < 0)
		return 0;
	p = strrchr((const char *)b.p, ')'); /* the name before it may hold anything */
	if (p && (strncmp(p, ") Z", 3) == 0 || strncmp(p, ") X", 3) == 0))
		return 1;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p && sscanf(p, " %llu", &start) != 1)
		return 0;
	return start;
}

static char own_name[STORE_PROCESS_NAME]; /* looked up once: each file in tmp/ begins with it */

static void look_up_own_name(void)
{
	char boot[BOOT_DIGITS + 1];

	boot_digits(boot);
	snprintf(own_name, sizeof(own_name), "%s-%u-%d-%llu", boot, pid_namespace(), (int)getpid(),
		 start_time(getpid()));
}

void store_process_name(char buf[STORE_PROCESS_NAME])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, look_up_own_name);
	memcpy(buf, own_name, sizeof(own_name));
}

enum store_process_state store_process_state(const char *name)
{
	char boot[BOOT_DIGITS + 1], theirs[BOOT_DIGITS + 1];
	unsigned int ns;
	unsigned long long start, now;
	int pid;

	if (sscanf(name, "%16[0-9a-f]-%u-%d-%llu", theirs, &ns, &pid, &start) != 4 || pid <= 0)
		return STORE_PROCESS_UNKNOWN;
	if (!boot_digits(boot) || strcmp(boot, theirs) != 0 || ns != pid_namespace())
		return STORE_PROCESS_UNKNOWN;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return STORE_PROCESS_GONE;
	now = start_time(pid);
	return now != 0 && start != 0 && now != start ? STORE_PROCESS_GONE : STORE_PROCESS_ALIVE;
}

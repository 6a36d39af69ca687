/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/poison.h"

static const struct flock whole_file = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

static int map(int fd, struct hr_stats **out, struct hr_err *e)
{
	void *p = mmap(NULL, sizeof(**out), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return hr_fail(e, HR_SYS, errno, "cannot map the counters of the session");
	*out = p;
	return 0;
}

int hr_stats_create(int fd, struct hr_stats **out, struct hr_err *e)
{
	struct flock lock = whole_file;
	int r = posix_fallocate(fd, 0, sizeof(**out));

	if (r != 0)
		return hr_fail(e, HR_SYS, r, "no room for the counters of the session");
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot lock the counters of the session");
	if (map(fd, out, e) < 0)
		return -1;
	(*out)->version = HR_STATS_VERSION;
	(*out)->magic = HR_STATS_MAGIC;
	return 0;
}

static int check(const struct hr_stats *s, uint64_t bytes, struct hr_err *e)
{
	if (bytes != sizeof(*s))
		return hr_fail(e, HR_CORRUPT, 0,
			       "the counters of a session are %zu bytes, expected %zu",
			       (size_t)bytes, sizeof(*s));
	if (s->magic != HR_STATS_MAGIC || s->version != HR_STATS_VERSION)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the counters of a session are of version %u, expected %u",
			       s->version, HR_STATS_VERSION);
	return 0;
}

int hr_stats_map(int fd, struct hr_stats **out, struct hr_err *e)
{
	struct hr_stats *s;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot look at the counters of the session");
	if ((uint64_t)st.st_size != sizeof(*s)) /* before memory behind the end is touched */
		return check(NULL, (uint64_t)st.st_size, e);
	if (map(fd, &s, e) < 0)
		return -1;
	if (check(s, sizeof(*s), e) < 0) {
		munmap(s, sizeof(*s));
		return -1;
	}
	*out = s;
	return 0;
}

static bool ends(const char *text, size_t n)
{
	return memchr(text, '\0', n) != NULL;
}

int hr_stats_parse(const uint8_t *p, size_t n, struct hr_stats *out, struct hr_err *e)
{
	bool fine;

	if (n == sizeof(*out))
		memcpy(out, p, n);
	if (check(out, n, e) < 0)
		return -1;
	fine = out->steps_n <= HR_STATS_STEPS && out->origins_n <= HR_STATS_ORIGINS &&
	       out->state <= HR_SESSION_ENDED && ends(out->image, sizeof(out->image)) &&
	       ends(out->manifest, sizeof(out->manifest)) &&
	       ends(out->program, sizeof(out->program)) && ends(out->node, sizeof(out->node)) &&
	       ends(out->job, sizeof(out->job)) && ends(out->step, sizeof(out->step));
	for (size_t i = 0; fine && i < out->steps_n; i++)
		fine = ends(out->steps[i].name, sizeof(out->steps[i].name));
	for (size_t i = 0; fine && i < out->origins_n; i++)
		fine = ends(out->origins[i].name, sizeof(out->origins[i].name));
	if (!fine)
		return hr_fail(e, HR_CORRUPT, 0,
			       "the counters of a session have a count or a text without an end");
	return 0;
}

bool hr_stats_in_use(int fd)
{
	struct flock lock = whole_file;

	/* asks, and takes nothing: a reader must not be in the way of a session that starts */
	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

void hr_stats_max(uint64_t *value, uint64_t n)
{
	uint64_t old = __atomic_load_n(value, __ATOMIC_RELAXED);

	while (n > old && !__atomic_compare_exchange_n(value, &old, n, true, __ATOMIC_RELAXED,
						       __ATOMIC_RELAXED))
		;
}

void hr_stats_text(char *member, size_t n, const char *text)
{
	snprintf(member, n, "%s", text);
}

struct hr_stats_origin *hr_stats_origin(struct hr_stats *s, const char *name)
{
	char text[sizeof(s->origins[0].name)];
	uint32_t i = 0;

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(name, "?"), name);
	while (i < s->origins_n && strcmp(s->origins[i].name, text) != 0)
		i++;
	if (i == HR_STATS_ORIGINS)
		return &s->origins[i - 1];
	if (i == s->origins_n) {
		hr_stats_text(s->origins[i].name, sizeof(text), text);
		__atomic_store_n(&s->origins_n, i + 1, __ATOMIC_RELEASE);
	}
	return &s->origins[i];
}

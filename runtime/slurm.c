/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/slurm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define COUNT_MAX 1048576u

/* Digits at *P as a number from 1 to COUNT_MAX; *P moves behind them. */
static bool take_count(const char **p, uint32_t *out)
{
	uint32_t v = 0;
	const char *start = *p;

	for (; **p >= '0' && **p <= '9'; (*p)++) {
		v = v * 10 + (uint32_t)(**p - '0');
		if (v > COUNT_MAX)
			return false;
	}
	*out = v;
	return *p != start && v > 0;
}

static bool take_repetition(const char **p, uint32_t *out)
{
	*out = 1;
	if (**p != '(')
		return true;
	if ((*p)[1] != 'x')
		return false;
	*p += 2;
	if (!take_count(p, out) || **p != ')')
		return false;
	(*p)++;
	return true;
}

int rt_slurm_tasks(const char *list, uint64_t node, uint32_t *out, struct hr_err *e)
{
	uint32_t tasks, times, found = 0;
	uint64_t before = 0;
	const char *p = list;

	for (;;) {
		if (!take_count(&p, &tasks) || !take_repetition(&p, &times) ||
		    (*p != ',' && *p != '\0'))
			return hr_fail(e, HR_CORRUPT, 0,
				       "task list is not of the form '4(x2),3' at byte %zu",
				       (size_t)(p - list));
		if (node >= before && node - before < times)
			found = tasks;
		before += times; /* at most strlen(list) times 2^20: no overflow */
		if (*p == '\0')
			break;
		p++;
	}
	if (found == 0)
		return hr_fail(e, HR_CORRUPT, 0,
			       "node %" PRIu64 " of a task list for %" PRIu64 " nodes", node,
			       before);
	*out = found;
	return 0;
}

/* Whether WORD is among the N bytes at LIST, which commas separate. */
static bool has_word(const char *list, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (const char *end = list + n; list <= end; list += strcspn(list, ",:") + 1)
		if ((size_t)(end - list) >= len && memcmp(list, word, len) == 0 &&
		    (list + len == end || list[len] == ','))
			return true;
	return false;
}

/* "6:freezer:/slurm_node/uid_1/job_2/step_3": PATH and what follows it. */
static bool is_step(const char *path)
{
	const char *job = strstr(path, "/job_"), *end = path + strcspn(path, "\n"), *step;

	step = job && job < end ? strstr(job, "/step_") : NULL;
	return step && step < end;
}

bool rt_slurm_tracks(const char *text)
{
	while (*text) {
		const char *list = strchr(text, ':'), *path = list ? strchr(list + 1, ':') : NULL;
		bool one = list && list - text == 1 && text[0] == '0';

		if (!path)
			return false;
		list++;
		if ((one || has_word(list, (size_t)(path - list), "freezer")) && is_step(path))
			return true;
		text = path + strcspn(path, "\n");
		text += *text == '\n';
	}
	return false;
}

uint32_t rt_slurm_ranks_here(void)
{
	const char *list = getenv("SLURM_STEP_TASKS_PER_NODE");
	const char *node = getenv("SLURM_NODEID");
	struct hr_err e = { 0 };
	uint64_t index;
	uint32_t n;

	if (!list || !node || !getenv("SLURM_STEP_ID"))
		return 0;
	if (hr_parse_u64(node, "SLURM_NODEID", 0, UINT32_MAX, &index, &e) < 0 ||
	    rt_slurm_tasks(list, index, &n, &e) < 0) {
		/* not knowing costs a linger time at the end, nothing else */
		hr_debug("number of ranks unknown: %s", e.text);
		return 0;
	}
	return n;
}

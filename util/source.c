/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/source.h"

#include <stdbool.h>
#include <string.h>

#include "util/err.h"
#include "util/poison.h"

static const struct {
	const char *text;
	enum hr_source source;
} beginnings[] = {
	{ "/", HR_SOURCE_FILE },      { "./", HR_SOURCE_FILE },	     { "../", HR_SOURCE_FILE },
	{ "http://", HR_SOURCE_URL }, { "https://", HR_SOURCE_URL },
};
static const char *const endings[] = { ".sif", ".simg", ".sqfs", ".squashfs", ".sqsh" };

enum hr_source hr_source_of(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < HR_COUNT(beginnings); i++)
		if (strncmp(name, beginnings[i].text, strlen(beginnings[i].text)) == 0)
			return beginnings[i].source;
	if (strstr(name, "://"))
		return HR_SOURCE_REF; /* docker:// and what else a reference may say */
	for (size_t i = 0; i < HR_COUNT(endings); i++)
		if (n > strlen(endings[i]) &&
		    strcmp(name + n - strlen(endings[i]), endings[i]) == 0)
			return HR_SOURCE_FILE;
	return HR_SOURCE_REF;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/optsrc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define NAMES_MAX 128

extern char **environ;

static char in_variable(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	return c == '-' ? '_' : c;
}

static char *variable_of(const struct hr_cmd *cmd, const char *option)
{
	char *name = hr_xasprintf("%s%s", cmd->env_prefix, option);

	for (char *p = name + strlen(cmd->env_prefix); *p; p++)
		*p = in_variable(*p);
	return name;
}

/*
 * What of the environment has the prefix, without it. Each rank looks for some 60 variables, of
 * which it has one or two: so most need not be looked for in all of a job's.
 */
static struct hr_strv prefixed(const struct hr_cmd *cmd)
{
	size_t prefix = strlen(cmd->env_prefix);
	struct hr_strv l = { 0 };

	for (char **v = environ; *v; v++)
		if (strncmp(*v, cmd->env_prefix, prefix) == 0)
			hr_strv_add(&l, *v + prefix);
	return l;
}

/* Whether one of those is the variable of the option. */
static bool is_set(const struct hr_strv *l, const char *option)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *v = l->v[i], *o = option;

		while (*o && *v == in_variable(*o))
			v++, o++;
		if (*o == '\0' && *v == '=')
			return true;
	}
	return false;
}

static bool in_list(const char *const *l, const char *word)
{
	for (; l && *l; l++)
		if (strcmp(*l, word) == 0)
			return true;
	return false;
}

/* Lists are one value a line if there are several lines, else separated by commas. */
static int set_list(const struct hr_opt *o, void *args, const char *text, const char *variable,
		    struct hr_err *e)
{
	const char *separator = strchr(text, '\n') ? "\n" : ",";
	char *next;

	while ((next = hr_next_word(&text, separator))) {
		hr_autofree char *one = next;

		if (hr_opt_set(o, args, one, variable, e) < 0)
			return -1;
	}
	return 0;
}

static int set_count(const struct hr_opt *o, void *args, const char *text, const char *variable,
		     struct hr_err *e)
{
	uint64_t n;

	if (hr_parse_u64(text, variable, 0, 9, &n, e) < 0)
		return -1;
	for (; n > 0; n--)
		if (hr_opt_set(o, args, NULL, variable, e) < 0)
			return -1;
	return 0;
}

/* An empty variable says nothing. */
static int set_from_variable(const struct hr_cmd *cmd, const struct hr_opt *o, void *args,
			     struct hr_err *e)
{
	hr_autofree char *variable = variable_of(cmd, o->name);
	const char *value = getenv(variable);

	if (!value || value[0] == '\0')
		return 0;
	if (o->kind == HR_OPT_KIND_LIST)
		return set_list(o, args, value, variable, e);
	if (o->kind == HR_OPT_KIND_COUNT)
		return set_count(o, args, value, variable, e);
	return hr_opt_set(o, args, value, variable, e);
}

static int load_variables(const struct hr_cmd *cmd, const struct hr_strv *known, void *args,
			  struct hr_err *e)
{
	const struct hr_opt *o;

	for (size_t i = 0; (o = hr_opt_at(cmd, i)); i++)
		if (is_set(known, o->name) && !in_list(cmd->env_own, o->name) &&
		    strcmp(o->name, HR_OPTSRC_FILE) != 0 && set_from_variable(cmd, o, args, e) < 0)
			return -1;
	return 0;
}

/* ---- files ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static char *skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static void cut_end(char *line)
{
	size_t n = strlen(line);

	while (n > 0 && is_blank(line[n - 1]))
		line[--n] = '\0';
}

static size_t name_length(const char *p)
{
	return strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-");
}

/* "-n VALUE", "-nVALUE" */
static void take_letter(char *p, char letter[2], struct hr_optsrc_line *out)
{
	letter[0] = p[1];
	letter[1] = '\0';
	p = skip_blanks(p + 2);
	out->name = letter;
	out->value = *p ? p : NULL;
}

/* "--name VALUE", "--name=VALUE", "name = VALUE" */
static int take_name(char *p, bool typed, struct hr_optsrc_line *out, struct hr_err *e)
{
	size_t len = name_length(p);
	char *rest = p + len;
	char *value = typed ? rest : skip_blanks(rest);

	if (len < 2 || p[0] == '-')
		return hr_fail(e, HR_USAGE, 0, "neither an option nor 'option = value'");
	if (*value == '=')
		value = skip_blanks(value + 1);
	else if (*value != '\0' && typed && is_blank(*value))
		value = skip_blanks(value);
	else if (*value != '\0')
		return hr_fail(e, HR_USAGE, 0, "'%.64s': neither an option nor 'option = value'",
			       p);
	else
		value = NULL;
	*rest = '\0';
	out->name = p;
	out->value = value;
	return 0;
}

int hr_optsrc_parse(char *text, const char *name,
		    int (*each)(void *arg, const struct hr_optsrc_line *line, struct hr_err *e),
		    void *arg, struct hr_err *e)
{
	for (unsigned int number = 1; text; number++) {
		char *end = strchr(text, '\n'), *p = skip_blanks(text);
		struct hr_optsrc_line line = { 0 };
		char letter[2];
		int r = 0;

		if (end)
			*end++ = '\0';
		cut_end(p);
		text = end;
		if (*p == '\0' || *p == '#')
			continue;
		if (p[0] == '-' && p[1] != '-' && p[1] != '\0')
			take_letter(p, letter, &line);
		else if (p[0] == '-' && p[1] == '-')
			r = take_name(p + 2, true, &line, e);
		else
			r = take_name(p, false, &line, e);
		if (r < 0 || each(arg, &line, e) < 0)
			return hr_wrap(e, "%s, line %u", name, number);
	}
	return 0;
}

struct file {
	const char *program;
	const struct hr_cmd *cmd;
	void *args;
};

/* The variable that somebody else reads is set, and counts before the file. */
static bool overridden(const struct hr_cmd *cmd, const struct hr_opt *o)
{
	hr_autofree char *variable = variable_of(cmd, o->name);
	const char *value = getenv(variable);

	return in_list(cmd->env_own, o->name) && value && value[0];
}

static int set_from_line(void *arg, const struct hr_optsrc_line *line, struct hr_err *e)
{
	const struct file *f = arg;
	size_t len = strlen(line->name);
	const struct hr_opt *o = len == 1 ? hr_opt_letter(f->cmd, line->name[0])
					  : hr_opt_long(f->cmd, line->name, len);
	hr_autofree char *what = hr_xasprintf("%s%s", len == 1 ? "-" : "--", line->name);

	if (!o)
		return hr_opt_unknown(f->program, f->cmd, line->name, len, e);
	if (strcmp(o->name, HR_OPTSRC_FILE) == 0)
		return hr_fail(e, HR_USAGE, 0, "an options file cannot name another one");
	return overridden(f->cmd, o) ? 0 : hr_opt_set(o, f->args, line->value, what, e);
}

static int load_file(const struct file *f, const char *path, struct hr_strv *texts,
		     struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	char *text;

	if (hr_file_read(AT_FDCWD, path, HR_OPTSRC_FILE_MAX, &b, e) < 0)
		return hr_wrap(e, "--%s", HR_OPTSRC_FILE);
	if (b.len == 0)
		return 0;
	if (memchr(b.p, '\0', b.len))
		return hr_fail(e, HR_USAGE, 0, "%s contains a NUL byte", path);
	text = hr_xstrndup((const char *)b.p, b.len);
	hr_strv_take(texts, text);
	return hr_optsrc_parse(text, path, set_from_line, (void *)(uintptr_t)f, e);
}

/* Few name any; who does not need not parse ARGV twice. */
static bool may_name_files(const struct hr_strv *known, int argc, char **argv)
{
	static const char option[] = "--" HR_OPTSRC_FILE;

	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], option, sizeof(option) - 1) == 0)
			return true;
	return is_set(known, HR_OPTSRC_FILE);
}

/* Names of files are on the command line, which counts last: so it is parsed twice. */
static int load_files(const char *program, const struct hr_cmd *cmd, void *args, int argc,
		      char **argv, struct hr_strv *texts, struct hr_err *e)
{
	const struct hr_opt *o = hr_opt_long(cmd, HR_OPTSRC_FILE, strlen(HR_OPTSRC_FILE));
	struct file f = { program, cmd, args };
	hr_autofree void *first = hr_xmalloc(cmd->args_size);
	hr_autofree char **words = hr_xmalloc(((size_t)argc + 1) * sizeof(*words));
	struct hr_err later = { 0 }; /* of the command line: the parser proper will say it */
	const struct hr_strv *names;
	int n, r;

	if (!o)
		return 0;
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	r = set_from_variable(cmd, o, first, e);
	if (r == 0 && hr_opt_words(program, cmd, first, argc, words, &n, &later) == 0) {
		names = (const struct hr_strv *)((char *)first + o->offset);
		for (size_t i = 0; r == 0 && i < names->n; i++)
			r = load_file(&f, names->v[i], texts, e);
	}
	hr_opt_release(cmd, first);
	return r;
}

int hr_optsrc_load(const char *program, const struct hr_cmd *cmd, void *args, int argc, char **argv,
		   struct hr_strv *texts, struct hr_err *e)
{
	struct hr_strv known;
	int r = 0;

	if (!cmd->env_prefix)
		return 0;
	known = prefixed(cmd);
	if (may_name_files(&known, argc, argv))
		r = load_files(program, cmd, args, argc, argv, texts, e);
	if (r == 0)
		r = load_variables(cmd, &known, args, e);
	hr_strv_release(&known);
	return r;
}

int hr_optsrc_misspelt(const struct hr_cmd *cmd, const char *const *others, char *const *environ_,
		       int i, char **near)
{
	size_t prefix = strlen(cmd->env_prefix), n = 0;
	const char *names[NAMES_MAX] = { NULL }; /* without the prefix */
	struct hr_strv own = { 0 };
	const struct hr_opt *o;
	int found = -1;

	for (size_t k = 0; (o = hr_opt_at(cmd, k)) && k < NAMES_MAX / 2; k++)
		hr_strv_take(&own, variable_of(cmd, o->name));
	for (; n < own.n; n++)
		names[n] = own.v[n] + prefix;
	for (; *others && n + 1 < NAMES_MAX; others++)
		names[n++] = *others;
	for (; environ_[i] && found < 0; i++) {
		hr_autofree char *name = hr_xstrndup(environ_[i], strcspn(environ_[i], "="));
		const char *right;

		if (strncmp(name, cmd->env_prefix, prefix) != 0 || in_list(names, name + prefix))
			continue;
		right = hr_nearest(name + prefix, names);
		if (right) {
			*near = hr_xasprintf("%s%s", cmd->env_prefix, right);
			found = i;
		}
	}
	hr_strv_release(&own);
	return found;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/opt.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/optsrc.h"
#include "util/poison.h"

#define HELP_COLUMN   28
#define HELP_WIDTH    80
#define NEAR_WORD_MAX 64

/* Levenshtein distance, for words short enough to be typed; longer ones are never near. */
static unsigned int distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	unsigned int row[NEAR_WORD_MAX + 1];

	if (na > NEAR_WORD_MAX || nb > NEAR_WORD_MAX)
		return NEAR_WORD_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			best = best < row[j] + 1 ? best : row[j] + 1;
			row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
		}
	}
	return row[nb];
}

const char *hr_nearest(const char *word, const char *const *known)
{
	const char *best = NULL;
	unsigned int best_distance = (unsigned int)strlen(word) / 3 + 2; /* further is a guess */

	for (; *known; known++) {
		unsigned int d = distance(word, *known);

		if (d < best_distance) {
			best_distance = d;
			best = *known;
		}
	}
	return best;
}

void hr_hint_nearest(const char *word, const char *const *known, struct hr_err *e)
{
	const char *near = hr_nearest(word, known);

	if (near)
		hr_hint(e, "did you mean '%s'?", near);
}

/* Its own options, then the common ones. */
const struct hr_opt *hr_opt_at(const struct hr_cmd *cmd, size_t i)
{
	const struct hr_opt *tables[] = { cmd->opts, cmd->common };

	for (size_t t = 0; t < HR_COUNT(tables); t++)
		for (const struct hr_opt *o = tables[t]; o && o->kind != HR_OPT_KIND_END; o++)
			if (i-- == 0)
				return o;
	return NULL;
}

const struct hr_opt *hr_opt_long(const struct hr_cmd *cmd, const char *name, size_t len)
{
	const struct hr_opt *o;

	for (size_t i = 0; (o = hr_opt_at(cmd, i)); i++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

const struct hr_opt *hr_opt_letter(const struct hr_cmd *cmd, char letter)
{
	const struct hr_opt *o;

	for (size_t i = 0; (o = hr_opt_at(cmd, i)); i++)
		if (o->letter != 0 && o->letter == letter)
			return o;
	return NULL;
}

bool hr_opt_takes_value(const struct hr_opt *o)
{
	return o->kind != HR_OPT_KIND_FLAG && o->kind != HR_OPT_KIND_COUNT &&
	       o->kind != HR_OPT_KIND_WORD;
}

static int store_enum(const struct hr_opt *o, void *at, const char *value, const char *what,
		      struct hr_err *e)
{
	int index = 0;

	for (const char *const *v = o->values; *v; v++, index++) {
		if (strcmp(*v, value) == 0) {
			memcpy(at, &index, sizeof(index));
			return 0;
		}
	}
	hr_fail(e, HR_USAGE, 0, "%s: '%s' is not one of %s", what, value, o->value);
	hr_hint_nearest(value, o->values, e);
	return -1;
}

static int store_flag(bool *at, const char *value, const char *what, struct hr_err *e)
{
	static const char *const words[] = { "no", "yes", "0", "1", "false", "true", "off", "on" };

	*at = true;
	for (size_t i = 0; value && i < HR_COUNT(words); i++) {
		if (strcmp(words[i], value) == 0) {
			*at = i % 2 == 1;
			return 0;
		}
	}
	return value ? hr_fail(e, HR_USAGE, 0, "%s: '%s' is neither yes nor no", what, value) : 0;
}

int hr_opt_set(const struct hr_opt *o, void *args, const char *value, const char *what,
	       struct hr_err *e)
{
	void *at = (char *)args + o->offset;

	if (hr_opt_takes_value(o) && !value)
		return hr_fail(e, HR_USAGE, 0, "%s needs a value (%s)", what, o->value);
	switch (o->kind) {
	case HR_OPT_KIND_FLAG:
		return store_flag(at, value, what, e);
	case HR_OPT_KIND_COUNT:
		if (value)
			return hr_fail(e, HR_USAGE, 0, "%s takes no value, got '%s'", what, value);
		*(unsigned int *)at += 1;
		return 0;
	case HR_OPT_KIND_STR:
		*(const char **)at = value;
		return 0;
	case HR_OPT_KIND_WORD:
		*(const char **)at = value ? value : o->values[0];
		return 0;
	case HR_OPT_KIND_U64:
		return hr_parse_u64(value, what, o->min, o->max, at, e);
	case HR_OPT_KIND_SIZE:
		return hr_parse_size(value, what, o->min, o->max, at, e);
	case HR_OPT_KIND_LIST:
		hr_strv_add(at, value);
		return 0;
	case HR_OPT_KIND_ENUM:
		return store_enum(o, at, value, what, e);
	case HR_OPT_KIND_END:
		break;
	}
	HR_BUG_ON(true);
	return -1;
}

void hr_opt_hint_usage(const char *program, const struct hr_cmd *cmd, struct hr_err *e)
{
	hr_hint(e, "usage: %s %s [OPTION]...%s%s", program, cmd->name, cmd->operands[0] ? " " : "",
		cmd->operands);
}

static void hint_foreign(const struct hr_cmd *cmd, const char *what, const char *name,
			 struct hr_err *e)
{
	for (const struct hr_foreign *f = cmd->foreign; f && f->name; f++)
		if (strcmp(f->name, name) == 0)
			hr_hint(e, "'%s' is %s here", what, f->ours);
}

int hr_opt_unknown(const char *program, const struct hr_cmd *cmd, const char *word, size_t len,
		   struct hr_err *e)
{
	hr_autofree char *name = hr_xstrndup(word, len), *what = hr_xasprintf("--%s", name);
	const char *names[128] = { "help" };
	const struct hr_opt *o;
	const char *near;

	for (size_t i = 0; (o = hr_opt_at(cmd, i)) && i + 2 < HR_COUNT(names); i++)
		names[i + 1] = o->name;
	hr_fail(e, HR_USAGE, 0, "%s %s: unknown option '%s'", program, cmd->name, what);
	hint_foreign(cmd, what, name, e);
	near = hr_nearest(name, names);
	if (near)
		hr_hint(e, "did you mean '--%s'?", near);
	else
		hr_hint(e, "'%s %s --help' lists the options", program, cmd->name);
	return -1;
}

/* One "--word[=value]" at argv[*i]; 1 when it asks for help. */
static int parse_long(const char *program, const struct hr_cmd *cmd, void *args, int argc,
		      char **argv, int *i, struct hr_err *e)
{
	const char *word = argv[*i] + 2;
	size_t len = strcspn(word, "=");
	const char *value = word[len] == '=' ? word + len + 1 : NULL;
	const struct hr_opt *o = hr_opt_long(cmd, word, len);
	hr_autofree char *what = NULL;

	if (!o && len == 4 && memcmp(word, "help", 4) == 0)
		return 1;
	if (!o)
		return hr_opt_unknown(program, cmd, word, len, e);
	if (hr_opt_takes_value(o) && !value && *i + 1 < argc)
		value = argv[++*i];
	what = hr_xasprintf("--%s", o->name);
	return hr_opt_set(o, args, value, what, e);
}

/* One "-abc" or "-nVALUE" at argv[*i]; 1 when it asks for help. */
static int parse_short(const char *program, const struct hr_cmd *cmd, void *args, int argc,
		       char **argv, int *i, struct hr_err *e)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct hr_opt *o = hr_opt_letter(cmd, *p);
		const char what[] = { '-', *p, '\0' };
		const char *value = NULL;

		if (!o && *p == 'h')
			return 1;
		if (!o) {
			hr_fail(e, HR_USAGE, 0, "%s %s: unknown option '%s'", program, cmd->name,
				what);
			hint_foreign(cmd, what, what + 1, e);
			hr_hint(e, "'%s %s --help' lists the options", program, cmd->name);
			return -1;
		}
		if (hr_opt_takes_value(o)) {
			if (p[1] != '\0')
				value = p + 1;
			else if (*i + 1 < argc)
				value = argv[++*i];
			return hr_opt_set(o, args, value, what, e);
		}
		if (hr_opt_set(o, args, NULL, what, e) < 0)
			return -1;
	}
	return 0;
}

/* Parse options and move operands to the front of argv, in order; *n is their number. */
int hr_opt_words(const char *program, const struct hr_cmd *cmd, void *args, int argc, char **argv,
		 int *n, struct hr_err *e)
{
	int i = 0, r;

	*n = 0;
	for (; i < argc; i++) {
		char *word = argv[i];

		if (strcmp(word, "--") == 0) {
			i++;
			break;
		}
		if (word[0] != '-' || word[1] == '\0') {
			if (cmd->stop_at_operand)
				break;
			argv[(*n)++] = word;
			continue;
		}
		r = word[1] == '-' ? parse_long(program, cmd, args, argc, argv, &i, e)
				   : parse_short(program, cmd, args, argc, argv, &i, e);
		if (r != 0)
			return r;
	}
	for (; i < argc; i++)
		argv[(*n)++] = argv[i];
	return 0;
}

static void fail_surplus(const char *program, const struct hr_cmd *cmd, const char *word,
			 struct hr_err *e)
{
	hr_fail(e, HR_USAGE, 0, "%s %s: surplus operand '%s'", program, cmd->name, word);
	if (hr_opt_long(cmd, word, strlen(word)))
		hr_hint(e, "did you mean '--%s'?", word);
}

/* 1: help was asked for, and printed. The N operands stand at the front of ARGV afterwards. */
static int parse(const char *program, const struct hr_cmd *cmd, void *args, int argc, char **argv,
		 int *n, struct hr_err *e)
{
	int r = hr_opt_words(program, cmd, args, argc, argv, n, e);

	if (r > 0)
		hr_cmd_help(stdout, program, cmd);
	if (r != 0)
		return r;
	if (*n < cmd->min_operands || (cmd->max_operands >= 0 && *n > cmd->max_operands)) {
		if (*n < cmd->min_operands)
			hr_fail(e, HR_USAGE, 0, "%s %s: too few operands", program, cmd->name);
		else
			fail_surplus(program, cmd, argv[cmd->max_operands], e);
		hr_opt_hint_usage(program, cmd, e);
		return -1;
	}
	return 0;
}

void hr_opt_release(const struct hr_cmd *cmd, void *args)
{
	const struct hr_opt *o;

	for (size_t i = 0; (o = hr_opt_at(cmd, i)); i++)
		if (o->kind == HR_OPT_KIND_LIST)
			hr_strv_release((struct hr_strv *)((char *)args + o->offset));
}

static int run_verb(const char *program, const struct hr_cmd *cmd, int argc, char **argv,
		    struct hr_err *e)
{
	void *args = hr_xmalloc(cmd->args_size);
	char **words = hr_xmalloc(((size_t)argc + 1) * sizeof(*words));
	struct hr_strv texts = { 0 };
	int n = 0, r;

	memcpy(words, argv, (size_t)argc * sizeof(*words));
	r = hr_optsrc_load(program, cmd, args, argc, argv, &texts, e);
	if (r == 0)
		r = parse(program, cmd, args, argc, words, &n, e);
	if (r == 0) {
		words[n] = NULL;
		r = cmd->main(args, n, words, e);
	} else if (r > 0) {
		r = 0;
	}
	hr_opt_release(cmd, args);
	hr_strv_release(&texts);
	free(args);
	free(words);
	return r;
}

static void add_word(const struct hr_opt *o, const char *value, struct hr_strv *out)
{
	if (value)
		hr_strv_take(out, hr_xasprintf("--%s=%s", o->name, value));
}

void hr_opt_unparse(const struct hr_opt *opts, const void *args, struct hr_strv *out)
{
	for (const struct hr_opt *o = opts; o->kind != HR_OPT_KIND_END; o++) {
		const void *at = (const char *)args + o->offset;
		const struct hr_strv *l = at;

		switch (o->kind) {
		case HR_OPT_KIND_FLAG:
			add_word(o, *(const bool *)at ? "yes" : NULL, out);
			break;
		case HR_OPT_KIND_STR:
		case HR_OPT_KIND_WORD:
			add_word(o, *(const char *const *)at, out);
			break;
		case HR_OPT_KIND_LIST:
			for (size_t i = 0; i < l->n; i++)
				add_word(o, l->v[i], out);
			break;
		case HR_OPT_KIND_ENUM:
			if (*(const int *)at > 0)
				add_word(o, o->values[*(const int *)at], out);
			break;
		default:
			HR_BUG_ON(true);
		}
	}
}

/* ---- groups ---- */

const char *hr_cmd_word(const struct hr_cmd *cmd)
{
	const char *blank = strrchr(cmd->name, ' ');

	return blank ? blank + 1 : cmd->name;
}

static int no_such_verb(const char *program, const struct hr_cmd *group, const char *word,
			struct hr_err *e)
{
	const char *names[64] = { NULL };
	const char *near;

	for (size_t i = 0; group->group[i] && i + 1 < HR_COUNT(names); i++)
		names[i] = hr_cmd_word(group->group[i]);
	hr_fail(e, HR_USAGE, 0, "%s %s: '%s' is none of its commands", program, group->name, word);
	near = hr_nearest(word, names);
	if (near)
		hr_hint(e, "did you mean '%s %s %s'?", program, group->name, near);
	else
		hr_hint(e, "'%s %s --help' lists them", program, group->name);
	return -1;
}

static int run_group(const char *program, const struct hr_cmd *group, int argc, char **argv,
		     struct hr_err *e)
{
	if (argc < 1) {
		hr_fail(e, HR_USAGE, 0, "%s %s: no command given", program, group->name);
		hr_hint(e, "'%s %s --help' lists them", program, group->name);
		return -1;
	}
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
		hr_cmd_help(stdout, program, group);
		return 0;
	}
	for (size_t i = 0; group->group[i]; i++)
		if (strcmp(hr_cmd_word(group->group[i]), argv[0]) == 0)
			return hr_cmd_run(program, group->group[i], argc - 1, argv + 1, e);
	return no_such_verb(program, group, argv[0], e);
}

int hr_cmd_run(const char *program, const struct hr_cmd *cmd, int argc, char **argv,
	       struct hr_err *e)
{
	if (cmd->group)
		return run_group(program, cmd, argc, argv, e);
	return run_verb(program, cmd, argc, argv, e);
}

static void help_line(FILE *f, const char *left, const char *text)
{
	int column = fprintf(f, "  %s", left);

	if (column > HELP_COLUMN - 2)
		column = fprintf(f, "\n") - 1;
	while (*text) {
		size_t len = strcspn(text, " ");

		if (column < HELP_COLUMN)
			column += fprintf(f, "%*s", HELP_COLUMN - column, "");
		else if (column + 1 + (int)len >= HELP_WIDTH)
			column = fprintf(f, "\n%*s", HELP_COLUMN, "") - 1;
		else
			column += fprintf(f, " ");
		column += fprintf(f, "%.*s", (int)len, text);
		text += len + strspn(text + len, " ");
	}
	fprintf(f, "\n");
}

static void group_help(FILE *f, const char *program, const struct hr_cmd *group)
{
	fprintf(f, "usage: %s %s COMMAND [OPTION]... [OPERAND]...\n\n%s\n\ncommands:\n", program,
		group->name, group->summary);
	for (size_t i = 0; group->group[i]; i++)
		fprintf(f, "  %-10s %s\n", hr_cmd_word(group->group[i]), group->group[i]->summary);
	fprintf(f, "\n'%s %s COMMAND --help' explains one.\n", program, group->name);
}

void hr_cmd_help(FILE *f, const char *program, const struct hr_cmd *cmd)
{
	const struct hr_opt *o;

	if (cmd->group) {
		group_help(f, program, cmd);
		return;
	}

	fprintf(f, "usage: %s %s [OPTION]...%s%s\n\n%s\n", program, cmd->name,
		cmd->operands[0] ? " " : "", cmd->operands, cmd->summary);
	if (cmd->more)
		fprintf(f, "\n%s\n", cmd->more);
	fprintf(f, "\noptions:\n");
	for (size_t i = 0; (o = hr_opt_at(cmd, i)); i++) {
		char letter[8] = "    ";
		hr_autofree char *left = NULL;

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		if (o->kind == HR_OPT_KIND_WORD)
			left = hr_xasprintf("%s--%s[=%s]", letter, o->name, o->value);
		else
			left = hr_xasprintf("%s--%s%s%s", letter, o->name, o->value ? " " : "",
					    o->value ? o->value : "");
		help_line(f, left, o->help);
	}
	help_line(f, "-h, --help", "print this help");
}

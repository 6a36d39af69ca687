/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/complete.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/source.h"
#include "util/poison.h"

/* What the words of --help for values and operands stand for. All others are the user's to invent.
 */
static const struct {
	const char *word;
	enum hr_complete what;
} kinds[] = {
	{ "IMAGE", HR_COMPLETE_IMAGES },  { "KEY", HR_COMPLETE_KEYS },
	{ "FILE", HR_COMPLETE_FILES },	  { "SRC", HR_COMPLETE_FILES },
	{ "PATH", HR_COMPLETE_DIRS },	  { "DIR", HR_COMPLETE_DIRS },
	{ "STORE", HR_COMPLETE_DIRS },	  { "CMD", HR_COMPLETE_FILES },
	{ "COMMAND", HR_COMPLETE_FILES }, { "ARG", HR_COMPLETE_FILES },
};

static enum hr_complete kind_of(const char *word)
{
	for (size_t i = 0; word && i < HR_COUNT(kinds); i++)
		if (strncmp(word, kinds[i].word, strlen(kinds[i].word)) == 0)
			return kinds[i].what;
	return HR_COMPLETE_NOTHING;
}

void hr_complete_add(FILE *f, const char *prefix, const char *typed, const char *word)
{
	if (strncmp(word, typed, strlen(typed)) == 0)
		fprintf(f, "%s%s\n", prefix, word);
}

void hr_complete_shell(FILE *f, enum hr_complete what)
{
	if (what == HR_COMPLETE_FILES)
		fprintf(f, ":files\n");
	else if (what == HR_COMPLETE_DIRS)
		fprintf(f, ":dirs\n");
}

/* ---- options ---- */

/* The option that WORD names, as --name, or -x at the end of bundled letters; else NULL. */
static const struct hr_opt *named_by(const struct hr_cmd *cmd, const char *word, size_t len)
{
	if (len > 2 && word[1] == '-')
		return hr_opt_long(cmd, word + 2, len - 2);
	return len >= 2 ? hr_opt_letter(cmd, word[len - 1]) : NULL;
}

static void add_options(FILE *f, const struct hr_cmd *cmd, const char *typed)
{
	const struct hr_opt *o;

	for (size_t i = 0; (o = hr_opt_at(cmd, i)); i++) {
		hr_autofree char *name = hr_xasprintf("--%s", o->name);

		hr_complete_add(f, "", typed, name);
	}
	hr_complete_add(f, "", typed, "--help");
}

/* PREFIX is "--name=", or "". A value that many may share ends with the option's own words. */
static enum hr_complete add_values(FILE *f, const struct hr_opt *o, const char *prefix,
				   const char *typed)
{
	for (const char *const *v = o->values; v && *v; v++) {
		hr_complete_add(f, prefix, typed, *v);
		if (o->kind == HR_OPT_KIND_WORD)
			break; /* it has one */
	}
	return kind_of(o->value);
}

/* ---- operands ---- */

/* What operand number I of "IMAGE [COMMAND [ARG]...]" is; the last word counts for all beyond. */
static enum hr_complete operand_kind(const char *operands, size_t i)
{
	static const char marks[] = " []";
	enum hr_complete what = HR_COMPLETE_NOTHING;

	for (const char *p = operands + strspn(operands, marks); *p;) {
		what = kind_of(p);
		if (i-- == 0)
			return what;
		p += strcspn(p, marks);
		p += strspn(p, marks);
		if (strncmp(p, "...", 3) == 0)
			return what;
	}
	return operands[0] && strstr(operands, "...") ? what : HR_COMPLETE_NOTHING;
}

static enum hr_complete operand(const struct hr_cmd *cmd, size_t i, const char *typed)
{
	enum hr_complete what = operand_kind(cmd->operands, i);

	/* an image may be a file; a name that could still become one is more often a reference */
	if (what == HR_COMPLETE_IMAGES && (typed[0] == '/' || typed[0] == '.' || typed[0] == '~' ||
					   hr_source_of(typed) == HR_SOURCE_FILE))
		return HR_COMPLETE_FILES;
	return what;
}

/* ---- the line ---- */

/* What the words before the last one have made of the line. */
struct state {
	const struct hr_opt *expects; /* its value comes next */
	bool ended;		      /* no more options */
	size_t operands;
};

static struct state read_words(const struct hr_cmd *cmd, int n, char **words)
{
	struct state s = { .ended = false };

	for (int i = 0; i < n; i++) {
		const char *w = words[i];

		if (s.expects) {
			s.expects = NULL;
		} else if (s.ended || w[0] != '-' || w[1] == '\0') {
			s.operands++;
			s.ended = s.ended || cmd->stop_at_operand;
		} else if (strcmp(w, "--") == 0) {
			s.ended = true;
		} else {
			s.expects = named_by(cmd, w, strlen(w));
			if (s.expects && !hr_opt_takes_value(s.expects))
				s.expects = NULL;
		}
	}
	return s;
}

/* An option, with what is typed of its value if there is a "=". */
static enum hr_complete option(FILE *f, const struct hr_cmd *cmd, const char *typed,
			       const char **from)
{
	size_t name = strcspn(typed, "=");
	const struct hr_opt *o = named_by(cmd, typed, name);
	hr_autofree char *prefix = NULL;

	if (typed[name] != '=') {
		add_options(f, cmd, typed);
		return HR_COMPLETE_NOTHING;
	}
	prefix = hr_xstrndup(typed, name + 1);
	*from = typed + name + 1;
	return o ? add_values(f, o, prefix, *from) : HR_COMPLETE_NOTHING;
}

/* A verb of verbs. */
static enum hr_complete group(FILE *f, const struct hr_cmd *cmd, int n, char **words,
			      const char **from)
{
	*from = words[n - 1];
	for (const struct hr_cmd *const *c = cmd->group; *c; c++) {
		if (n == 1)
			hr_complete_add(f, "", words[0], hr_cmd_word(*c));
		else if (strcmp(hr_cmd_word(*c), words[0]) == 0)
			return hr_cmd_complete(f, *c, n - 1, words + 1, from);
	}
	if (n == 1)
		hr_complete_add(f, "", words[0], "--help");
	return HR_COMPLETE_NOTHING;
}

enum hr_complete hr_cmd_complete(FILE *f, const struct hr_cmd *cmd, int n, char **words,
				 const char **from)
{
	const char *typed = words[n - 1];
	struct state s;

	if (cmd->group)
		return group(f, cmd, n, words, from);
	s = read_words(cmd, n - 1, words);
	*from = typed;
	if (s.expects)
		return add_values(f, s.expects, "", typed);
	if (!s.ended && typed[0] == '-')
		return option(f, cmd, typed, from);
	return operand(cmd, s.operands, typed);
}

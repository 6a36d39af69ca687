/* SPDX-License-Identifier: BSD-3-Clause */
/* util: options from variables and files. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/optsrc.h"
#include "util/poison.h"

static int note_line(void *arg, const struct hr_optsrc_line *line, struct hr_err *e)
{
	(void)e;
	hr_buf_printf(arg, "%s<%s>", line->name, line->value ? line->value : "-");
	return 0;
}

static void lines_of_files(void **state)
{
	static const struct {
		const char *text, *lines, *message;
	} rows[] = {
		{ "", "", NULL },
		{ "# --bind /a\n\n \t\n", "", NULL },
		{ "--bind /a:/b\n--bind=/c\n-b /d\n-b/e", "bind</a:/b>bind</c>b</d>b</e>", NULL },
		{ "  bind = /a b \r\nbind=/c\ncleanenv\n", "bind</a b>bind</c>cleanenv<->", NULL },
		{ "--cleanenv\n-v\nenv = A=1 # 2\n", "cleanenv<->v<->env<A=1 # 2>", NULL },
		{ "--env-file = x", "env-file<= x>", NULL },
		{ "workdir =", "workdir<>", NULL },
		{ "\nimage:1 app\n", NULL, "f, line 2: 'image:1 app': neither an option nor" },
		{ "--", NULL, "f, line 1: neither" },
		{ "---x", NULL, "f, line 1: neither" },
		{ "= x", NULL, "f, line 1: neither" },
		{ "bind /a", NULL, "f, line 1: 'bind /a': neither" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autofree char *text = hr_xstrdup(rows[i].text);
		hr_autobuf struct hr_buf seen = { 0 };
		struct hr_err e = { 0 };
		int r = hr_optsrc_parse(text, "f", note_line, &seen, &e);

		hr_buf_add(&seen, "", 1);
		if (rows[i].message ? r == 0 || !strstr(e.text, rows[i].message)
				    : r < 0 || strcmp((char *)seen.p, rows[i].lines) != 0)
			fail_msg("row %zu: %d '%s' '%s'", i, r, (char *)seen.p, e.text);
	}
}

struct args {
	bool flag, other_flag;
	unsigned int verbose;
	const char *name, *word;
	uint64_t size;
	struct hr_strv list, files;
};

static const char *const alone[] = { "all" };
static const struct hr_opt opts[] = {
	HR_OPT_STR('n', "name", "NAME", struct args, name, "a name"),
	HR_OPT_FLAG('f', "flag", struct args, flag, "a flag"),
	HR_OPT_FLAG(0, "other-flag", struct args, other_flag, "another"),
	HR_OPT_COUNT('v', "verbose", struct args, verbose, "say more"),
	HR_OPT_SIZE(0, "size", "SIZE", struct args, size, 1, 4096, "a size"),
	HR_OPT_LIST('b', "a-list", "SRC", struct args, list, "a list"),
	HR_OPT_LIST(0, "options", "FILE", struct args, files, "files"),
	HR_OPT_WORD("word", "WORD", struct args, word, alone, "a word or none"),
	HR_OPT_END
};
static const char *const own[] = { "size", NULL };
static const struct hr_cmd cmd = { .name = "verb",
				   .opts = opts,
				   .args_size = sizeof(struct args),
				   .env_prefix = "T_",
				   .env_own = own,
				   .stop_at_operand = true };

/* What load says when the options file has TEXT, and parsing the command line after it. */
static int load(const char *text, struct args *a, struct hr_strv *texts, struct hr_err *e)
{
	char path[] = "/tmp/test_util_optsrc.XXXXXX";
	hr_autofd int fd = mkstemp(path);
	char *argv[] = { (char *)(uintptr_t) "-bC", NULL, (char *)(uintptr_t) "img", NULL };
	hr_autofree char *option = hr_xasprintf("--options=%s", path);
	int n, r;

	argv[1] = option;
	assert_true(fd >= 0);
	assert_int_equal(hr_write_all(fd, text, strlen(text), path, e), 0);
	r = hr_optsrc_load("hpcrun", &cmd, a, 3, argv, texts, e);
	if (r == 0)
		r = hr_opt_words("hpcrun", &cmd, a, 3, argv, &n, e);
	unlink(path);
	return r;
}

static void the_command_line_before_variables_before_files(void **state)
{
	struct hr_strv texts = { 0 };
	struct args a = { 0 };
	struct hr_err e = { 0 };

	(void)state;
	setenv("T_NAME", "variable", 1);
	setenv("T_A_LIST", "B1,B2,", 1);
	setenv("T_VERBOSE", "2", 1);
	setenv("T_FLAG", "no", 1);
	setenv("T_WORD", "", 1);
	setenv("T_SIZE", "as its owner likes", 1);
	assert_int_equal(
		load("name = file\n-b A\nflag\nother-flag\nsize = 7\nword\n", &a, &texts, &e), 0);
	assert_string_equal(a.name, "variable");
	assert_string_equal(a.word, "all");
	assert_false(a.flag);
	assert_true(a.other_flag);
	assert_int_equal(a.verbose, 2);
	assert_int_equal(a.size, 0);
	assert_int_equal(a.list.n, 4);
	assert_string_equal(a.list.v[0], "A");
	assert_string_equal(a.list.v[1], "B1");
	assert_string_equal(a.list.v[3], "C");
	hr_opt_release(&cmd, &a);
	unsetenv("T_SIZE");
	setenv("T_A_LIST", "one,\ntwo\n", 1); /* several lines: a comma is a part of a value */
	memset(&a, 0, sizeof(a));
	assert_int_equal(load("size = 7\n", &a, &texts, &e), 0);
	assert_int_equal(a.size, 7);
	assert_string_equal(a.list.v[0], "one,");
	hr_opt_release(&cmd, &a);
	hr_strv_release(&texts);
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
	static const struct {
		const char *variable, *value, *text, *message, *hint;
	} rows[] = {
		{ "T_X", "", "\nnaem = x\n", "line 2: hpcrun verb: unknown option '--naem'",
		  "'--name'" },
		{ "T_X", "", "--name", "line 1: --name needs a value", NULL },
		{ "T_X", "", "-x", "line 1: hpcrun verb: unknown option '--x'", NULL },
		{ "T_X", "", "options = y", "line 1: an options file cannot name another", NULL },
		{ "T_FLAG", "maybe", "", "T_FLAG: 'maybe' is neither yes nor no", NULL },
		{ "T_SIZE", "5K", "size = 5K", "line 1: --size: '5K' is not a number", NULL },
		{ "T_VERBOSE", "x", "", "T_VERBOSE: 'x' is not a number", NULL },
		{ "T_OPTIONS", "/no/such/file", "", "--options", NULL },
	};

	(void)state;
	unsetenv("T_A_LIST");
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_strv texts = { 0 };
		struct args a = { 0 };
		struct hr_err e = { 0 };

		unsetenv("T_FLAG");
		unsetenv("T_VERBOSE");
		/* the file's is looked at where no variable overrides it */
		if (strcmp(rows[i].variable, "T_SIZE") != 0)
			setenv(rows[i].variable, rows[i].value, 1);
		if (load(rows[i].text, &a, &texts, &e) == 0 || !strstr(e.text, rows[i].message) ||
		    (rows[i].hint && !strstr(e.hint, rows[i].hint)))
			fail_msg("row %zu: '%s' '%s'", i, e.text, e.hint);
		hr_opt_release(&cmd, &a);
		hr_strv_release(&texts);
	}
	unsetenv("T_OPTIONS");
}

static void misspelt_variables(void **state)
{
	static const char *const others[] = { "CONF", NULL };
	static const char *const vars[] = { "T_NAME=1",	  "X_NAEM=1", "T_CONF=1", "T_FAR_AWAY=1",
					    "T_A_LITS=1", "T_CNF=1",  NULL };
	char *const *environ_ = (char *const *)(uintptr_t)vars;
	char *near = NULL;

	(void)state;
	assert_int_equal(hr_optsrc_misspelt(&cmd, others, environ_, 0, &near), 4);
	assert_string_equal(near, "T_A_LIST");
	free(near);
	assert_int_equal(hr_optsrc_misspelt(&cmd, others, environ_, 5, &near), 5);
	assert_string_equal(near, "T_CONF");
	free(near);
	assert_int_equal(hr_optsrc_misspelt(&cmd, others, environ_, 6, &near), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_files),
		cmocka_unit_test(the_command_line_before_variables_before_files),
		cmocka_unit_test(what_is_wrong_is_said_with_its_place),
		cmocka_unit_test(misspelt_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* util: errors, numbers, printable text, option tables, configuration. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "util/complete.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/mem.h"
#include "util/opt.h"
#include "util/poison.h"

static void wrap_keeps_the_cause_when_the_text_is_full(void **state)
{
	struct hr_err e = { 0 };
	char longer[2000];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(hr_fail(&e, HR_SYS, 2, "cannot open '%s'", longer), -1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_non_null(strstr(e.text, "No such file"));
	hr_wrap(&e, "outer");
	assert_null(strstr(e.text, "outer"));
	hr_err_clear(&e);
	hr_fail(&e, HR_SYS, 0, "cause");
	hr_wrap(&e, "outer %d", 1);
	assert_string_equal(e.text, "outer 1: cause");
	hr_hint(&e, "first");
	hr_hint(&e, "second");
	assert_string_equal(e.hint, "first");
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "10", true, 10 },
		{ "11", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x1", false, 0 },
		{ "007", true, 7 },
		{ "18446744073709551616", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		uint64_t v = 0;
		int r = hr_parse_u64(rows[i].text, "n", 0, 10, &v, &e);

		if ((r == 0) != rows[i].ok || v != rows[i].value)
			fail_msg("row '%s': %d, %llu", rows[i].text, r, (unsigned long long)v);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t value;
	} rows[] = {
		{ "1", true, 1 },
		{ "1K", true, 1024 },
		{ "2MiB", true, 2 << 20 },
		{ "3g", true, 3ull << 30 },
		{ "1TB", true, 1ull << 40 },
		{ "1X", false, 0 },
		{ "1KK", false, 0 },
		{ "99999999999999T", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		uint64_t v = 0;
		int r = hr_parse_size(rows[i].text, "n", 0, UINT64_MAX, &v, &e);

		if ((r == 0) != rows[i].ok || v != rows[i].value)
			fail_msg("row '%s': %d, %llu", rows[i].text, r, (unsigned long long)v);
	}
}

static void an_array_grows_by_doubling(void **state)
{
	static const struct {
		size_t n, before, after;
	} rows[] = { { 0, 0, 16 }, { 15, 16, 16 }, { 16, 16, 32 }, { 31, 32, 32 }, { 0, 32, 32 } };
	uint32_t *v = NULL;
	size_t cap = 0;

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		assert_int_equal(cap, rows[i].before);
		v = hr_xgrow(v, rows[i].n, &cap, sizeof(*v));
		assert_int_equal(cap, rows[i].after);
		v[rows[i].n] = (uint32_t)rows[i].n;
	}
	assert_int_equal(v[15], 15);
	assert_int_equal(v[16], 16);
	free(v);
}

static void untrusted_text_loses_its_escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "\x1b[2J", "\\x1b[2J" },
		{ "a\nb", "a\\x0ab" },
		{ "\xc3\xa9", "\xc3\xa9" },
		{ "\xc2\x9b", "\\xc2\\x9b" },
		{ "\x9b", "\\x9b" },
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },
		{ "\xc3", "\\xc3" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xff", "\\xff" },
		{ "\x7f", "\\x7f" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		hr_autobuf struct hr_buf b = { 0 };

		hr_buf_untrusted(&b, rows[i].in, strlen(rows[i].in));
		assert_string_equal((const char *)b.p, rows[i].out);
	}
}

struct args {
	bool flag;
	unsigned int verbose;
	const char *name, *word;
	uint64_t size;
	struct hr_strv list;
	int mode;
	int seen_operands;
};
static const char *const modes[] = { "auto", "host", NULL };
static const char *const alone[] = { "all" };
static const struct hr_opt opts[] = {
	HR_OPT_FLAG('f', "flag", struct args, flag, "set the flag"),
	HR_OPT_COUNT('v', "verbose", struct args, verbose, "say more"),
	HR_OPT_STR('n', "name", "NAME", struct args, name, "a name"),
	HR_OPT_SIZE(0, "size", "SIZE", struct args, size, 1, 4096, "a size"),
	HR_OPT_LIST('b', "bind", "SRC", struct args, list, "a list"),
	HR_OPT_WORD("word", "WORD", struct args, word, alone, "a word or none"),
	HR_OPT_ENUM(0, "mode", "auto|host", struct args, mode, modes, "a mode"),
	HR_OPT_END
};
static struct args seen;

static int record(void *a, int argc, char **argv, struct hr_err *e)
{
	(void)argv;
	(void)e;
	seen = *(struct args *)a;
	seen.seen_operands = argc;
	return 7;
}

static const struct hr_cmd cmd = {
	.name = "verb",
	.operands = "IMAGE [ARG]...",
	.summary = "test",
	.opts = opts,
	.args_size = sizeof(struct args),
	.min_operands = 1,
	.max_operands = -1,
	.main = record,
	.stop_at_operand = true,
};

static const struct hr_cmd inner = {
	.name = "group inner",
	.operands = "",
	.summary = "test",
	.opts = opts,
	.args_size = sizeof(struct args),
	.main = record,
};
static const struct hr_cmd *const members[] = { &inner, NULL };
static const struct hr_cmd group = { .name = "group", .summary = "test", .group = members };

static void groups_of_verbs(void **state)
{
	static const struct {
		const char *argv[4];
		int argc, result;
		const char *text, *hint;
	} rows[] = {
		{ { "inner", "-f" }, 2, 7, NULL, NULL },
		{ { NULL }, 0, -1, "hpcrun group: no command given", "'hpcrun group --help'" },
		{ { "iner" }, 1, -1, "'iner' is none of its commands", "'hpcrun group inner'" },
		{ { "inner", "--bogus" }, 2, -1, "hpcrun group inner: unknown option", NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		char *argv[4] = { NULL };
		int r;

		for (int k = 0; k < rows[i].argc; k++)
			argv[k] = (char *)(uintptr_t)rows[i].argv[k];
		r = hr_cmd_run("hpcrun", &group, rows[i].argc, argv, &e);
		if (r != rows[i].result || (rows[i].text && !strstr(e.text, rows[i].text)) ||
		    (rows[i].hint && !strstr(e.hint, rows[i].hint)))
			fail_msg("row %zu: %d '%s' '%s'", i, r, e.text, e.hint);
	}
}

static void option_tables(void **state)
{
	static const struct {
		const char *what;
		const char *argv[10];
		int result;
		const char *text, *hint;
	} rows[] = {
		{ "all forms",
		  { "-fvv", "--name=x", "--size", "4K", "-bA", "-b", "B", "--word", "img" },
		  7,
		  NULL,
		  NULL },
		{ "unknown", { "--nmae", "img" }, -1, "unknown option '--nmae'", "'--name'" },
		{ "unknown letter", { "-x", "img" }, -1, "unknown option '-x'", NULL },
		{ "no value", { "--name" }, -1, "needs a value", NULL },
		{ "value too many", { "--verbose=1", "img" }, -1, "takes no value", NULL },
		{ "flag taken back", { "-f", "--flag=no", "img" }, 7, NULL, NULL },
		{ "flag of a word", { "--flag=maybe", "img" }, -1, "neither yes nor no", NULL },
		{ "size over", { "--size=5K", "img" }, -1, "not a number from 1 to 4096", NULL },
		{ "enum", { "--mode", "hots", "img" }, -1, "not one of auto|host", "'host'" },
		{ "no operand", { "-f" }, -1, "too few operands", "usage: hpcrun verb" },
		{ "stops", { "img", "--bogus" }, 7, NULL, NULL },
		{ "dashes", { "--", "-f" }, 7, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		char *argv[10] = { NULL };
		int argc = 0, r;

		while (argc < 9 && rows[i].argv[argc]) {
			argv[argc] = (char *)(uintptr_t)rows[i].argv[argc];
			argc++;
		}
		r = hr_cmd_run("hpcrun", &cmd, argc, argv, &e);
		if (r != rows[i].result || (rows[i].text && !strstr(e.text, rows[i].text)) ||
		    (rows[i].hint && !strstr(e.hint, rows[i].hint)))
			fail_msg("row '%s': %d '%s' '%s'", rows[i].what, r, e.text, e.hint);
		if (i == 0) {
			assert_true(seen.flag);
			assert_int_equal(seen.verbose, 2);
			assert_int_equal(seen.size, 4096);
			assert_string_equal(seen.word, "all");
			assert_int_equal(seen.list.n, 2);
			assert_int_equal(seen.seen_operands, 1);
		}
	}
}

/* What the last word can become, as one text; digits stand for enum hr_complete. */
static void completion(void **state)
{
	static const struct {
		const char *operands, *words[6], *out;
	} rows[] = {
		{ "IMAGE [ARG]...", { "--na" }, "--name 0" },
		{ "IMAGE [ARG]...",
		  { "-" },
		  "--flag --verbose --name --size --bind --word --mode --help 0" },
		{ "IMAGE [ARG]...", { "--mode", "" }, "auto host 0" },
		{ "IMAGE [ARG]...", { "--mode=h" }, "--mode=host 0" },
		{ "IMAGE [ARG]...", { "--nothing=h" }, "0" },
		{ "IMAGE [ARG]...", { "--word=" }, "--word=all 0" },
		{ "IMAGE [ARG]...", { "-fb", "x" }, "1" }, /* SRC: files */
		{ "IMAGE [ARG]...", { "-f", "x" }, "3" },
		{ "IMAGE [ARG]...", { "--name", "--mode", "--mo" }, "--mode 0" },
		{ "IMAGE [ARG]...", { "./x" }, "1" },
		{ "IMAGE [ARG]...", { "img", "--mo" }, "1" },
		{ "IMAGE [ARG]...", { "--", "img", "a", "b", "" }, "1" },
		{ "IMAGE...", { "a", "b", "" }, "3" },
		{ "IMAGE NAME", { "a", "" }, "0" },
		{ "IMAGE1 IMAGE2", { "a", "" }, "3" },
		{ "IMAGE FILE", { "a", "b", "" }, "0" },
		{ "[KEY]", { "" }, "4" },
		{ "", { "" }, "0" },
		{ NULL, { "in" }, "inner 0" }, /* a group */
		{ NULL, { "inner", "--na" }, "--name 0" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_cmd c = rows[i].operands ? cmd : group;
		char *words[6] = { NULL }, *text = NULL;
		const char *from;
		size_t size = 0;
		FILE *f = open_memstream(&text, &size);
		int n = 0;

		c.operands = rows[i].operands;
		while (n < 5 && rows[i].words[n]) {
			words[n] = (char *)(uintptr_t)rows[i].words[n];
			n++;
		}
		fprintf(f, "%d", (int)hr_cmd_complete(f, &c, n, words, &from));
		fclose(f);
		for (char *p = text; *p; p++)
			if (*p == '\n')
				*p = ' ';
		if (strcmp(text, rows[i].out) != 0)
			fail_msg("row %zu: '%s', expected '%s'", i, text, rows[i].out);
		free(text);
	}
}

static void configuration(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "store = /a\nstore = /b\nserve_memory = 64M\n", NULL },
		{ "stroe = /a\n", "conf, line 1: unknown key 'stroe'" },
		{ "\nsession_linger = x\n", "conf, line 2: session_linger: 'x' is not a number" },
		{ "[x]\nstore = /a\n", "unknown section '[x]'" },
		{ "nonsense\n", "conf, line 1: not a 'key = value' line" },
		{ "verify = maybe\n", "'maybe' is not one of fast, full" },
		{ "store = a\n", "store: 'a' begins with none of '/', 'https://', 'http://'" },
		{ "store = s3://a/b\n", "store: 's3://a/b' begins with none of" },
		{ "mirror = /a\n", "mirror: '/a' begins with none of 'https://', 'http://'" },
		{ "store = https://a /b\n",
		  "conf, line 1: store: 'https://a /b' has a blank in it" },
		{ "\nstore = /a\t/b\n", "conf, line 2: store: '/a\t/b' has a blank in it" },
		{ "store = /a\nmirror = http://a b\n",
		  "conf, line 2: mirror: 'http://a b' has a blank in it" },
		{ "cache = /a /b\n", "cache: '/a /b' has a blank in it" },
		{ "store = /a b\n", NULL },
		{ "store = /a ; why\nbind = /a b:/c\n", NULL },
		{ "cache = tmp\n", "cache: 'tmp' begins with none of '/'" },
	};

	(void)state;
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct hr_err e = { 0 };
		struct hr_conf c;
		int r;

		hr_conf_init(&c);
		r = hr_conf_parse(&c, "conf", rows[i].text, HR_CONF_SITE, &e);
		if ((r == 0) != !rows[i].message ||
		    (rows[i].message && !strstr(e.text, rows[i].message)))
			fail_msg("row %zu: %d '%s'", i, r, e.text);
		if (i == 0) {
			assert_int_equal(c.stores.n, 2);
			assert_int_equal(c.serve_memory, 64u << 20);
		}
		hr_conf_release(&c);
	}
}

/* The value that holds, and where it was set, of a key that has one at most. */
static void assert_item(const struct hr_conf *c, const char *name, const char *value,
			const char *origin)
{
	struct hr_conf_item item;

	for (size_t i = 0; i < hr_conf_items(); i++) {
		hr_conf_item(c, i, &item);
		if (strcmp(item.name, name) == 0) {
			assert_int_equal(item.values.n, value ? 1 : 0);
			assert_int_equal(item.origins.n, item.values.n);
			if (value) {
				assert_string_equal(item.values.v[0], value);
				assert_string_equal(item.origins.v[0], origin);
			}
			hr_conf_item_release(&item);
			return;
		}
		hr_conf_item_release(&item);
	}
	fail_msg("no key '%s'", name);
}

static void configuration_says_what_holds_and_from_where(void **state)
{
	struct hr_err e = { 0 };
	struct hr_conf c;

	(void)state;
	hr_conf_init(&c);
	assert_item(&c, "serve_memory", "192M", "default");
	assert_item(&c, "gc_grace", NULL, NULL);
	assert_item(&c, "store", NULL, NULL);
	assert_int_equal(hr_conf_parse(&c, "site",
				       "# first\ngpu = auto\n\nstore = /a\nserve_memory = 1G\n",
				       HR_CONF_SITE, &e),
			 0);
	assert_item(&c, "gpu", "auto", "site, line 2");
	assert_item(&c, "store", "/a", "site, line 4");
	assert_int_equal(hr_conf_parse(&c, "user", "gpu = none\n", HR_CONF_USER, &e), 0);
	assert_item(&c, "gpu", "none", "user, line 1");
	assert_item(&c, "serve_memory", "1G", "site, line 5");
	hr_conf_release(&c);
}

static void what_the_site_locked_stays(void **state)
{
	struct hr_err e = { 0 };
	struct hr_conf c;

	(void)state;
	hr_conf_init(&c);
	/* a lock stands where it likes in the site's own files */
	assert_int_equal(hr_conf_parse(&c, "site", "locked = gpu bind\ngpu = all\nmpi = off\n",
				       HR_CONF_SITE, &e),
			 0);
	assert_int_equal(
		hr_conf_parse(&c, "user", "gpu = none\nbind = /a\nmpi = auto\n", HR_CONF_USER, &e),
		0);
	assert_item(&c, "gpu", "all", "site, line 2");
	assert_item(&c, "bind", NULL, NULL);
	assert_item(&c, "mpi", "auto", "user, line 3");
	assert_int_equal(hr_conf_check_override(&c, "mpi", "--mpi", &e), 0);
	assert_int_equal(hr_conf_check_override(&c, "gpu", "--gpu", &e), -1);
	assert_int_equal(e.kind, HR_DENIED);
	assert_string_equal(e.text, "--gpu cannot be used here: this site has locked 'gpu' (site, "
				    "line 1)");
	hr_err_clear(&e);
	assert_int_equal(hr_conf_parse(&c, "user", "locked = mpi\n", HR_CONF_USER, &e), -1);
	hr_err_clear(&e);
	assert_int_equal(hr_conf_parse(&c, "site", "locked = gpus\n", HR_CONF_SITE, &e), -1);
	assert_string_equal(e.text, "site, line 1: unknown key 'gpus'");
	hr_err_clear(&e);
	/* another file in place of the site's does not get past its locks */
	hr_conf_keep_locked(&c);
	assert_int_equal(hr_conf_parse(&c, "other", "gpu = none\nlocked = push\npush = yes\n",
				       HR_CONF_SITE, &e),
			 0);
	assert_item(&c, "gpu", "all", "site, line 2");
	assert_item(&c, "mpi", "auto", "default");
	assert_item(&c, "push", "yes", "other, line 3");
	hr_conf_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrap_keeps_the_cause_when_the_text_is_full),
		cmocka_unit_test(numbers),
		cmocka_unit_test(sizes),
		cmocka_unit_test(an_array_grows_by_doubling),
		cmocka_unit_test(untrusted_text_loses_its_escapes),
		cmocka_unit_test(option_tables),
		cmocka_unit_test(completion),
		cmocka_unit_test(groups_of_verbs),
		cmocka_unit_test(configuration),
		cmocka_unit_test(configuration_says_what_holds_and_from_where),
		cmocka_unit_test(what_the_site_locked_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

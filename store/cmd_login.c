/* SPDX-License-Identifier: BSD-3-Clause */
/* hpcrun login: check credentials with a registry and keep them. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "store/cmd.h"
#include "store/json_out.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define PASSWORD_LIMIT (64u << 10) /* bytes; tokens are long */

struct login_args {
	const char *user;
	bool password_stdin, json;
};

static const struct hr_opt login_opts[] = {
	HR_OPT_STR('u', "username", "USER", struct login_args, user, "the user's name there"),
	HR_OPT_FLAG(0, "password-stdin", struct login_args, password_stdin,
		    "read the password from standard input"),
	HR_OPT_FLAG(0, "json", struct login_args, json, "print a JSON object"), HR_OPT_END
};

/* Passwords leave no copy behind. */
static void secret_release(struct hr_buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	hr_buf_release(b);
}

/* ---- asking ---- */

static volatile sig_atomic_t caught; /* a handler has no argument of ours */

static void on_signal(int sig)
{
	caught = sig;
}

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

/* Signals interrupt the read, so that the terminal gets its echo back before they act. */
static void hold_signals(struct sigaction old[HR_COUNT(signals)])
{
	struct sigaction a = { .sa_handler = on_signal };

	caught = 0;
	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < HR_COUNT(signals); i++)
		sigaction(signals[i], &a, &old[i]);
}

static void let_signals_act(const struct sigaction old[HR_COUNT(signals)])
{
	for (size_t i = 0; i < HR_COUNT(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	if (caught)
		raise(caught);
}

/* Read a line without its end; byte by byte, for what follows is not ours. */
static int read_line(int fd, struct hr_buf *out, struct hr_err *e)
{
	char c;

	for (;;) {
		ssize_t n = read(fd, &c, 1);

		if (n < 0)
			return hr_fail(e, HR_SYS, errno, "cannot read from the terminal");
		if (n == 0 && out->len == 0)
			return hr_fail(e, HR_USAGE, 0, "nothing was typed");
		if (n == 0 || c == '\n')
			return 0;
		if (out->len == PASSWORD_LIMIT)
			return hr_fail(e, HR_USAGE, 0, "the line is too long");
		hr_buf_add(out, &c, 1);
	}
}

static int ask_hidden(int tty, struct hr_buf *out, struct hr_err *e)
{
	struct sigaction old[HR_COUNT(signals)];
	struct termios shown, hidden;
	int r;

	if (tcgetattr(tty, &shown) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot get the settings of the terminal");
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hold_signals(old);
	if (tcsetattr(tty, TCSAFLUSH, &hidden) < 0)
		r = hr_fail(e, HR_SYS, errno, "cannot hide what is typed");
	else
		r = read_line(tty, out, e);
	tcsetattr(tty, TCSAFLUSH, &shown);
	dprintf(tty, "\n"); /* the user's was not shown */
	let_signals_act(old);
	return r;
}

/* Ask on the terminal, whatever standard input is. */
static int ask(const char *question, bool hide, struct hr_buf *out, struct hr_err *e)
{
	hr_autofd int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (tty < 0) {
		hr_fail(e, HR_USAGE, errno, "there is no terminal to ask on");
		hr_hint(e, "give --username, and the password with --password-stdin");
		return -1;
	}
	dprintf(tty, "%s: ", question);
	return hide ? ask_hidden(tty, out, e) : read_line(tty, out, e);
}

/* ---- the verb ---- */

/* All of standard input, less one line end, which echo and editors add. */
static int read_password(struct hr_buf *out, struct hr_err *e)
{
	if (hr_fd_read(STDIN_FILENO, PASSWORD_LIMIT, "the password on standard input", out, e) < 0)
		return -1;
	if (out->len > 0 && out->p[out->len - 1] == '\n')
		out->len--;
	if (out->len > 0 && out->p[out->len - 1] == '\r')
		out->len--;
	if (memchr(out->p, '\0', out->len))
		return hr_fail(e, HR_USAGE, 0, "the password has a NUL");
	out->p[out->len] = '\0';
	return 0;
}

static int get_user(const struct login_args *a, struct hr_buf *out, struct hr_err *e)
{
	if (a->user) {
		hr_buf_str(out, a->user);
		return 0;
	}
	if (a->password_stdin)
		return hr_fail(e, HR_USAGE, 0, "--password-stdin needs --username");
	return ask("user name", false, out, e);
}

static int get_password(const struct login_args *a, const char *user, const char *registry,
			struct hr_buf *out, struct hr_err *e)
{
	hr_autobuf struct hr_buf question = { 0 };

	if (a->password_stdin)
		return read_password(out, e);
	hr_buf_str(&question, "password of ");
	hr_buf_untrusted(&question, user, strlen(user));
	hr_buf_str(&question, " at ");
	hr_buf_untrusted(&question, registry, strlen(registry));
	return ask((const char *)question.p, true, out, e);
}

static void print_end(bool json, const char *registry, const char *user)
{
	hr_autobuf struct hr_buf line = { 0 };
	json_t *o;

	if (json) {
		o = json_object();
		store_json_set(o, "registry", json_string(registry));
		store_json_set(o, "username", json_string(user));
		store_json_print(o);
		return;
	}
	hr_buf_untrusted(&line, registry, strlen(registry));
	printf("logged in to %s\n", (const char *)line.p);
}

static int login(const struct login_args *a, struct fetch_client *client, const char *registry,
		 struct hr_err *e)
{
	hr_autobuf struct hr_buf user = { 0 };
	HR_CLEANUP(secret_release) struct hr_buf password = { 0 };

	hr_buf_str(&user, "");
	hr_buf_reserve(&password, 2 * PASSWORD_LIMIT); /* growing would leave copies behind */
	hr_buf_str(&password, "");
	if (get_user(a, &user, e) < 0 ||
	    get_password(a, (const char *)user.p, registry, &password, e) < 0 ||
	    fetch_login(client, registry, (const char *)user.p, (const char *)password.p, e) < 0)
		return -1;
	print_end(a->json, registry, (const char *)user.p);
	return 0;
}

static int login_main(void *args, int argc, char **argv, struct hr_err *e)
{
	HR_CLEANUP(hr_conf_release) struct hr_conf conf = { 0 };
	struct fetch_client *client;
	int r;

	(void)argc;
	if (hr_conf_load(&conf, e) < 0 || store_cmd_client(&conf, NULL, &client, e) < 0)
		return -1;
	r = login(args, client, argv[0], e);
	fetch_client_free(client);
	return r;
}

const struct hr_cmd store_cmd_login = {
	.name = "login",
	.operands = "REGISTRY",
	.summary = "check credentials for a registry and keep them",
	.opts = login_opts,
	.args_size = sizeof(struct login_args),
	.min_operands = 1,
	.max_operands = 1,
	.main = login_main,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "util/log.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/limit.h"
#include "util/poison.h"

static const char *log_program = "hpcrun";
static enum hr_level log_max = HR_LOG_WARN;

void hr_log_setup(const char *program, enum hr_level max)
{
	log_program = program;
	log_max = max;
}

enum hr_level hr_log_level(void)
{
	return log_max;
}

/*
 * One write; a closed or full stderr never stops the job. SIGPIPE is kept off here, not ignored
 * from the start: the program that a rank becomes would inherit that.
 */
static void emit(const struct hr_buf *line)
{
	static const struct timespec at_once = { 0 };
	sigset_t pipe, old;
	ssize_t n;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	n = write(STDERR_FILENO, line->p, line->len);
	if (n < 0 && errno == EPIPE) /* there is nobody left to tell */
		(void)sigtimedwait(&pipe, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

HR_PRINTF(3, 0)
static void log_line(enum hr_level level, const char *name, const char *fmt, va_list ap)
{
	hr_autobuf struct hr_buf line = { 0 };
	char host[64] = "", text[1024];

	if (level > log_max)
		return;
	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	vsnprintf(text, sizeof(text), fmt, ap);
	hr_buf_printf(&line, "%s[%s:%d]: %s: ", log_program, host, (int)getpid(), name);
	hr_buf_untrusted(&line, text, strlen(text));
	hr_buf_str(&line, "\n");
	emit(&line);
}

#define LOG_FUNCTION(fn, level, name)                                                              \
	void fn(const char *fmt, ...)                                                              \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		log_line(level, name, fmt, ap);                                                    \
		va_end(ap);                                                                        \
	}

LOG_FUNCTION(hr_warn, HR_LOG_WARN, "warning")
LOG_FUNCTION(hr_info, HR_LOG_INFO, "info")
LOG_FUNCTION(hr_debug, HR_LOG_DEBUG, "debug")

void hr_err_print(const struct hr_err *failure)
{
	hr_autobuf struct hr_buf line = { 0 };
	struct hr_err e = *failure;

	if (e.sys != EAGAIN) /* a limit where processes are made, and only there */
		hr_limit_hint(&e);
	hr_buf_str(&line, "hpcrun: ");
	hr_buf_untrusted(&line, e.text, strlen(e.text));
	hr_buf_str(&line, "\n");
	if (e.hint[0] != '\0') {
		hr_buf_str(&line, "hpcrun: hint: ");
		hr_buf_untrusted(&line, e.hint, strlen(e.hint));
		hr_buf_str(&line, "\n");
	}
	emit(&line);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "runtime/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/hostlibs.h"
#include "runtime/init.h"
#include "runtime/mount.h"
#include "runtime/msg.h"
#include "runtime/params.h"
#include "runtime/path.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define SOCK_FD 3

/* State of the child; it ends with _exit, so nothing here is released one by one. */
struct build {
	const struct rt_build_job *job;
	int proc;		 /* /proc/self, from before */
	int scratch;		 /* the tmpfs for files of ours */
	int overlay;		 /* the directory of --overlay, or -1 */
	int root;		 /* of the container to be */
	unsigned int below;	 /* mounts of ours that it lies on */
	int *trees;		 /* copies of the bind sources; -1 for those made later */
	struct hr_buf image_env; /* "NAME=VALUE\0" each */
	struct hr_buf memo;	 /* of a session before, or empty */
	struct rt_hostlibs libs; /* of the host, for this image */
	int proc_tree;		 /* of init, to be attached; -1: none, or done */
	int host_hooks;		 /* to the process in the host's namespaces, -1: none is needed */
};

static int tell(uint32_t type, const int *fds, size_t n, struct hr_err *e)
{
	struct rt_progress p = { .type = type };

	return rt_msg_send(SOCK_FD, &p, sizeof(p), fds, n, e);
}

static int enter_userns(struct build *b, struct hr_err *e)
{
	return rt_userns_enter(b->proc, b->job->ids, e);
}

static int make_private(struct build *b, struct hr_err *e)
{
	(void)b;
	return rt_mount_private(e);
}

/* What every /dev has besides nodes, makedev(8); they lead to the process that follows them. */
static int make_dev(const char *options, struct hr_err *e)
{
	static const struct {
		const char *name, *to;
	} links[] = {
		{ "fd", "/proc/self/fd" },
		{ "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" },
	};
	hr_autofd int fd = rt_mount_new("tmpfs", options, e);

	for (size_t i = 0; fd >= 0 && i < HR_COUNT(links); i++)
		if (symlinkat(links[i].to, fd, links[i].name) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot make a link in /dev");
	return hr_steal_fd(&fd);
}

static int make_spaces(struct build *b, struct hr_err *e)
{
	return rt_spaces_make(b->job->spaces, b->job->hostname, e);
}

static int start_init(struct build *b, struct hr_err *e)
{
	struct rt_progress p = { .type = BUILD_INIT };
	hr_autofd int sock = -1;
	pid_t pid;

	if (!(b->job->spaces & RT_SPACE_PID))
		return 0;
	pid = rt_init_start(&b->proc_tree, &sock, e);
	p.us = (uint32_t)pid;
	return pid < 0 ? -1 : rt_msg_send(SOCK_FD, &p, sizeof(p), &sock, 1, e);
}

static int copy_source(struct build *b, const struct rt_bind *bind, struct hr_err *e)
{
	switch (bind->kind) {
	case RT_BIND_HOST:
		return rt_mount_clone(bind->src, e);
	case RT_BIND_TMPFS:
		return rt_mount_new("tmpfs", bind->src, e);
	case RT_BIND_DEV:
		return make_dev(bind->src, e);
	case RT_BIND_MQUEUE:
		return rt_mount_new("mqueue", bind->src, e);
	case RT_BIND_PROC:
		return hr_steal_fd(&b->proc_tree);
	case RT_BIND_FILE:
		break;
	}
	HR_BUG_ON(true);
	return -1;
}

static int copy_sources(struct build *b, struct hr_err *e)
{
	const struct rt_binds *l = b->job->binds;

	b->trees = hr_xmalloc(l->n * sizeof(*b->trees));
	for (size_t i = 0; i < l->n; i++) {
		b->trees[i] = -1;
		if (l->v[i].kind == RT_BIND_FILE)
			continue;
		b->trees[i] = copy_source(b, &l->v[i], e);
		if (b->trees[i] < 0 || (l->v[i].ro && rt_mount_set_readonly(b->trees[i], e) < 0))
			return hr_wrap(e, "cannot bind '%s'", l->v[i].src);
	}
	return 0;
}

static int mount_scratch(struct build *b, struct hr_err *e)
{
	/* without --writable it holds two small files; with it, all that the programs change */
	b->scratch = rt_mount_tmpfs(b->job->writable ? "mode=0700" : "mode=0700,size=4m", e);
	b->below++;
	return b->scratch < 0 ? -1 : 0;
}

static int mount_image(struct build *b, struct hr_err *e)
{
	const struct rt_ids *ids = b->job->ids;
	hr_autofd int fuse = rt_mount_open_fuse(e);

	if (fuse < 0)
		return -1;
	b->root = rt_mount_fuse(fuse, ids->uid_inside, ids->gid_inside, e);
	if (b->root < 0)
		return -1;
	return tell(BUILD_FUSE, &fuse, 1, e);
}

static int wait_for_server(struct build *b, struct hr_err *e)
{
	struct rt_progress p;
	int fds[2]; /* this process has no others to mind when it ends */

	if (rt_msg_recv(SOCK_FD, &p, sizeof(p), fds, 2, e) < 0 ||
	    rt_msg_read_memfd(fds[0], RT_PARAMS_MAX, &b->image_env, e) < 0)
		return -1;
	return rt_msg_read_memfd(fds[1], RT_MEMO_MAX, &b->memo, e);
}

static int open_overlay(struct build *b, struct hr_err *e)
{
	if (!b->job->overlay)
		return 0;
	b->overlay = open(b->job->overlay, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return b->overlay >= 0 ? 0 : hr_fail(e, HR_SYS, errno, "cannot open '%s'", b->job->overlay);
}

static int make_writable(struct build *b, struct hr_err *e)
{
	static const char *const dirs[] = { "upper", "work" };
	int top, changes = b->overlay >= 0 ? b->overlay : b->scratch;

	if (!b->job->writable && b->overlay < 0)
		return 0;
	for (size_t i = 0; b->overlay < 0 && i < HR_COUNT(dirs); i++)
		if (mkdirat(b->scratch, dirs[i], 0755) < 0 ||
		    fchmodat(b->scratch, dirs[i], 0755, 0) < 0)
			return hr_fail(e, HR_SYS, errno, "cannot make directory '%s' for changes",
				       dirs[i]);
	top = rt_mount_overlay(b->root, changes, b->job->overlay_ro, e);
	if (top < 0)
		return -1;
	b->below++;
	close(b->root);
	b->root = top;
	return 0;
}

/* The user's shell, if the image has it. */
static void check_shell(struct build *b, struct rt_identity *id)
{
	struct hr_err ignored = { 0 }; /* not there, or out of reach: /bin/sh then */
	hr_autofd int fd = rt_path_open(b->root, id->shell, O_PATH, &ignored);

	if (fd < 0)
		id->shell = hr_xstrdup("/bin/sh");
}

static int make_file(struct build *b, const struct rt_bind *bind, int *tree, struct hr_err *e)
{
	struct rt_identity id = *b->job->identity;
	hr_autobuf struct hr_buf image = { 0 }, text = { 0 };
	hr_autofd int fd = -1;

	if (rt_path_read(b->root, bind->dst, RT_IDENTITY_FILE_MAX, &image, e) < 0)
		return -1;
	if (strcmp(bind->src, "passwd") == 0) {
		check_shell(b, &id);
		rt_identity_passwd(&id, (const char *)image.p, image.len, &text);
	} else {
		rt_identity_group(&id, (const char *)image.p, image.len, &text);
	}
	fd = openat(b->scratch, bind->src, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make file '%s'", bind->src);
	if (hr_write_all(fd, text.p, text.len, bind->src, e) < 0)
		return -1;
	*tree = rt_mount_clone_at(b->scratch, bind->src, e);
	return *tree < 0 ? -1 : rt_mount_set_readonly(*tree, e);
}

static int make_files(struct build *b, struct hr_err *e)
{
	const struct rt_binds *l = b->job->binds;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == RT_BIND_FILE && make_file(b, &l->v[i], &b->trees[i], e) < 0)
			return hr_wrap(e, "cannot provide '%s'", l->v[i].dst);
	return 0;
}

/* It lies in a file system that we have made, where nothing exists yet. */
static bool lies_in_ours(const struct rt_binds *l, size_t i)
{
	int below = rt_binds_below(l, i);

	return below >= 0 && (l->v[below].kind == RT_BIND_TMPFS || l->v[below].kind == RT_BIND_DEV);
}

static int attach(struct build *b, size_t i, struct hr_err *e)
{
	const struct rt_bind *bind = &b->job->binds->v[i];
	hr_autofd int target = -1;

	if (lies_in_ours(b->job->binds, i) && rt_path_make(b->root, bind->dst, bind->file, e) < 0)
		return -1;
	target = rt_path_open(b->root, bind->dst, O_PATH, e);
	if (target >= 0)
		return rt_mount_attach(b->trees[i], target, e);
	if (e->kind == HR_NOTFOUND)
		hr_hint(e,
			"a bind inside another needs its target to exist there: make '%s' on the "
			"host, or choose another target",
			bind->dst);
	return -1;
}

static int tell_note(enum hr_level level, const char *text, struct hr_err *e)
{
	struct rt_progress note = { .type = BUILD_NOTE, .us = level };

	snprintf(note.err.text, sizeof(note.err.text), "%s", text);
	return rt_msg_send(SOCK_FD, &note, sizeof(note), NULL, 0, e);
}

/* What the session and the user must know of the libraries that were chosen. */
static int tell_libraries(const struct rt_hostlibs *h, struct hr_err *e)
{
	struct rt_progress host = { .type = BUILD_HOST };
	hr_autobuf struct hr_buf env = { 0 };
	hr_autofd int env_fd = -1, report_fd = -1;
	int fds[2];

	if (h->notice && tell_note(h->notice_matters ? HR_LOG_WARN : HR_LOG_INFO, h->notice, e) < 0)
		return -1;
	for (size_t i = 0; i < h->warnings.n; i++)
		if (tell_note(HR_LOG_WARN, h->warnings.v[i], e) < 0)
			return -1;
	if (h->inject.n == 0 && h->env.n == 0 && h->report.len == 0)
		return 0;
	host.us = h->inject.n > 0;
	rt_params_list(&env, &h->env);
	env_fd = rt_msg_memfd(env.p, env.len, e);
	report_fd = env_fd < 0 ? -1 : rt_msg_memfd(h->report.p, h->report.len, e);
	if (report_fd < 0)
		return -1;
	fds[0] = env_fd;
	fds[1] = report_fd;
	return rt_msg_send(SOCK_FD, &host, sizeof(host), fds, 2, e);
}

/* As a session before has chosen. */
static bool recall_libraries(struct build *b)
{
	struct rt_memo m = { 0 };
	struct hr_err bad = { 0 }; /* then they are chosen anew */
	bool good = b->memo.len > 0 && rt_memo_parse(b->memo.p, b->memo.len, &m, &bad) == 0 &&
		    rt_hostlibs_recall(b->job->hostlibs, &m, &b->libs, &bad) == 0;

	rt_memo_release(&m);
	if (!good)
		rt_hostlibs_release(&b->libs);
	return good;
}

static int tell_memo(struct rt_memo *m, struct hr_err *e)
{
	struct rt_progress p = { .type = BUILD_MEMO };
	hr_autobuf struct hr_buf bytes = { 0 };
	hr_autofd int fd = -1;

	if (m->unsure)
		return 0;
	rt_memo_write(m, &bytes);
	fd = rt_msg_memfd(bytes.p, bytes.len, e);
	return fd < 0 ? -1 : rt_msg_send(SOCK_FD, &p, sizeof(p), &fd, 1, e);
}

static int choose_libraries(struct build *b, struct hr_err *e)
{
	hr_autofd int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct rt_memo m = { 0 };

	if (host < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open the root directory");
	if (!recall_libraries(b) && (rt_hostlibs_choose(b->job->hostlibs, host, b->root,
							&b->image_env, &m, &b->libs, e) < 0 ||
				     tell_memo(&m, e) < 0))
		return -1;
	return tell_libraries(&b->libs, e);
}

static int bind_libraries(struct build *b, struct hr_err *e)
{
	if (rt_inject_apply(&b->libs.inject, b->scratch, b->root, e) < 0)
		return -1;
	for (size_t i = 0; i < b->libs.binds.n; i++) {
		const struct rt_bind *bind = &b->libs.binds.v[i];
		hr_autofd int tree = rt_mount_clone(bind->src, e);
		hr_autofd int target = tree < 0 ? -1 : rt_path_open(b->root, bind->dst, O_PATH, e);

		if (target < 0 || (bind->ro && rt_mount_set_readonly(tree, e) < 0) ||
		    rt_mount_attach(tree, target, e) < 0)
			return hr_wrap(e, "cannot bind '%s' at '%s'", bind->src, bind->dst);
	}
	return 0;
}

static int attach_binds(struct build *b, struct hr_err *e)
{
	const struct rt_binds *l = b->job->binds;

	for (size_t i = 0; i < l->n; i++)
		if (attach(b, i, e) < 0)
			return hr_wrap(e, "cannot bind '%s' at '%s'", l->v[i].src, l->v[i].dst);
	return 0;
}

/*
 * createRuntime hooks see the host's namespaces, which the builder leaves. A child that stays
 * behind runs them when it is told to, and sends the verdict.
 */
static void host_main(const struct build *b, int sock, pid_t builder)
{
	struct hr_err verdict = { 0 }, e = { 0 };
	char go;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* cannot fail with a valid signal */
	if (rt_msg_recv(sock, &go, sizeof(go), NULL, 0, &e) < 0)
		_exit(HR_EXIT_FAILED); /* the builder has gone */
	r = rt_hooks_run(b->job->hooks, RT_HOOK_CREATE_RUNTIME, builder, &verdict);
	if (rt_msg_send(sock, &verdict, sizeof(verdict), NULL, 0, &e) < 0)
		r = -1;
	_exit(r < 0 ? HR_EXIT_FAILED : 0);
}

static int stay_behind(struct build *b, struct hr_err *e)
{
	pid_t builder = getpid(), pid;
	int pair[2];

	if (!rt_hooks_any(b->job->hooks, RT_HOOK_CREATE_RUNTIME))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a socket pair");
	pid = fork();
	if (pid < 0)
		return hr_fail(e, HR_SYS, errno, "cannot start a process for hooks");
	if (pid == 0) {
		close(pair[0]);
		close(SOCK_FD); /* the session must not wait for this one */
		host_main(b, pair[1], builder);
	}
	close(pair[1]);
	b->host_hooks = pair[0];
	return 0;
}

static int run_host_hooks(struct build *b, struct hr_err *e)
{
	struct hr_err verdict;
	char go = 1;

	if (b->host_hooks < 0)
		return 0;
	if (rt_msg_send(b->host_hooks, &go, sizeof(go), NULL, 0, e) < 0 ||
	    rt_msg_recv(b->host_hooks, &verdict, sizeof(verdict), NULL, 0, e) < 0)
		return hr_wrap(e, "the process for hooks");
	*e = verdict;
	return e->kind == HR_OK ? 0 : -1;
}

static int run_container_hooks(struct build *b, struct hr_err *e)
{
	return rt_hooks_run(b->job->hooks, RT_HOOK_CREATE_CONTAINER, getpid(), e);
}

static int run_start_hooks(struct build *b, struct hr_err *e)
{
	return rt_hooks_run(b->job->hooks, RT_HOOK_START_CONTAINER, getpid(), e);
}

static int change_root(struct build *b, struct hr_err *e)
{
	return rt_mount_pivot(b->root, b->below, e);
}

static const struct rt_step {
	const char *name;
	int (*run)(struct build *b, struct hr_err *e);
} steps[] = {
	{ "stay behind", stay_behind },		  /* first: it is to see the host as we do now */
	{ "enter user namespace", enter_userns }, /* the rest needs its capabilities */
	{ "make mounts private", make_private },  /* before the first mount: none may leak out */
	{ "make namespaces", make_spaces },	  /* before what is mounted for them */
	{ "start init", start_init },		  /* likewise: it makes /proc */
	{ "copy bind sources", copy_sources },	  /* before "/" is covered: they are host paths */
	{ "open overlay", open_overlay },	  /* likewise */
	{ "mount scratch", mount_scratch },	  /* beneath the image, which hides it */
	{ "mount image", mount_image },		  /* as early as can be: the server waits for it */
	{ "wait for server", wait_for_server },	  /* the first step that looks into the image */
	{ "make image writable", make_writable }, /* before binds: they land on the overlay */
	{ "choose host libraries",
	  choose_libraries },			   /* before binds: it is the image's that count */
	{ "bind host libraries", bind_libraries }, /* likewise; what the user binds hides them */
	{ "write passwd and group", make_files },  /* before binds: they would hide the image's */
	{ "attach binds", attach_binds },	   /* before the root is changed: by descriptor */
	{ "createRuntime hooks", run_host_hooks }, /* OCI: mounted, the root not yet changed */
	{ "createContainer hooks", run_container_hooks }, /* likewise */
	{ "change root", change_root },			  /* nothing of the host is left after it */
	{ "startContainer hooks", run_start_hooks },	  /* last: as the programs will see it */
};

static int run_steps(struct build *b, struct hr_err *e)
{
	for (size_t i = 0; i < HR_COUNT(steps); i++) {
		struct rt_progress p = { .type = BUILD_STEP };
		uint64_t start = hr_now_us();

		if (steps[i].run(b, e) < 0)
			return hr_wrap(e, "step '%s'", steps[i].name);
		p.us = (uint32_t)(hr_now_us() - start);
		memcpy(p.step, steps[i].name, strlen(steps[i].name) + 1);
		if (rt_msg_send(SOCK_FD, &p, sizeof(p), NULL, 0, e) < 0)
			return -1;
	}
	return 0;
}

static int hand_over(struct build *b, struct hr_err *e)
{
	int fds[RT_BUILD_FDS_MAX] = { openat(b->proc, "ns/user", O_RDONLY | O_CLOEXEC),
				      openat(b->proc, "ns/mnt", O_RDONLY | O_CLOEXEC) };
	int n;

	if (fds[0] < 0 || fds[1] < 0)
		return hr_fail(e, HR_SYS, errno, "cannot open the namespaces of the container");
	n = rt_spaces_open(b->job->spaces, b->proc, fds + 2, e);
	return n < 0 ? -1 : tell(BUILD_DONE, fds, 2 + (size_t)n, e);
}

/* Only the socket stays open: those of the session must not live on in this child. */
static int keep_socket_only(int sock, struct hr_err *e)
{
	if (sock != SOCK_FD && dup2(sock, SOCK_FD) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot place the socket");
	if (syscall(SYS_close_range, SOCK_FD + 1, ~0u, 0u) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot close descriptors");
	return 0;
}

static void child_main(const struct rt_build_job *job, int sock)
{
	struct build b = { .job = job,
			   .proc = -1,
			   .scratch = -1,
			   .root = -1,
			   .overlay = -1,
			   .proc_tree = -1,
			   .host_hooks = -1 };
	struct rt_progress p = { .type = BUILD_FAILED };
	struct hr_err *e = &p.err, unheard = { 0 };
	int heard;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* cannot fail with a valid signal */
	if (keep_socket_only(sock, e) == 0)
		b.proc = rt_userns_open_proc(e);
	if (e->kind == HR_OK && run_steps(&b, e) == 0 && hand_over(&b, e) == 0)
		_exit(0);
	heard = rt_msg_send(SOCK_FD, &p, sizeof(p), NULL, 0, &unheard);
	(void)heard; /* the session may have gone: then nobody waits for the verdict */
	_exit(HR_EXIT_FAILED);
}

pid_t rt_build_start(const struct rt_build_job *job, int *sock, struct hr_err *e)
{
	hr_autofd int ours = -1, theirs = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a socket pair");
	ours = pair[0];
	theirs = pair[1];
	pid = fork();
	if (pid == 0)
		child_main(job, theirs);
	if (pid < 0)
		return hr_fail(e, HR_SYS, errno, "cannot start the builder of the container");
	*sock = hr_steal_fd(&ours);
	return pid;
}

# Layer 3. libruntime.a holds everything but the two mains; hpcrun pulls out of it what reaches libc
# alone, hpcrun-session the rest.
noinst_LIBRARIES += libruntime.a
libruntime_a_SOURCES = \
	runtime/beat.c runtime/beat.h runtime/bind.c runtime/bind.h runtime/caps.c runtime/caps.h runtime/cdi.c runtime/cdi.h \
	runtime/cdi_hook.c runtime/cdi_hook.h runtime/cdi_merge.c runtime/child.c runtime/child.h \
	runtime/clients.c runtime/clients.h runtime/cmd_run.c runtime/cmd_run.h \
	runtime/cmd_completion.c runtime/cmd_completion.h \
	runtime/cmd_doctor.c runtime/cmd_doctor.h runtime/cmd_mpi_check.c runtime/cmd_mpi_check.h \
	runtime/closure.c runtime/closure.h runtime/closure_check.c \
	runtime/elf.c runtime/elf.h runtime/hostlibs.c runtime/hostlibs.h runtime/inject.c runtime/inject.h \
	runtime/libtree.c runtime/libtree.h runtime/mpi.c runtime/mpi.h \
	runtime/mpi_report.c runtime/mpi_report.h runtime/stack.c runtime/stack.h \
	runtime/enter.c runtime/enter.h runtime/env.c runtime/env.h runtime/events.c \
	runtime/exec.c runtime/exec.h runtime/first_run.c runtime/hook.c runtime/hook.h \
	runtime/gpu.c runtime/gpu.h runtime/gpu_apply.c runtime/gpu_apply.h \
	runtime/gpu_cdi.c runtime/gpu_cdi.h runtime/gpu_libs.c runtime/gpu_libs.h \
	runtime/gpu_list.c runtime/gpu_list.h \
	runtime/hooks.c runtime/hooks.h runtime/identity.c runtime/identity.h \
	runtime/imgconf.c runtime/imgconf.h runtime/join.c runtime/join.h runtime/init.c runtime/init.h runtime/json.c runtime/json.h \
	runtime/key.c runtime/key.h runtime/ldcache.c runtime/ldcache.h runtime/lend.c runtime/lsm.c runtime/lsm.h \
	runtime/memo.c runtime/memo.h runtime/mount.c runtime/mount.h runtime/msg.c runtime/msg.h \
	runtime/name.c runtime/name.h runtime/native.c runtime/native.h \
	runtime/often.c runtime/often.h runtime/overlay.c runtime/overlay.h runtime/params.c runtime/params.h runtime/path.c runtime/path.h \
	runtime/place.c runtime/place.h runtime/plan.c runtime/plan.h \
	runtime/profile.c runtime/profile.h runtime/pull.c runtime/pull.h \
	runtime/say.c runtime/say.h \
	runtime/scratch.c runtime/scratch.h runtime/seccomp.c runtime/seccomp.h runtime/server.c runtime/server.h \
	runtime/session.c runtime/session.h runtime/shape.c runtime/shape.h runtime/siphash.c runtime/siphash.h runtime/slurm.c runtime/slurm.h \
	runtime/spaces.c runtime/spaces.h runtime/start.c runtime/start.h runtime/stats.c runtime/stats.h runtime/steps.c runtime/steps.h \
	runtime/tasks.c runtime/tasks.h runtime/trust.c runtime/trust.h \
	runtime/userns.c runtime/userns.h runtime/verbs.c runtime/verbs.h runtime/view.c runtime/view.h \
	runtime/waiter.c runtime/waiter.h runtime/walk.c runtime/walk.h runtime/yaml.c runtime/yaml.h
libruntime_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS) $(JANSSON_CFLAGS) $(YAML_CFLAGS) $(ELF_CFLAGS)

# The scripts of etc/completion as texts of C, for those who have hpcrun in a prefix of its own.
TO_C = sed 's/\\/\\\\/g; s/"/\\"/g; s/^/	"/; s/$$/\\n"/'
runtime/completion_scripts.h: etc/completion/hpcrun.bash etc/completion/_hpcrun
	$(AM_V_GEN)$(MKDIR_P) runtime && { \
		echo 'static const char bash_script[] =' && $(TO_C) $(srcdir)/etc/completion/hpcrun.bash && echo ';' && \
		echo 'static const char zsh_script[] =' && $(TO_C) $(srcdir)/etc/completion/_hpcrun && echo ';'; \
	} >$@-t && mv -f $@-t $@
runtime/libruntime_a-cmd_completion.$(OBJEXT): runtime/completion_scripts.h
CLEANFILES += runtime/completion_scripts.h

bin_PROGRAMS += hpcrun
hpcrun_SOURCES = runtime/main.c
hpcrun_LDADD = libruntime.a libutil.a
hpcrun_LDFLAGS = $(HPCRUN_PIE) $(HPCRUN_HARDEN_LD)

pkglibexec_PROGRAMS += hpcrun-session
hpcrun_session_SOURCES = runtime/session_main.c
hpcrun_session_LDADD = libruntime.a libutil.a $(SESSION_LIBS)
hpcrun_session_LDFLAGS = $(SESSION_PIE) $(HPCRUN_HARDEN_LD)

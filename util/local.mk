# Layer 0. conf_load.c alone needs inih; a program that does not use it does not link it (--as-needed).
noinst_LIBRARIES += libutil.a
libutil_a_SOURCES = \
	util/boot.c util/boot.h util/buf.c util/buf.h util/cleanup.h util/clock.c util/clock.h util/complete.c util/complete.h util/conf.c util/conf_load.c util/conf.h util/err.c util/err.h \
	util/finding.c util/finding.h util/io.c util/io.h util/le.h util/limit.c util/limit.h util/log.c util/log.h util/mem.c util/mem.h \
	util/opt.c util/opt.h util/optsrc.c util/optsrc.h util/packet.c util/packet.h util/poison.h \
	util/rundir.c util/rundir.h util/serve_proto.c util/serve_proto.h \
	util/stats.c util/stats.h util/source.c util/source.h
libutil_a_CFLAGS = $(AM_CFLAGS) $(INIH_CFLAGS)

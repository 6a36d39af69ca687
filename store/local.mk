# Layer 2: images at rest. One source a line, so that two changes seldom meet.
noinst_LIBRARIES += libstore.a
libstore_a_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS) $(CRYPTO_CFLAGS) $(ISAL_CFLAGS)
libstore_a_SOURCES = \
	store/bundle.c store/bundle.h \
	store/cache.c store/cache.h \
	store/cache_file.c store/cache_file.h \
	store/cache_meta.c store/cache_meta.h \
	store/cache_place.c store/cache_place.h \
	store/cache_ref.c store/cache_ref.h \
	store/check.c store/check.h store/check_parts.h \
	store/check_object.c \
	store/check_pack.c \
	store/chunks.c store/chunks.h \
	store/crc64.c \
	store/crew.c store/crew.h \
	store/cut.c store/cut.h \
	store/dict.c store/dict.h \
	store/dict_segment.c store/dict_segment.h \
	store/digest_set.c store/digest_set.h \
	store/elf.c store/elf.h \
	store/elf_code.c store/elf_code.h \
	store/file_image.c store/file_image.h \
	store/foresee.c store/foresee.h \
	store/foresee_python.c store/foresee_python.h \
	store/foresee_view.c store/foresee_view.h \
	store/gc.c store/gc.h \
	store/frame.c store/frame.h \
	store/gzip_out.c store/gzip_out.h \
	store/heap.c store/heap.h \
	store/idmap.c store/idmap.h \
	store/image.c store/image.h \
	store/image_libc.c store/image_libc.h \
	store/import.c store/import.h \
	store/import_chunks.c store/import_chunks.h \
	store/import_layer.c store/import_layer.h \
	store/import_merge.c store/import_merge.h \
	store/import_pipe.c store/import_pipe.h \
	store/import_rows.c store/import_rows.h \
	store/import_stream.c store/import_stream.h \
	store/import_source.c store/import_source.h \
	store/import_work.c store/import_work.h \
	store/in_order.c store/in_order.h \
	store/index.c store/index.h \
	store/index_build.c store/index_format.h \
	store/inflate.c store/inflate.h \
	store/job.c store/job.h \
	store/layer.c store/layer.h \
	store/layer_build.c store/layer_format.h \
	store/layer_tar.c store/layer_tar.h \
	store/layout.c store/layout.h \
	store/layout_each.c store/layout_names.h \
	store/layout_ref.c \
	store/layout_tmp.c \
	store/lease.c store/lease.h \
	store/loc.c store/loc.h \
	store/local_cache.c store/local_cache.h \
	store/match.c store/match.h \
	store/members.c store/members.h \
	store/memory_dir.c store/memory_dir.h \
	store/meta.c store/meta.h \
	store/merge.c store/merge.h \
	store/merge_finish.c store/merge_tree.h \
	store/native.c store/native.h \
	store/native_make.c store/native_make.h \
	store/native_pour.c store/native_pour.h \
	store/outage.c store/outage.h \
	store/pack.c store/pack.h \
	store/pack_reader.c store/pack_reader.h \
	store/pager.c store/pager.h store/pager_parts.h \
	store/pager_fetch.c store/pager_lanes.c store/pager_tables.c \
	store/prefetch.c store/prefetch.h \
	store/prefetch_files.c store/prefetch_files.h \
	store/process.c store/process.h \
	store/python.c store/python.h \
	store/record.c store/record.h \
	store/refill.c store/refill.h \
	store/repack.c store/repack.h \
	store/repair.c store/repair.h \
	store/serve_ahead.c store/serve_ahead.h \
	store/serve_tree.c store/serve_tree.h \
	store/sha256mb.c store/sha256mb.h \
	store/sif.c store/sif.h store/sif_format.h \
	store/sif_write.c store/sif_write.h \
	store/site.c store/site.h \
	store/site_file.c \
	store/size.c store/size.h \
	store/sqfs.c store/sqfs.h \
	store/sqfs_child.c store/sqfs_child.h \
	store/store.h \
	store/table.c store/table.h \
	store/tar.c store/tar.h \
	store/tar_format.c store/tar_format.h \
	store/ticker.c store/ticker.h \
	store/tar_out.c store/tar_out.h \
	store/trace.c store/trace.h \
	store/tree_diff.c store/tree_diff.h \
	store/tree_tar.c store/tree_tar.h \
	store/tree_tar_dir.c \
	store/upstream.c store/upstream.h \
	store/url_image.c store/url_image.h \
	store/web.c store/web.h \
	store/when.c store/when.h

pkglibexec_PROGRAMS += hpcrun-store
hpcrun_store_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
hpcrun_store_LDADD = libstore.a libfetch.a libutil.a $(ARCHIVE_LIBS) $(ZSTD_LIBS) $(ISAL_LIBS) \
	$(JANSSON_LIBS) $(CURL_LIBS) $(CRYPTO_LIBS) $(INIH_LIBS) -lpthread
hpcrun_store_SOURCES = \
	store/check_show.c store/check_show.h \
	store/cmd.c store/cmd.h \
	store/cmd_cache.c \
	store/cmd_completion.c \
	store/cmd_config.c \
	store/cmd_diff.c \
	store/cmd_doctor.c \
	store/cmd_export.c \
	store/cmd_gc.c \
	store/cmd_history.c \
	store/cmd_image.c store/cmd_image.h \
	store/cmd_images.c \
	store/cmd_inspect.c store/cmd_inspect.h \
	store/cmd_inspect_file.c \
	store/cmd_login.c \
	store/cmd_logout.c \
	store/cmd_plan.c \
	store/cmd_prefetch.c \
	store/cmd_pull.c \
	store/cmd_push.c \
	store/cmd_refill.c \
	store/cmd_rmi.c \
	store/cmd_tag.c \
	store/cmd_stats.c \
	store/cmd_store.c store/cmd_store.h \
	store/cmd_store_compact.c \
	store/cmd_store_fsck.c \
	store/cmd_store_list.c \
	store/cmd_store_sync.c \
	store/cmd_verify.c \
	store/cmd_version.c \
	store/host_verdict.c store/host_verdict.h \
	store/interrupt.c store/interrupt.h \
	store/json_out.c store/json_out.h \
	store/main_store.c \
	store/oci_out.c store/oci_out.h \
	store/progress.c store/progress.h \
	store/push_progress.c store/push_progress.h \
	store/sessions.c store/sessions.h \
	store/sessions_print.c \
	store/sessions_prometheus.c \
	store/url_file.c store/url_file.h

# Reads the metadata of hostile squashfs files, confined.
pkglibexec_PROGRAMS += hpcrun-sqfs
hpcrun_sqfs_CFLAGS = $(AM_CFLAGS) $(ZSTD_CFLAGS)
hpcrun_sqfs_LDADD = libstore.a libfetch.a libutil.a $(SECCOMP_LIBS) $(ZSTD_LIBS) $(ISAL_LIBS) \
	$(DL_LIBS)
hpcrun_sqfs_SOURCES = \
	store/main_sqfs.c \
	store/sqfs_index.c store/sqfs_index.h \
	store/sqfs_meta.c store/sqfs_meta.h \
	store/sqfs_table.c store/sqfs_table.h

# Two programs from the same sources: who reads files does not load libcurl.
pkglibexec_PROGRAMS += hpcrun-serve hpcrun-serve-net
SERVE_SOURCES = \
	store/serve.h \
	store/serve_push.c store/serve_push.h \
	store/serve_loop.c \
	store/serve_main.c \
	store/serve_native.c \
	store/serve_ops.c \
	store/serve_read.c \
	store/serve_sha256.c \
	store/serve_warm.c
SERVE_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
hpcrun_serve_CFLAGS = $(SERVE_CFLAGS)
hpcrun_serve_LDADD = libstore.a libfetch.a libutil.a $(SERVE_LIBS) $(FUSE_LIBS) $(ZSTD_LIBS) $(ISAL_LIBS) \
	$(INIH_LIBS) $(DL_LIBS)
hpcrun_serve_SOURCES = $(SERVE_SOURCES) store/serve_files.c
hpcrun_serve_net_CFLAGS = $(SERVE_CFLAGS)
hpcrun_serve_net_LDADD = libstore.a libfetch.a libutil.a $(FUSE_LIBS) $(ZSTD_LIBS) $(CRYPTO_LIBS) \
	$(ISAL_LIBS) $(INIH_LIBS) $(CURL_LIBS) $(JANSSON_LIBS) $(DL_LIBS) -lpthread
hpcrun_serve_net_SOURCES = $(SERVE_SOURCES) store/serve_net.c

# installed as an example: a site's own file is never overwritten
dist_pkgdata_DATA = etc/hpcrun.conf
hooksexampledir = $(pkgdatadir)/hooks
dist_hooksexample_DATA = etc/hooks/10-licence.json

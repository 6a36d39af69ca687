# installed as an example: a site's own file is never overwritten
dist_pkgdata_DATA = etc/hpcrun.conf

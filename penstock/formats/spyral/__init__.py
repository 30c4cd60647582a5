"""The workspace of Spyral, the analysis framework of the AT-TPC group (1.x): point clouds, clusters, estimates and fits.

Light: it imports nothing. `layout` has the names of folders and files, `clouds` and `tables` write the files, `reader`
reads them as records of the schema in `events`, `workspace` exports the artifacts of a run.
"""

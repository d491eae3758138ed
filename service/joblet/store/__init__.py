"""What the service keeps on disk: the rows of one SQLite file, and the files of each job."""

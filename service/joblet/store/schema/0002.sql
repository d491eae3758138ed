-- The range of host ids of a job, and the project id of its work directory while that is kept.
ALTER TABLE jobs ADD COLUMN first_id INTEGER;
ALTER TABLE jobs ADD COLUMN project INTEGER;

CREATE INDEX jobs_with_work ON jobs (finished_usec) WHERE project IS NOT NULL;

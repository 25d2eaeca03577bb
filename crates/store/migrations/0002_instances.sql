ALTER TABLE jobs ADD COLUMN instance_type TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN instance_count INTEGER NOT NULL DEFAULT 1;

-- What quotas count.
CREATE INDEX jobs_open ON jobs (state, kind, instance_type, instance_count, arn)
    WHERE ended_at IS NULL;

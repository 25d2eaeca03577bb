-- What a job comes to for clients of SageMaker: training and processing jobs that ran out of time
-- are stopped, not failed, and so are training jobs that waited for too long by their own limit.
ALTER TABLE jobs ADD COLUMN status TEXT GENERATED ALWAYS AS (
    CASE WHEN phase = 'failed' AND (
        class = 'timeout' AND kind IN ('training', 'processing')
        OR class = 'capacity' AND kind = 'training'
            AND substr(message, 1, 14) <> 'CapacityError:'
    ) THEN 'stopped' ELSE phase END
) VIRTUAL;

CREATE INDEX jobs_by_status ON jobs (status, created_at, id, kind, name, phase, modified_at);
DROP INDEX jobs_by_name;
CREATE INDEX jobs_by_name ON jobs (name, id, kind, phase, status, created_at, modified_at);

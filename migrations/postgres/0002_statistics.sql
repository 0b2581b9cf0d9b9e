-- One partition per month, as for `pings`; the server creates both together.
CREATE TABLE statistics (
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    -- Null if `pi` matches no ping. There is no foreign key, because months are dropped.
    pingback_id uuid,
    pi text NOT NULL,
    extra jsonb NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX statistics_pingback ON statistics (pingback_id);
CREATE INDEX statistics_received_at ON statistics USING brin (received_at);

CREATE TABLE channel_statistics (
    statistics_id uuid NOT NULL,
    position integer NOT NULL,
    channel_id text NOT NULL,
    version bigint NOT NULL,
    updated date,
    popular_ids jsonb NOT NULL,
    popular_counts jsonb NOT NULL,
    storage_mib double precision NOT NULL,
    summaries_started bigint NOT NULL,
    summaries_completed bigint NOT NULL,
    sessions_by_kind jsonb NOT NULL,
    user_sessions bigint NOT NULL,
    anonymous_sessions bigint NOT NULL,
    user_minutes bigint NOT NULL,
    anonymous_minutes bigint NOT NULL,
    learner_demographics jsonb NOT NULL,
    non_learner_demographics jsonb NOT NULL,
    users bigint NOT NULL,
    visitors bigint NOT NULL,
    anonymous_sessions_without_visitor bigint NOT NULL,
    extra jsonb NOT NULL,
    PRIMARY KEY (statistics_id, position)
) PARTITION BY RANGE (statistics_id);

CREATE TABLE facility_statistics (
    statistics_id uuid NOT NULL,
    position integer NOT NULL,
    facility_id text NOT NULL,
    settings jsonb NOT NULL,
    learners bigint NOT NULL,
    learner_logins bigint NOT NULL,
    coaches bigint NOT NULL,
    coach_logins bigint NOT NULL,
    first_used date,
    last_used date,
    lessons bigint NOT NULL,
    exams bigint NOT NULL,
    exam_logs bigint NOT NULL,
    attempt_logs bigint NOT NULL,
    exam_attempt_logs bigint NOT NULL,
    classes bigint NOT NULL,
    "groups" bigint NOT NULL,
    devices jsonb NOT NULL,
    user_subset text NOT NULL,
    summaries_started bigint NOT NULL,
    summaries_completed bigint NOT NULL,
    sessions_by_kind jsonb NOT NULL,
    user_sessions bigint NOT NULL,
    anonymous_sessions bigint NOT NULL,
    user_minutes bigint NOT NULL,
    anonymous_minutes bigint NOT NULL,
    learner_demographics jsonb NOT NULL,
    non_learner_demographics jsonb NOT NULL,
    users bigint NOT NULL,
    visitors bigint NOT NULL,
    anonymous_sessions_without_visitor bigint NOT NULL,
    extra jsonb NOT NULL,
    PRIMARY KEY (statistics_id, position)
) PARTITION BY RANGE (statistics_id);

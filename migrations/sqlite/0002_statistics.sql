CREATE TABLE statistics (
    id TEXT PRIMARY KEY NOT NULL,
    received_at TEXT NOT NULL,
    -- Null if `pi` matches no pingback.
    pingback_id TEXT,
    pi TEXT NOT NULL,
    extra TEXT NOT NULL CHECK (json_valid(extra))
) STRICT, WITHOUT ROWID;
CREATE INDEX statistics_pingback ON statistics (pingback_id);

CREATE TABLE channel_statistics (
    statistics_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    channel_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated TEXT,
    popular_ids TEXT NOT NULL CHECK (json_valid(popular_ids)),
    popular_counts TEXT NOT NULL CHECK (json_valid(popular_counts)),
    storage_mib REAL NOT NULL,
    summaries_started INTEGER NOT NULL,
    summaries_completed INTEGER NOT NULL,
    sessions_by_kind TEXT NOT NULL CHECK (json_valid(sessions_by_kind)),
    user_sessions INTEGER NOT NULL,
    anonymous_sessions INTEGER NOT NULL,
    user_minutes INTEGER NOT NULL,
    anonymous_minutes INTEGER NOT NULL,
    learner_demographics TEXT NOT NULL CHECK (json_valid(learner_demographics)),
    non_learner_demographics TEXT NOT NULL CHECK (json_valid(non_learner_demographics)),
    users INTEGER NOT NULL,
    visitors INTEGER NOT NULL,
    anonymous_sessions_without_visitor INTEGER NOT NULL,
    extra TEXT NOT NULL CHECK (json_valid(extra)),
    PRIMARY KEY (statistics_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE facility_statistics (
    statistics_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    facility_id TEXT NOT NULL,
    settings TEXT NOT NULL CHECK (json_valid(settings)),
    learners INTEGER NOT NULL,
    learner_logins INTEGER NOT NULL,
    coaches INTEGER NOT NULL,
    coach_logins INTEGER NOT NULL,
    first_used TEXT,
    last_used TEXT,
    lessons INTEGER NOT NULL,
    exams INTEGER NOT NULL,
    exam_logs INTEGER NOT NULL,
    attempt_logs INTEGER NOT NULL,
    exam_attempt_logs INTEGER NOT NULL,
    classes INTEGER NOT NULL,
    "groups" INTEGER NOT NULL,
    devices TEXT NOT NULL CHECK (json_valid(devices)),
    user_subset TEXT NOT NULL,
    summaries_started INTEGER NOT NULL,
    summaries_completed INTEGER NOT NULL,
    sessions_by_kind TEXT NOT NULL CHECK (json_valid(sessions_by_kind)),
    user_sessions INTEGER NOT NULL,
    anonymous_sessions INTEGER NOT NULL,
    user_minutes INTEGER NOT NULL,
    anonymous_minutes INTEGER NOT NULL,
    learner_demographics TEXT NOT NULL CHECK (json_valid(learner_demographics)),
    non_learner_demographics TEXT NOT NULL CHECK (json_valid(non_learner_demographics)),
    users INTEGER NOT NULL,
    visitors INTEGER NOT NULL,
    anonymous_sessions_without_visitor INTEGER NOT NULL,
    extra TEXT NOT NULL CHECK (json_valid(extra)),
    PRIMARY KEY (statistics_id, position)
) STRICT, WITHOUT ROWID;

-- Reports that are only partly written. Large reports are written in pieces, with the row of `statistics` in the last piece. If a crash
-- leaves reports here, the next start removes their entries.
CREATE TABLE unfinished (statistics_id TEXT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID;

-- Participants, persons, audit, intake and register. Runs as the owner role; forward only.
-- No column holds a name, a personal number, a date of birth or a mark: bodies are encrypted,
-- a pupil is subject_ref = HMAC-SHA-256(personal number) under a versioned key.

CREATE SCHEMA IF NOT EXISTS hocba;
REVOKE ALL ON SCHEMA hocba FROM PUBLIC;
GRANT USAGE ON SCHEMA hocba TO hocba_intake, hocba_work, hocba_query, hocba_watch;

-- Raises when the transaction has not said for which participant it works: no default, no leak.
CREATE FUNCTION hocba.current_participant() RETURNS integer
    LANGUAGE sql STABLE AS $$ SELECT current_setting('hocba.participant')::integer $$;

CREATE FUNCTION hocba.refuse_change() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME; END $$;

-- ---- participants, persons, what two persons agree on ------------------------------------------

CREATE TABLE hocba.participant (
    participant_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('province', 'agency')),
    -- Province: two-digit code in force when it was registered (codes were re-used in 2025, so never a key).
    code           text NOT NULL CHECK (length(code) BETWEEN 1 AND 35),
    registered_at  timestamptz NOT NULL,
    ended_at       timestamptz,
    UNIQUE (kind, code)
);

CREATE TABLE hocba.client_certificate (
    fingerprint    bytea PRIMARY KEY CHECK (length(fingerprint) = 32),
    participant_id integer NOT NULL REFERENCES hocba.participant,
    spki_sha256    bytea NOT NULL CHECK (length(spki_sha256) = 32),
    not_before     timestamptz NOT NULL,
    not_after      timestamptz NOT NULL,
    registered_at  timestamptz NOT NULL,
    revoked_at     timestamptz
);

CREATE TABLE hocba.person (
    person_id      uuid PRIMARY KEY,
    role           text NOT NULL CHECK (role IN ('officer', 'operator', 'auditor')),
    -- The agency an officer works for; operators and auditors belong to the gateway.
    participant_id integer REFERENCES hocba.participant,
    fingerprint    bytea NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    not_after      timestamptz NOT NULL,
    registered_at  timestamptz NOT NULL,
    ended_at       timestamptz,
    CHECK ((role = 'officer') = (participant_id IS NOT NULL))
);

CREATE TABLE hocba.proposal (
    proposal_id uuid PRIMARY KEY,
    action      text NOT NULL,
    params      jsonb NOT NULL,
    proposed_by uuid NOT NULL REFERENCES hocba.person,
    proposed_at timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL CHECK (expires_at > proposed_at),
    state       text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'APPROVED', 'REFUSED', 'EXPIRED')),
    decided_by  uuid REFERENCES hocba.person,
    decided_at  timestamptz,
    CHECK (decided_by IS DISTINCT FROM proposed_by),
    CHECK (state <> 'APPROVED' OR decided_by IS NOT NULL)
);

-- ---- audit --------------------------------------------------------------------------------------

CREATE TABLE hocba.audit_leaf (
    leaf_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL,
    actor     text NOT NULL,
    action    text NOT NULL,
    object    text NOT NULL,
    details   jsonb NOT NULL,
    leaf_hash bytea NOT NULL CHECK (length(leaf_hash) = 32)
);
CREATE TRIGGER audit_leaf_append_only BEFORE UPDATE OR DELETE ON hocba.audit_leaf
    FOR EACH ROW EXECUTE FUNCTION hocba.refuse_change();
CREATE TRIGGER audit_leaf_never_truncated BEFORE TRUNCATE ON hocba.audit_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION hocba.refuse_change();

-- ---- intake ---------------------------------------------------------------------------------------

-- school_year here is the year of reception; it follows from the time inside batch_id (UUID v7).
CREATE TABLE hocba.batch (
    participant_id  integer NOT NULL REFERENCES hocba.participant,
    school_year     smallint NOT NULL,
    batch_id        uuid NOT NULL,
    received_at     timestamptz NOT NULL,
    format          text NOT NULL CHECK (format IN ('xml', 'content', 'ndjson')),
    encoding        text NOT NULL CHECK (encoding IN ('identity', 'gzip', 'zstd')),
    body_bytes      bigint NOT NULL,
    body_sha256     bytea NOT NULL CHECK (length(body_sha256) = 32),
    announced       integer NOT NULL CHECK (announced >= 0),
    receipt         bytea NOT NULL,
    state           text NOT NULL DEFAULT 'RECEIVED' CHECK (state IN ('RECEIVED', 'PROCESSING', 'DONE', 'REFUSED')),
    epoch           integer NOT NULL DEFAULT 0,
    lease_until     timestamptz,
    received        integer NOT NULL DEFAULT 0,
    duplicates      integer NOT NULL DEFAULT 0,
    rejected        integer NOT NULL DEFAULT 0,
    held            integer NOT NULL DEFAULT 0,
    accepted        integer NOT NULL DEFAULT 0,
    -- Held records whose transcript was accepted later; they are no longer counted in held.
    superseded      integer NOT NULL DEFAULT 0,
    next_position   integer NOT NULL DEFAULT 0,
    refusal         jsonb,
    finished_at     timestamptz,
    PRIMARY KEY (participant_id, school_year, batch_id)
) PARTITION BY RANGE (school_year);

CREATE TABLE hocba.batch_chunk (
    participant_id integer NOT NULL,
    school_year    smallint NOT NULL,
    batch_id       uuid NOT NULL,
    chunk_no       integer NOT NULL,
    codec          smallint NOT NULL,
    key_id         integer NOT NULL,
    body           bytea NOT NULL,
    PRIMARY KEY (participant_id, school_year, batch_id, chunk_no)
) PARTITION BY RANGE (school_year);

-- Records of a batch that had been received before: they make nothing new, but the batch must answer for them.
CREATE TABLE hocba.batch_repeat (
    participant_id integer NOT NULL,
    school_year    smallint NOT NULL,
    batch_id       uuid NOT NULL,
    position       integer NOT NULL,
    record_year    smallint NOT NULL,
    record_id      uuid NOT NULL,
    PRIMARY KEY (participant_id, school_year, batch_id, position)
) PARTITION BY RANGE (school_year);

-- One row per Idempotency-Key (stored as its digest); it outlives the school year it was used in.
CREATE TABLE hocba.idempotency (
    participant_id integer NOT NULL REFERENCES hocba.participant,
    key_sha256     bytea NOT NULL CHECK (length(key_sha256) = 32),
    school_year    smallint NOT NULL,
    batch_id       uuid NOT NULL,
    body_sha256    bytea NOT NULL,
    used_at        timestamptz NOT NULL,
    PRIMARY KEY (participant_id, key_sha256)
);

-- ---- register ---------------------------------------------------------------------------------------

CREATE TABLE hocba.record (
    participant_id  integer NOT NULL REFERENCES hocba.participant,
    school_year     smallint NOT NULL,
    record_id       uuid NOT NULL,
    batch_id        uuid NOT NULL,
    position        integer NOT NULL,
    transcript_code uuid,
    subject_ref     bytea CHECK (length(subject_ref) = 32),
    subject_key_id  integer,
    source_sha256   bytea NOT NULL CHECK (length(source_sha256) = 32),
    version         integer NOT NULL DEFAULT 1 CHECK (version > 0),
    level           smallint,
    circular        text,
    state           text NOT NULL CHECK (state IN ('REJECTED', 'HELD', 'SEALED', 'SUPERSEDED')),
    status          text NOT NULL DEFAULT 'EFFECTIVE' CHECK (status IN ('EFFECTIVE', 'RECALLED', 'SUPERSEDED')),
    violations      jsonb NOT NULL DEFAULT '[]',
    received_at     timestamptz NOT NULL,
    PRIMARY KEY (participant_id, school_year, record_id),
    UNIQUE (participant_id, school_year, batch_id, position)
) PARTITION BY RANGE (school_year);

-- kind 1: the record as the school signed it; kind 2: the sealed national record.
CREATE TABLE hocba.record_body (
    participant_id integer NOT NULL,
    school_year    smallint NOT NULL,
    record_id      uuid NOT NULL,
    kind           smallint NOT NULL CHECK (kind IN (1, 2)),
    codec          smallint NOT NULL,
    key_id         integer NOT NULL,
    body           bytea NOT NULL,
    PRIMARY KEY (participant_id, school_year, record_id, kind)
) PARTITION BY RANGE (school_year);

-- Bodies are compressed before they are encrypted, so the server must not try again.
ALTER TABLE hocba.batch_chunk ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE hocba.record_body ALTER COLUMN body SET STORAGE EXTERNAL;

-- What was already received, by digest of the signed bytes, so that a repeat makes nothing twice.
CREATE TABLE hocba.record_source (
    participant_id integer NOT NULL REFERENCES hocba.participant,
    source_sha256  bytea NOT NULL CHECK (length(source_sha256) = 32),
    school_year    smallint NOT NULL,
    record_id      uuid NOT NULL,
    PRIMARY KEY (participant_id, source_sha256)
);

-- The one place that knows every transcript code of the country and keeps each from being used twice.
CREATE TABLE hocba.directory (
    transcript_code uuid PRIMARY KEY,
    subject_ref     bytea NOT NULL CHECK (length(subject_ref) = 32),
    participant_id  integer NOT NULL REFERENCES hocba.participant,
    school_year     smallint NOT NULL,
    record_id       uuid NOT NULL,
    level           smallint NOT NULL
);
CREATE INDEX directory_subject ON hocba.directory (subject_ref, school_year);

DO $$
DECLARE
    parent text;
    year integer;
BEGIN
    FOREACH parent IN ARRAY ARRAY['batch', 'batch_chunk', 'batch_repeat', 'record', 'record_body'] LOOP
        FOR year IN 2023..2035 LOOP
            EXECUTE format('CREATE TABLE hocba.%I PARTITION OF hocba.%I FOR VALUES FROM (%s) TO (%s)',
                           parent || '_' || year, parent, year, year + 1);
        END LOOP;
        EXECUTE format('CREATE TABLE hocba.%I PARTITION OF hocba.%I DEFAULT', parent || '_other', parent);
    END LOOP;
END $$;

CREATE INDEX record_held ON hocba.record (participant_id, transcript_code) WHERE state = 'HELD';
CREATE INDEX batch_open ON hocba.batch (received_at) WHERE state IN ('RECEIVED', 'PROCESSING');

CREATE TRIGGER record_body_frozen BEFORE UPDATE ON hocba.record_body
    FOR EACH ROW EXECUTE FUNCTION hocba.refuse_change();
CREATE TRIGGER batch_chunk_frozen BEFORE UPDATE ON hocba.batch_chunk
    FOR EACH ROW EXECUTE FUNCTION hocba.refuse_change();

-- ---- row-level security: each transaction sees one participant ---------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['batch', 'batch_chunk', 'batch_repeat', 'idempotency', 'record', 'record_body', 'record_source'] LOOP
        EXECUTE format('ALTER TABLE hocba.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE hocba.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON hocba.%I TO hocba_intake, hocba_query
                        USING (participant_id = hocba.current_participant())', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['batch_chunk', 'batch_repeat', 'record', 'record_body', 'record_source'] LOOP
        EXECUTE format('CREATE POLICY work_rows ON hocba.%I TO hocba_work
                        USING (participant_id = hocba.current_participant())', name);
    END LOOP;
END $$;
-- The worker claims batches of all participants, then works for one at a time.
CREATE POLICY work_queue ON hocba.batch TO hocba_work USING (true);
-- Counting across participants sees no body, no reference to a pupil and no code.
CREATE POLICY count_rows ON hocba.batch FOR SELECT TO hocba_watch USING (true);
CREATE POLICY count_rows ON hocba.record FOR SELECT TO hocba_watch USING (true);

GRANT SELECT ON hocba.participant, hocba.client_certificate, hocba.person TO hocba_intake, hocba_work, hocba_query, hocba_watch;
GRANT INSERT, UPDATE ON hocba.participant, hocba.client_certificate, hocba.person TO hocba_query;
GRANT SELECT, INSERT, UPDATE ON hocba.proposal TO hocba_query;
GRANT INSERT ON hocba.audit_leaf TO hocba_intake, hocba_work, hocba_query;
GRANT SELECT ON hocba.audit_leaf TO hocba_query, hocba_watch;
GRANT SELECT, INSERT ON hocba.batch, hocba.batch_chunk, hocba.idempotency TO hocba_intake;
GRANT DELETE ON hocba.batch_chunk TO hocba_intake;
GRANT SELECT ON hocba.record, hocba.batch_repeat TO hocba_intake;
GRANT SELECT, INSERT ON hocba.batch_repeat TO hocba_work;
GRANT SELECT, UPDATE ON hocba.batch TO hocba_work;
GRANT SELECT ON hocba.batch_chunk TO hocba_work;
GRANT SELECT, INSERT, UPDATE ON hocba.record, hocba.record_source TO hocba_work;
GRANT SELECT, INSERT ON hocba.directory TO hocba_work;
GRANT SELECT, INSERT ON hocba.record_body TO hocba_work;
GRANT SELECT ON hocba.record, hocba.record_body, hocba.directory TO hocba_query;
GRANT SELECT (participant_id, school_year, batch_id, received_at, format, body_bytes, announced, state,
              received, duplicates, rejected, held, accepted, superseded, finished_at) ON hocba.batch TO hocba_watch;
GRANT SELECT (participant_id, school_year, record_id, batch_id, position, level, circular, state, status,
              violations, received_at) ON hocba.record TO hocba_watch;

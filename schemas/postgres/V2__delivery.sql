-- The outbox, its attempts and what destinations returned. Runs as the owner role; forward only.
-- What can be held by a constraint is held here and not only in code: one open batch per entry, frozen
-- bytes, ends that are never left, no end without evidence, fencing by epoch.

-- ---- destinations ---------------------------------------------------------------------------------

-- Halted: the peer refuses us or is not who it should be; nothing is wrong with the batches.
-- failures and open_until are the breaker: only failures to connect open it.
CREATE TABLE hocba.destination_state (
    destination text PRIMARY KEY CHECK (length(destination) BETWEEN 1 AND 40),
    halted      boolean NOT NULL DEFAULT false,
    reason      text,
    failures    integer NOT NULL DEFAULT 0,
    open_until  timestamptz,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- ---- entries: one record for one destination ----------------------------------------------------------

-- One row per queue of a participant; the one whose turn is oldest is served next (fair to all provinces).
CREATE TABLE hocba.outbox_lane (
    participant_id integer NOT NULL REFERENCES hocba.participant,
    school_year    smallint NOT NULL,
    destination    text NOT NULL,
    turn           timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (participant_id, school_year, destination)
) WITH (fillfactor = 50);

CREATE TABLE hocba.outbox_entry (
    participant_id integer NOT NULL,
    school_year    smallint NOT NULL,
    record_id      uuid NOT NULL,
    destination    text NOT NULL,
    version        integer NOT NULL CHECK (version > 0),
    -- SHA-256 of the sealed record's bytes: what a receipt must name.
    digest         bytea NOT NULL CHECK (length(digest) = 32),
    -- Smaller goes first.
    priority       smallint NOT NULL DEFAULT 0,
    state          text NOT NULL DEFAULT 'READY'
                   CHECK (state IN ('READY', 'IN_BATCH', 'ACKED', 'REFUSED', 'PARKED', 'SUPERSEDED')),
    -- Batches it was in so far.
    batches        smallint NOT NULL DEFAULT 0,
    reason         text,
    ready_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (participant_id, school_year, record_id, destination)
) PARTITION BY RANGE (school_year);

-- Exact counts kept with the entries in the same transaction, spread over slots so that writers do not wait.
CREATE TABLE hocba.outbox_tally (
    participant_id integer NOT NULL,
    school_year    smallint NOT NULL,
    destination    text NOT NULL,
    -- A state of an entry, or SUBMITTED: entries that were sent at least once.
    counted        text NOT NULL,
    slot           smallint NOT NULL,
    entries        bigint NOT NULL,
    PRIMARY KEY (participant_id, school_year, destination, counted, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- ---- batches -----------------------------------------------------------------------------------------------

CREATE TABLE hocba.outbox_batch (
    participant_id     integer NOT NULL REFERENCES hocba.participant,
    message_id         uuid NOT NULL,
    destination        text NOT NULL,
    school_year        smallint NOT NULL,
    state              text NOT NULL CHECK (state IN ('FORMING', 'FORMED', 'SENDING', 'AWAITING_RECEIPT', 'IN_DOUBT',
                           'RETRY_WAIT', 'SETTLED', 'SETTLED_PARTIAL', 'SPLIT', 'PARKED')),
    -- Grows with each lease; what an older leaseholder writes is dropped.
    epoch              integer NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    lease_until        timestamptz,
    worker             text,
    not_before         timestamptz NOT NULL,
    attempts           integer NOT NULL DEFAULT 0,
    queries            integer NOT NULL DEFAULT 0,
    priority           smallint NOT NULL DEFAULT 0,
    item_count         integer NOT NULL,
    -- Members that were in no batch before: the first sending adds them to SUBMITTED.
    fresh_count        integer NOT NULL,
    body_bytes         bigint,
    body_sha256        bytea CHECK (length(body_sha256) = 32),
    -- An attempt may have been processed and nothing has disproved it.
    doubt              boolean NOT NULL DEFAULT false,
    possible_duplicate boolean NOT NULL DEFAULT false,
    -- When the present wait for an answer (doubt, receipt) began.
    waiting_since      timestamptz,
    not_found          smallint NOT NULL DEFAULT 0,
    not_found_at       timestamptz,
    parent_id          uuid,
    reason             text,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    PRIMARY KEY (participant_id, message_id),
    FOREIGN KEY (participant_id, parent_id) REFERENCES hocba.outbox_batch,
    CHECK ((state = 'FORMING') = (body_sha256 IS NULL)),
    CHECK ((body_sha256 IS NULL) = (body_bytes IS NULL)),
    CHECK (state NOT IN ('FORMING', 'SENDING') OR lease_until IS NOT NULL),
    -- A doubt is never split: halves under new ids could double what was already applied.
    CHECK (state <> 'SPLIT' OR NOT doubt)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 50,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_batch_due ON hocba.outbox_batch (destination, priority, not_before)
    WHERE state IN ('FORMED', 'RETRY_WAIT');
CREATE INDEX outbox_batch_open ON hocba.outbox_batch (destination, not_before)
    WHERE state IN ('IN_DOUBT', 'AWAITING_RECEIPT', 'SETTLED_PARTIAL');
CREATE INDEX outbox_batch_leased ON hocba.outbox_batch (destination, lease_until)
    WHERE state IN ('FORMING', 'SENDING');

CREATE TABLE hocba.outbox_batch_item (
    participant_id integer NOT NULL,
    school_year    smallint NOT NULL,
    message_id     uuid NOT NULL,
    record_id      uuid NOT NULL,
    destination    text NOT NULL,
    position       integer NOT NULL,
    version        integer NOT NULL,
    digest         bytea NOT NULL CHECK (length(digest) = 32),
    open           boolean NOT NULL DEFAULT true,
    PRIMARY KEY (participant_id, school_year, message_id, record_id)
) PARTITION BY RANGE (school_year);

-- The frame of a batch: what stands before and after its records, signature included. Together with the
-- records' own frozen bytes it gives exactly the bytes whose digest stands in outbox_batch.
CREATE TABLE hocba.outbox_batch_body (
    participant_id integer NOT NULL,
    message_id     uuid NOT NULL,
    codec          smallint NOT NULL,
    key_id         integer NOT NULL,
    body           bytea NOT NULL,
    PRIMARY KEY (participant_id, message_id),
    FOREIGN KEY (participant_id, message_id) REFERENCES hocba.outbox_batch
);
ALTER TABLE hocba.outbox_batch_body ALTER COLUMN body SET STORAGE EXTERNAL;

-- One row per lease that goes to the wire, committed before the first byte is written.
CREATE TABLE hocba.attempt (
    participant_id integer NOT NULL,
    message_id     uuid NOT NULL,
    epoch          integer NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('send', 'query')),
    worker         text NOT NULL,
    body_sha256    bytea NOT NULL CHECK (length(body_sha256) = 32),
    started_at     timestamptz NOT NULL,
    closed_at      timestamptz,
    -- Class of the outcome (reliability S4), the answer's status and what was seen, as a code.
    class          text,
    http_status    smallint,
    seen           text,
    PRIMARY KEY (participant_id, message_id, epoch),
    FOREIGN KEY (participant_id, message_id) REFERENCES hocba.outbox_batch,
    CHECK ((class IS NULL) = (closed_at IS NULL))
);

-- ---- receipts ------------------------------------------------------------------------------------------------

CREATE TABLE hocba.receipt (
    participant_id integer NOT NULL REFERENCES hocba.participant,
    receipt_id     uuid NOT NULL,
    -- The batch whose exchange brought it.
    message_id     uuid NOT NULL,
    destination    text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('receipt', 'status', 'refusal')),
    received_at    timestamptz NOT NULL,
    body_sha256    bytea NOT NULL CHECK (length(body_sha256) = 32),
    codec          smallint NOT NULL,
    key_id         integer NOT NULL,
    body           bytea NOT NULL,
    verdict        text NOT NULL DEFAULT 'STORED'
                   CHECK (verdict IN ('STORED', 'VERIFIED', 'INVALID', 'FOREIGN', 'DUPLICATE', 'CONTRADICTS')),
    reason         text,
    PRIMARY KEY (participant_id, receipt_id),
    FOREIGN KEY (participant_id, message_id) REFERENCES hocba.outbox_batch
);
CREATE INDEX receipt_of_batch ON hocba.receipt (participant_id, message_id);
CREATE INDEX receipt_unjudged ON hocba.receipt (destination, received_at) WHERE verdict = 'STORED';
ALTER TABLE hocba.receipt ALTER COLUMN body SET STORAGE EXTERNAL;

-- What a verified receipt says about one record.
CREATE TABLE hocba.receipt_line (
    participant_id integer NOT NULL,
    school_year    smallint NOT NULL,
    record_id      uuid NOT NULL,
    destination    text NOT NULL,
    message_id     uuid NOT NULL,
    receipt_id     uuid NOT NULL,
    digest         bytea NOT NULL CHECK (length(digest) = 32),
    verdict        text NOT NULL CHECK (verdict IN ('accepted', 'already-applied', 'refused', 'ignored-older')),
    reason         text,
    PRIMARY KEY (participant_id, school_year, record_id, destination, message_id)
) PARTITION BY RANGE (school_year);

DO $$
DECLARE
    parent text;
    year integer;
    suffix text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['outbox_entry', 'outbox_batch_item', 'receipt_line'] LOOP
        FOR year IN 2023..2036 LOOP
            suffix := CASE year WHEN 2036 THEN 'other' ELSE year::text END;
            EXECUTE format('CREATE TABLE hocba.%I PARTITION OF hocba.%I %s', parent || '_' || suffix, parent,
                CASE year WHEN 2036 THEN 'DEFAULT' ELSE format('FOR VALUES FROM (%s) TO (%s)', year, year + 1) END);
            EXECUTE format('ALTER TABLE hocba.%I SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01,
                autovacuum_vacuum_cost_delay = 0)', parent || '_' || suffix);
        END LOOP;
    END LOOP;
END $$;

CREATE INDEX outbox_entry_ready ON hocba.outbox_entry (participant_id, destination, priority, ready_at)
    WHERE state = 'READY';
-- Single flight: an entry is a member of one open batch at most.
CREATE UNIQUE INDEX outbox_batch_item_single_flight
    ON hocba.outbox_batch_item (participant_id, school_year, record_id, destination) WHERE open;

-- ---- what cannot happen ----------------------------------------------------------------------------------------

CREATE FUNCTION hocba.refuse_leaving_an_end() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a row of % never leaves %', TG_TABLE_NAME, OLD.state; END $$;

CREATE TRIGGER outbox_entry_ends BEFORE UPDATE ON hocba.outbox_entry FOR EACH ROW
    WHEN (OLD.state IN ('ACKED', 'REFUSED', 'SUPERSEDED')) EXECUTE FUNCTION hocba.refuse_leaving_an_end();
CREATE TRIGGER outbox_batch_ends BEFORE UPDATE ON hocba.outbox_batch FOR EACH ROW
    WHEN (OLD.state IN ('SETTLED', 'SPLIT')) EXECUTE FUNCTION hocba.refuse_leaving_an_end();

CREATE TRIGGER outbox_batch_body_frozen BEFORE UPDATE ON hocba.outbox_batch_body
    FOR EACH ROW EXECUTE FUNCTION hocba.refuse_change();
CREATE TRIGGER receipt_line_frozen BEFORE UPDATE ON hocba.receipt_line
    FOR EACH ROW EXECUTE FUNCTION hocba.refuse_change();
CREATE TRIGGER outbox_entry_identity BEFORE UPDATE ON hocba.outbox_entry FOR EACH ROW
    WHEN ((OLD.digest, OLD.version) IS DISTINCT FROM (NEW.digest, NEW.version)) EXECUTE FUNCTION hocba.refuse_change();
CREATE TRIGGER attempt_closed_once BEFORE UPDATE ON hocba.attempt FOR EACH ROW
    WHEN (OLD.class IS NOT NULL) EXECUTE FUNCTION hocba.refuse_change();
CREATE TRIGGER receipt_judged_once BEFORE UPDATE ON hocba.receipt FOR EACH ROW
    WHEN (OLD.verdict <> 'STORED' OR (OLD.body, OLD.body_sha256, OLD.message_id)
          IS DISTINCT FROM (NEW.body, NEW.body_sha256, NEW.message_id))
    EXECUTE FUNCTION hocba.refuse_change();

-- The arrows of reliability S3; what is not listed cannot happen.
CREATE FUNCTION hocba.check_batch_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.epoch < OLD.epoch THEN
        RAISE EXCEPTION 'the epoch of a batch never falls';
    END IF;
    IF OLD.state <> 'FORMING' AND (NEW.body_sha256, NEW.body_bytes, NEW.item_count, NEW.destination)
       IS DISTINCT FROM (OLD.body_sha256, OLD.body_bytes, OLD.item_count, OLD.destination) THEN
        RAISE EXCEPTION 'the content of a formed batch never changes';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('FORMING', 'FORMED'), ('FORMED', 'SENDING'), ('RETRY_WAIT', 'SENDING'),
        ('SENDING', 'RETRY_WAIT'), ('SENDING', 'IN_DOUBT'), ('SENDING', 'AWAITING_RECEIPT'), ('SENDING', 'SETTLED'),
        ('SENDING', 'SETTLED_PARTIAL'), ('SENDING', 'SPLIT'), ('SENDING', 'PARKED'),
        ('AWAITING_RECEIPT', 'SETTLED'), ('AWAITING_RECEIPT', 'SETTLED_PARTIAL'), ('AWAITING_RECEIPT', 'IN_DOUBT'),
        ('AWAITING_RECEIPT', 'PARKED'), ('IN_DOUBT', 'SETTLED'), ('IN_DOUBT', 'SETTLED_PARTIAL'),
        ('IN_DOUBT', 'AWAITING_RECEIPT'), ('IN_DOUBT', 'RETRY_WAIT'), ('IN_DOUBT', 'PARKED'),
        ('RETRY_WAIT', 'SETTLED'), ('RETRY_WAIT', 'SETTLED_PARTIAL'),
        ('SETTLED_PARTIAL', 'SETTLED'), ('SETTLED_PARTIAL', 'PARKED'),
        ('PARKED', 'RETRY_WAIT'), ('PARKED', 'SETTLED'), ('PARKED', 'SETTLED_PARTIAL')) THEN
        RAISE EXCEPTION 'a batch never goes from % to %', OLD.state, NEW.state;
    END IF;
    IF NEW.state = 'SETTLED' AND EXISTS (
        SELECT FROM hocba.outbox_batch_item i WHERE i.participant_id = NEW.participant_id
            AND i.school_year = NEW.school_year AND i.message_id = NEW.message_id AND i.open IS NOT FALSE) THEN
        RAISE EXCEPTION 'a batch is settled only when each member is';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbox_batch_step BEFORE UPDATE ON hocba.outbox_batch
    FOR EACH ROW EXECUTE FUNCTION hocba.check_batch_step();

-- Members leave a batch again only before its bytes are frozen (it grew too large).
CREATE FUNCTION hocba.check_member_leaves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM hocba.outbox_batch b WHERE b.participant_id = OLD.participant_id
                   AND b.message_id = OLD.message_id AND b.state = 'FORMING') THEN
        RAISE EXCEPTION 'the members of a formed batch never leave it';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER outbox_batch_item_leaves BEFORE DELETE ON hocba.outbox_batch_item
    FOR EACH ROW EXECUTE FUNCTION hocba.check_member_leaves();

CREATE FUNCTION hocba.check_batch_start() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'rows of % begin in their first state', TG_TABLE_NAME; END $$;
CREATE TRIGGER outbox_batch_start BEFORE INSERT ON hocba.outbox_batch FOR EACH ROW
    WHEN (NEW.state <> 'FORMING') EXECUTE FUNCTION hocba.check_batch_start();
CREATE TRIGGER outbox_entry_start BEFORE INSERT ON hocba.outbox_entry FOR EACH ROW
    WHEN (NEW.state <> 'READY') EXECUTE FUNCTION hocba.check_batch_start();

-- Once per statement. OFFSET 0 keeps each look-up a look-up by its whole key: on tables never analysed the
-- planner would join from the other side and read whole partitions, slower with each record delivered.
CREATE FUNCTION hocba.check_entry_evidence() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM entered c WHERE c.state IN ('ACKED', 'REFUSED')) THEN
        IF EXISTS (SELECT FROM entered c WHERE c.state IN ('ACKED', 'REFUSED') AND NOT EXISTS (
            SELECT FROM hocba.receipt_line l WHERE l.participant_id = c.participant_id
                AND l.school_year = c.school_year AND l.record_id = c.record_id AND l.destination = c.destination
                AND l.digest = c.digest AND (l.verdict IN ('accepted', 'already-applied')) = (c.state = 'ACKED')
            OFFSET 0)) THEN
            RAISE EXCEPTION 'no record is closed without a verified receipt that names its digest';
        END IF;
    END IF;
    INSERT INTO hocba.outbox_tally AS t (participant_id, school_year, destination, counted, slot, entries)
        SELECT participant_id, school_year, destination, state, pg_backend_pid() % 16, sum(delta) FROM (
            SELECT participant_id, school_year, destination, state, 1 AS delta FROM entered
            UNION ALL SELECT participant_id, school_year, destination, state, -1 FROM was) AS changes
        GROUP BY participant_id, school_year, destination, state HAVING sum(delta) <> 0
        ORDER BY participant_id, school_year, destination, state
        ON CONFLICT (participant_id, school_year, destination, counted, slot)
        DO UPDATE SET entries = t.entries + EXCLUDED.entries;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_entry_evidence AFTER UPDATE ON hocba.outbox_entry
    REFERENCING NEW TABLE AS entered OLD TABLE AS was
    FOR EACH STATEMENT EXECUTE FUNCTION hocba.check_entry_evidence();

CREATE FUNCTION hocba.count_new_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hocba.outbox_tally AS t (participant_id, school_year, destination, counted, slot, entries)
        SELECT participant_id, school_year, destination, state, pg_backend_pid() % 16, count(*) FROM entered
        GROUP BY participant_id, school_year, destination, state
        ORDER BY participant_id, school_year, destination, state
        ON CONFLICT (participant_id, school_year, destination, counted, slot)
        DO UPDATE SET entries = t.entries + EXCLUDED.entries;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_entry_counted AFTER INSERT ON hocba.outbox_entry
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION hocba.count_new_entries();

CREATE FUNCTION hocba.check_line_source() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM entered n WHERE NOT EXISTS (
        SELECT FROM hocba.receipt r WHERE r.participant_id = n.participant_id AND r.receipt_id = n.receipt_id
            AND r.message_id = n.message_id AND r.destination = n.destination AND r.verdict = 'VERIFIED'
        OFFSET 0)) THEN
        RAISE EXCEPTION 'only a verified receipt has lines';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER receipt_line_source AFTER INSERT ON hocba.receipt_line
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION hocba.check_line_source();

-- ---- row-level security and grants ---------------------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['outbox_entry', 'outbox_batch', 'outbox_batch_item', 'attempt',
                                'outbox_batch_body', 'receipt', 'receipt_line'] LOOP
        EXECUTE format('ALTER TABLE hocba.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE hocba.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON hocba.%I FOR SELECT TO hocba_query
                        USING (participant_id = hocba.current_participant())', name);
    END LOOP;
    -- Narrow tables (ids, states, times, digests): the worker schedules for all participants.
    FOREACH name IN ARRAY ARRAY['outbox_entry', 'outbox_batch', 'outbox_batch_item', 'attempt'] LOOP
        EXECUTE format('CREATE POLICY work_queue ON hocba.%I TO hocba_work USING (true)', name);
        EXECUTE format('CREATE POLICY count_rows ON hocba.%I FOR SELECT TO hocba_watch USING (true)', name);
    END LOOP;
    -- Bodies and receipts: one participant at a time.
    FOREACH name IN ARRAY ARRAY['outbox_batch_body', 'receipt', 'receipt_line'] LOOP
        EXECUTE format('CREATE POLICY work_rows ON hocba.%I TO hocba_work
                        USING (participant_id = hocba.current_participant())', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON hocba.destination_state, hocba.outbox_lane, hocba.outbox_entry, hocba.outbox_tally,
    hocba.outbox_batch, hocba.outbox_batch_item, hocba.attempt, hocba.receipt TO hocba_work;
GRANT SELECT, INSERT ON hocba.outbox_batch_body, hocba.receipt_line TO hocba_work;
GRANT DELETE ON hocba.outbox_batch_item TO hocba_work;
GRANT SELECT ON hocba.destination_state, hocba.outbox_lane, hocba.outbox_tally TO hocba_query, hocba_watch;
GRANT SELECT ON hocba.outbox_entry, hocba.outbox_batch, hocba.outbox_batch_item, hocba.attempt, hocba.receipt,
    hocba.receipt_line TO hocba_query;
GRANT SELECT (participant_id, school_year, destination, version, priority, state, batches, reason, ready_at)
    ON hocba.outbox_entry TO hocba_watch;
GRANT SELECT ON hocba.outbox_batch, hocba.attempt TO hocba_watch;

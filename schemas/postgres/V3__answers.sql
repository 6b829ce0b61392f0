-- Answers to agencies. Runs as the owner role; forward only.
-- No row says who was asked about: a subject is subject_ref, a code or case number is a keyed commitment.

-- school_year here is the year of asking; it follows from the time inside answer_id (UUID v7).
CREATE TABLE hocba.answer (
    participant_id  integer NOT NULL REFERENCES hocba.participant,
    school_year     smallint NOT NULL,
    answer_id       uuid NOT NULL,
    person_id       uuid NOT NULL REFERENCES hocba.person,
    procedure       text NOT NULL CHECK (length(procedure) BETWEEN 1 AND 20),
    way             text NOT NULL CHECK (way IN ('code', 'number')),
    case_commitment bytea NOT NULL CHECK (length(case_commitment) = 32),
    asked_at        timestamptz NOT NULL,
    -- The pupil the answer speaks of, whether found or asked for by number; absent for a code nobody has.
    subject_ref     bytea CHECK (length(subject_ref) = 32),
    code_commitment bytea CHECK (length(code_commitment) = 32),
    overall         text NOT NULL CHECK (overall IN ('valid', 'recalled', 'superseded', 'incomplete',
                    'signature-invalid', 'identity-mismatch', 'not-found', 'source-unavailable')),
    -- [{"school_year": "2024-2025", "verdict": "valid"}, ...] and nothing else.
    verdicts        jsonb NOT NULL,
    fields          text[] NOT NULL,
    leaf_hash       bytea NOT NULL CHECK (length(leaf_hash) = 32),
    PRIMARY KEY (participant_id, school_year, answer_id),
    CHECK ((way = 'code') = (code_commitment IS NOT NULL))
) PARTITION BY RANGE (school_year);

DO $$
DECLARE
    year integer;
BEGIN
    FOR year IN 2025..2035 LOOP
        EXECUTE format('CREATE TABLE hocba.%I PARTITION OF hocba.answer FOR VALUES FROM (%s) TO (%s)',
                       'answer_' || year, year, year + 1);
    END LOOP;
    CREATE TABLE hocba.answer_other PARTITION OF hocba.answer DEFAULT;
END $$;

-- The subject's own list of who looked is read by subject_ref.
CREATE INDEX answer_subject ON hocba.answer (subject_ref, asked_at);

CREATE TRIGGER answer_frozen BEFORE UPDATE OR DELETE ON hocba.answer
    FOR EACH ROW EXECUTE FUNCTION hocba.refuse_change();

ALTER TABLE hocba.answer ENABLE ROW LEVEL SECURITY;
ALTER TABLE hocba.answer FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON hocba.answer TO hocba_query
    USING (participant_id = hocba.current_participant());
CREATE POLICY count_rows ON hocba.answer FOR SELECT TO hocba_watch USING (true);

GRANT SELECT, INSERT ON hocba.answer TO hocba_query;
GRANT SELECT (participant_id, school_year, procedure, way, asked_at, overall) ON hocba.answer TO hocba_watch;

-- What operators look at first: the newest records in trouble.
CREATE INDEX record_trouble ON hocba.record (received_at) WHERE state IN ('REJECTED', 'HELD');

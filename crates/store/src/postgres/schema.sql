-- The tables in PostgreSQL: those of `sqlite/schema.rs`, with the same names and columns, so that one
-- set of statements serves both.
--
-- Texts are compared byte by byte (`COLLATE "C"`). Identifiers of rows come from sequences. Indexes
-- have no long texts: an entry of an index has at most 2.7 KB.

-- What the statements call, as SQLite has it. Each is inlined by the planner.
CREATE FUNCTION ifnull(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS 'SELECT coalesce($1, $2)';
CREATE FUNCTION ifnull(text, text) RETURNS text IMMUTABLE LANGUAGE sql
    AS 'SELECT coalesce($1, $2)';
CREATE FUNCTION max(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS 'SELECT CASE WHEN $1 IS NULL OR $2 IS NULL THEN NULL ELSE greatest($1, $2) END';
CREATE FUNCTION min(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS 'SELECT CASE WHEN $1 IS NULL OR $2 IS NULL THEN NULL ELSE least($1, $2) END';

CREATE TABLE schema_version (version BIGINT NOT NULL);

CREATE TABLE archive (
    seq        BIGINT PRIMARY KEY,             -- order of acceptance
    source     TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    resource   TEXT COLLATE "C" NOT NULL,
    received   BIGINT NOT NULL,
    size       BIGINT NOT NULL,                -- bytes before compression
    body       BYTEA NOT NULL,                   -- the event as received, zstd with checksum
    evaluation BYTEA,                            -- JSON, zstd; NULL when no rule matched
    fingerprint BYTEA,                           -- of the first event of its id, see `copies.rs`
    entry      BIGINT NOT NULL DEFAULT 0       -- see `EntryKind`
);

-- A new entry without a position gets the one behind the last, as SQLite numbers rows. Not from a
-- sequence, which leaves out the numbers of what is undone.
CREATE FUNCTION archive_numbered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.seq IS NULL THEN
        SELECT coalesce(max(seq), 0) + 1 INTO new.seq FROM archive;
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER archive_added BEFORE INSERT ON archive
    FOR EACH ROW EXECUTE FUNCTION archive_numbered();

-- By hash, as ids may be long.
CREATE INDEX archive_by_id ON archive USING hash (id);

CREATE INDEX archive_by_time ON archive (received);

CREATE TABLE seen (                             -- other fingerprints, see `copies.rs`
    fingerprint BYTEA PRIMARY KEY,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL
);

CREATE INDEX seen_by_time ON seen (at);

CREATE TABLE state (
    rule    TEXT COLLATE "C" NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    value   TEXT COLLATE "C" NOT NULL,
    expires BIGINT,
    PRIMARY KEY (rule, key)
);

CREATE INDEX state_by_expiry ON state (expires) WHERE expires IS NOT NULL;

CREATE TABLE delivery (
    id       BYTEA PRIMARY KEY,
    seq      BIGINT NOT NULL,                  -- the event in the archive
    source   TEXT COLLATE "C" NOT NULL,
    event    TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    rule     TEXT COLLATE "C" NOT NULL,
    target   TEXT COLLATE "C" NOT NULL,
    action   TEXT COLLATE "C" NOT NULL,
    replay   TEXT COLLATE "C",
    created  BIGINT NOT NULL,
    status   BIGINT NOT NULL DEFAULT 0,        -- see `DeliveryStatus`
    attempt  BIGINT NOT NULL DEFAULT 1,        -- number of the next attempt in this series
    since    BIGINT NOT NULL,                  -- when this series began
    due      BIGINT NOT NULL,                  -- not attempted before
    set_at   BIGINT NOT NULL,                  -- when `due` was written
    claimed  BIGINT NOT NULL DEFAULT 0,        -- `due` is the end of a claim, not of a wait
    finished BIGINT,
    reason   TEXT COLLATE "C",
    taken    TEXT COLLATE "C",                              -- JSON array of the delivered parts
    number    BIGINT NOT NULL DEFAULT 0,       -- among the actions of its event
    order_key BIGINT,                          -- see `order.rs`; NULL: without an order
    head      BIGINT NOT NULL DEFAULT 1,       -- 0: waits for the one before of its key
    failed    BIGINT,                          -- start of the first attempt that failed
    retry     BIGINT,                          -- not attempted before, whatever its order
    scope     TEXT COLLATE "C",                             -- key by the rule's `by`: JSON
    firing    BIGINT NOT NULL DEFAULT 0,       -- the number of its phase
    delay     BIGINT,                          -- microseconds of `after`; NULL without it
    delay_key TEXT COLLATE "C",                             -- `key`, under which it is cancelled or replaced
    digest    BYTEA,                             -- that carried it at its last attempt
    incident  BIGINT                           -- that it is of, see `incidents.rs`
);

CREATE INDEX delivery_by_event ON delivery (seq);

CREATE TABLE attempt (
    delivery BYTEA NOT NULL,
    number   BIGINT NOT NULL,                  -- counted over all series
    target   TEXT COLLATE "C" NOT NULL,
    started  BIGINT NOT NULL,
    took     BIGINT NOT NULL,
    outcome  TEXT COLLATE "C" NOT NULL,
    answer   TEXT COLLATE "C" NOT NULL,
    folded   BIGINT NOT NULL DEFAULT 0,        -- later attempts in this row, see `attempts.rs`
    last     BIGINT,                           -- when the last of them started
    digest   BYTEA,                              -- that carried the delivery; NULL: sent alone
    PRIMARY KEY (delivery, number)
);

CREATE INDEX delivery_claimable ON delivery (target, due, seq, number)
    WHERE status = 0 AND head = 1;

CREATE INDEX delivery_order ON delivery (target, order_key, seq, number) WHERE status = 0;

CREATE INDEX delivery_failed ON delivery (target, due, seq, number)
    WHERE status = 0 AND failed IS NOT NULL;

CREATE TABLE target (                           -- settings of a target that its rows depend on
    name         TEXT COLLATE "C" PRIMARY KEY,
    order_wait   BIGINT,                       -- microseconds; NULL: the default
    paused       BIGINT,                       -- since when an operator has paused it
    paused_by    TEXT COLLATE "C",
    pause_reason TEXT COLLATE "C"
);

CREATE TABLE call (                             -- the last calls of a rate-limited target
    target TEXT COLLATE "C" NOT NULL,
    began  BIGINT NOT NULL,
    ended  BIGINT,                             -- NULL: not yet, or its process was killed
    PRIMARY KEY (target, began)
);

CREATE INDEX delivery_named ON delivery (rule, scope, delay_key)
    WHERE status = 0 AND delay_key IS NOT NULL;

CREATE INDEX delivery_dead ON delivery (finished, seq, id)
    WHERE status = 2;

CREATE INDEX delivery_dead_target ON delivery (target, finished, seq, id) WHERE status = 2;

CREATE INDEX delivery_dead_rule ON delivery (rule, finished, seq, id) WHERE status = 2;

CREATE TABLE newest_entry (                     -- of the entries that are no events
    entry BIGINT PRIMARY KEY,                  -- their kind
    seq   BIGINT NOT NULL                      -- position of the newest, also when it was removed
);

CREATE TABLE match_rule (                       -- a window of a rule
    id       BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    rule     TEXT COLLATE "C" NOT NULL,
    "window"   BIGINT NOT NULL,                  -- its fingerprint
    closed   BIGINT NOT NULL DEFAULT 0,        -- its matches are invisible, and will be removed
    pending  BIGINT NOT NULL DEFAULT 0,        -- number of its matches that wait
    kept     BIGINT NOT NULL DEFAULT 0,        -- number of the others
    settled  BIGINT                            -- see `deadlines.rs`
);

CREATE UNIQUE INDEX match_rule_open ON match_rule (rule, "window") WHERE closed = 0;

CREATE INDEX match_rule_closed ON match_rule (id) WHERE closed = 1;

CREATE TABLE kept_match (
    rule       BIGINT NOT NULL,                -- of `match_rule`
    key        TEXT COLLATE "C" NOT NULL,                   -- JSON
    data       TEXT COLLATE "C" NOT NULL,
    due        BIGINT,
    not_before BIGINT,
    shift      BIGINT NOT NULL,
    expires    BIGINT,
    pending    BIGINT NOT NULL,
    positions  BYTEA NOT NULL,                   -- see `pack_positions`
    incident   BIGINT,                         -- that is open, see `incidents.rs`
    PRIMARY KEY (rule, key)
);

CREATE INDEX match_by_due ON kept_match (due) WHERE due IS NOT NULL;

CREATE INDEX match_by_expiry ON kept_match (expires, pending) WHERE expires IS NOT NULL;

CREATE TABLE kept_event (                       -- entries of the archive that matches refer to
    seq  BIGINT PRIMARY KEY,
    refs BIGINT NOT NULL                       -- number of matches that do
);

CREATE TABLE state_count (
    rule    TEXT COLLATE "C" PRIMARY KEY,
    entries BIGINT NOT NULL
);

CREATE TABLE waiting_call (                     -- calls without an answer
    id        BYTEA PRIMARY KEY,                 -- of the delivery
    target    TEXT COLLATE "C" NOT NULL,
    rule      TEXT COLLATE "C" NOT NULL,
    due       BIGINT NOT NULL,                 -- when it was due at first
    hop       BIGINT NOT NULL,
    size      BIGINT NOT NULL,                 -- bytes of the event before compression
    event     BYTEA,                             -- in native form, zstd with checksum; NULL: none
    code      TEXT COLLATE "C",                             -- see `OwnCode`; NULL: it is not to be withdrawn
    reason    TEXT COLLATE "C",
    withdrawn BIGINT                           -- in which order; NULL: an attempt is in progress
);

CREATE INDEX waiting_call_due ON waiting_call (target, due) WHERE code IS NULL;

CREATE INDEX waiting_call_rule ON waiting_call (rule) WHERE code IS NULL;

CREATE INDEX waiting_call_ending ON waiting_call (target)
    WHERE code IS NOT NULL AND withdrawn IS NULL;

CREATE INDEX waiting_call_withdrawn ON waiting_call (withdrawn) WHERE withdrawn IS NOT NULL;

CREATE TABLE change (                           -- of a day, and those that may have been sent
    id      BYTEA PRIMARY KEY,                   -- of the delivery
    target  TEXT COLLATE "C" NOT NULL,
    at      BIGINT NOT NULL,                   -- when it was reserved at first
    open    BIGINT NOT NULL,                   -- 1: it may have been sent, outcome unknown
    counted BIGINT NOT NULL DEFAULT 1          -- 0: before the target was resumed
);

CREATE INDEX change_counted ON change (target, at) WHERE counted = 1;

CREATE INDEX change_by_time ON change (at) WHERE open = 0;

CREATE TABLE change_stop (                      -- targets that make no changes until resumed
    target TEXT COLLATE "C" PRIMARY KEY,
    since  BIGINT NOT NULL,
    per    TEXT COLLATE "C" NOT NULL,                       -- 'minute' or 'day'
    most   BIGINT NOT NULL                     -- the limit that was reached
);

CREATE TABLE incident (
    id       BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, -- never of two incidents, also after pruning
    rule     TEXT COLLATE "C" NOT NULL,
    "window"   BIGINT NOT NULL,                  -- of `match_rule`
    key      TEXT COLLATE "C" NOT NULL,                     -- JSON, as in `kept_match`
    opened   BIGINT NOT NULL,                  -- when it fired first
    seq      BIGINT NOT NULL,                  -- position of the entry that fired first
    event    BIGINT,                           -- position of the event that the reaction saw
    last     BIGINT NOT NULL,                  -- when it fired last
    count    BIGINT NOT NULL DEFAULT 1,        -- how often it fired
    targets  TEXT COLLATE "C" NOT NULL DEFAULT '[]',        -- that got a delivery when it fired: JSON array
    acknowledged BIGINT,
    acknowledged_by TEXT COLLATE "C",
    note     TEXT COLLATE "C",
    ended    BIGINT,
    how      BIGINT,                           -- see `IncidentEnd`
    ended_by TEXT COLLATE "C",
    reason   TEXT COLLATE "C"
);

CREATE INDEX incident_open ON incident (rule, "window", key) WHERE ended IS NULL;

CREATE INDEX incident_ended ON incident (ended) WHERE ended IS NOT NULL;

CREATE INDEX delivery_by_incident ON delivery (incident) WHERE incident IS NOT NULL;

CREATE TABLE silence (
    id          BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    pattern     TEXT COLLATE "C" NOT NULL,
    begins      BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    owner       TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    drops       BIGINT NOT NULL,               -- 1: deliveries are ended, not withheld
    created     BIGINT NOT NULL,
    ended       BIGINT,                        -- by an operator, before `until`
    ended_by    TEXT COLLATE "C",
    ended_drops BIGINT,                        -- 1: what it withholds is ended, not released
    withheld    BIGINT NOT NULL DEFAULT 0,     -- how often it has withheld a delivery
    dropped     BIGINT NOT NULL DEFAULT 0,
    settled     BIGINT NOT NULL DEFAULT 0      -- 1: it is over, and withholds nothing any more
);

CREATE INDEX silence_open ON silence (until) WHERE settled = 0;

CREATE TABLE withheld (                         -- each time that a delivery was withheld
    delivery BYTEA NOT NULL,
    number   BIGINT NOT NULL,                  -- counted for each delivery
    target   TEXT COLLATE "C" NOT NULL,
    rule     TEXT COLLATE "C" NOT NULL,
    scope    TEXT COLLATE "C",                              -- as in `delivery`
    name     TEXT COLLATE "C",                              -- `delay_key` of the delivery
    silence  BIGINT,
    incident BIGINT,
    since    BIGINT NOT NULL,
    until    BIGINT NOT NULL,                  -- when it is released at the latest
    ended    BIGINT,
    PRIMARY KEY (delivery, number)
);

CREATE INDEX withheld_until ON withheld (until) WHERE ended IS NULL;

CREATE INDEX withheld_silence ON withheld (silence) WHERE ended IS NULL AND silence IS NOT NULL;

CREATE INDEX withheld_incident ON withheld (incident)
    WHERE ended IS NULL AND incident IS NOT NULL;

CREATE INDEX withheld_named ON withheld (rule, scope, name)
    WHERE ended IS NULL AND name IS NOT NULL;

CREATE TABLE audit (
    id        BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at        BIGINT NOT NULL,
    actor     TEXT COLLATE "C" NOT NULL,
    via       TEXT COLLATE "C" NOT NULL,                    -- see `AuditVia`
    operation TEXT COLLATE "C" NOT NULL,
    subject   TEXT COLLATE "C" NOT NULL,
    details   TEXT COLLATE "C" NOT NULL,                    -- JSON
    command   TEXT COLLATE "C" NOT NULL,
    outcome   TEXT COLLATE "C" NOT NULL,                    -- see `AuditOutcome`
    changed   BIGINT NOT NULL,
    message   TEXT COLLATE "C" NOT NULL,
    finished  BIGINT
);

CREATE INDEX audit_by_time ON audit (at);

CREATE INDEX audit_by_actor ON audit (actor, id, at, operation);

CREATE INDEX audit_by_operation ON audit (operation, id, at);

CREATE FUNCTION state_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO state_count (rule, entries) VALUES (new.rule, 1)
        ON CONFLICT (rule) DO UPDATE SET entries = state_count.entries + 1;
    ELSE
        UPDATE state_count SET entries = entries - 1 WHERE rule = old.rule;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER state_added AFTER INSERT ON state FOR EACH ROW EXECUTE FUNCTION state_counted();
CREATE TRIGGER state_removed AFTER DELETE ON state FOR EACH ROW EXECUTE FUNCTION state_counted();

CREATE FUNCTION match_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE match_rule SET pending = pending - old.pending, kept = kept - 1 + old.pending
        WHERE id = old.rule;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE match_rule SET pending = pending + new.pending, kept = kept + 1 - new.pending
        WHERE id = new.rule;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER match_added AFTER INSERT ON kept_match FOR EACH ROW EXECUTE FUNCTION match_counted();
CREATE TRIGGER match_removed AFTER DELETE ON kept_match FOR EACH ROW EXECUTE FUNCTION match_counted();
CREATE TRIGGER match_changed AFTER UPDATE OF pending ON kept_match FOR EACH ROW
    WHEN (old.pending <> new.pending) EXECUTE FUNCTION match_counted();

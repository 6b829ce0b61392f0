-- The limit row of bench/run: the product's tables without row-level security, triggers and partitions.
CREATE SCHEMA bench;
CREATE TABLE bench.batch_chunk (LIKE hocba.batch_chunk_2026 INCLUDING ALL);
CREATE TABLE bench.record_source (LIKE hocba.record_source INCLUDING ALL);
CREATE TABLE bench.directory (LIKE hocba.directory INCLUDING ALL);
CREATE TABLE bench.record (LIKE hocba.record_2025 INCLUDING ALL);
CREATE TABLE bench.record_body (LIKE hocba.record_body_2025 INCLUDING ALL);
CREATE TABLE bench.outbox_entry (LIKE hocba.outbox_entry_2025 INCLUDING ALL);

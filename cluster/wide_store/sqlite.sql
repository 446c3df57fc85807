-- Every statement of the SQLite adapter. :key is Subject.key; {…} is filled in by the caller with words
-- of its own, never with input.

-- info --
SELECT files, body FROM info

-- create_info --
INSERT INTO info (only, files, body) VALUES (1, :files, :body)

-- update_info --
UPDATE info SET body = :body

-- api_keys --
SELECT body FROM api_keys WHERE :tenant IS NULL OR tenant = :tenant ORDER BY id

-- api_key_by_hash --
SELECT body FROM api_keys WHERE key_hash = :key_hash

-- put_api_key --
INSERT INTO api_keys (id, tenant, key_hash, body) VALUES (:id, :tenant, :key_hash, :body)
ON CONFLICT (id) DO UPDATE SET tenant = :tenant, key_hash = :key_hash, body = :body

-- get_row --
SELECT body FROM plain_rows WHERE name = :name AND key = :key

-- put_row --
INSERT INTO plain_rows (name, key, body) VALUES (:name, :key, :body)
ON CONFLICT (name, key) DO UPDATE SET body = :body

-- delete_row --
DELETE FROM plain_rows WHERE name = :name AND key = :key

-- plain_rows --
SELECT name, key, body FROM plain_rows
WHERE (:name IS NULL OR name = :name) AND (name, key) > (:after_name, :after_key)
ORDER BY name, key
LIMIT :limit

-- ping --
SELECT 1

-- head --
SELECT revision, generation, settings FROM heads WHERE key = :key

-- head_row --
SELECT subject, revision, generation, settings, listed, active_hour FROM heads WHERE key = :key

-- create_head --
INSERT INTO heads (key, tenant, shard, revision, generation, settings, listed, active_hour)
VALUES (:key, :tenant, :shard, 0, 0, :settings, 0, 0)

-- list_head --
UPDATE heads SET listed = 1, active_hour = max(active_hour, :hour) WHERE subject = :subject

-- move_head --
UPDATE heads SET revision = :revision, settings = :settings, listed = 1 WHERE subject = :subject

-- replay_head --
UPDATE heads SET
    revision = :revision, generation = :generation, settings = :settings,
    listed = 1, active_hour = max(active_hour, :hour)
WHERE subject = :subject

-- has_messages --
SELECT 1 FROM messages WHERE subject = :subject AND generation = :generation LIMIT 1

-- erase_head --
UPDATE heads SET revision = :revision, generation = :generation, settings = :settings, listed = 0
WHERE subject = :subject

-- append_message --
INSERT INTO messages (subject, generation, id, session, event_time, deleted, body)
VALUES (:subject, :generation, :id, :session, :event_time, 0, :body)
ON CONFLICT (subject, generation, id) DO NOTHING

-- add_pending --
INSERT INTO pending (subject, generation, id)
SELECT :subject, :generation, :id
WHERE NOT EXISTS (
    SELECT 1 FROM run_inputs WHERE subject = :subject AND generation = :generation AND message_id = :id
)
ON CONFLICT DO NOTHING

-- settle_pending --
DELETE FROM pending WHERE subject = :subject AND generation = :generation AND id = :id

-- live_message --
SELECT body FROM messages WHERE subject = :subject AND generation = :generation AND id = :id AND deleted = 0

-- update_message --
UPDATE messages SET body = :body WHERE subject = :subject AND generation = :generation AND id = :id

-- forget_message --
INSERT INTO messages (subject, generation, id, session, event_time, deleted, body)
VALUES (:subject, :generation, :id, '', 0, 1, x'')
ON CONFLICT (subject, generation, id) DO UPDATE SET session = '', event_time = 0, deleted = 1, body = x''

-- add_mark --
INSERT INTO message_marks (subject, generation, mark, id) VALUES (:subject, :generation, :mark, :id)
ON CONFLICT DO NOTHING

-- remove_mark --
DELETE FROM message_marks WHERE subject = :subject AND generation = :generation AND mark = :mark AND id = :id

-- tail --
SELECT h.revision, h.generation, h.settings, m.seq, m.body
FROM heads AS h
LEFT JOIN messages AS m
    ON m.subject = h.subject AND m.generation = h.generation AND m.seq > :after AND m.deleted = 0
WHERE h.key = :key
ORDER BY m.seq
LIMIT :limit

-- last_arrival --
SELECT coalesce(max(m.seq), 0)
FROM heads AS h
JOIN messages AS m ON m.subject = h.subject AND m.generation = h.generation
WHERE h.key = :key

-- message --
SELECT m.body
FROM heads AS h
JOIN messages AS m ON m.subject = h.subject AND m.generation = h.generation AND m.id = :id AND m.deleted = 0
WHERE h.key = :key

-- messages --
SELECT m.id, m.body
FROM heads AS h
JOIN messages AS m INDEXED BY messages_by_id
    ON m.subject = h.subject AND m.generation = h.generation AND m.id {compare} :cursor
WHERE h.key = :key AND m.deleted = 0
    AND NOT EXISTS (
        SELECT 1 FROM message_marks AS x
        WHERE x.subject = m.subject AND x.generation = m.generation AND x.mark = :exclude AND x.id = m.id
    )
ORDER BY m.id {order}
LIMIT :limit

-- messages_of_session --
SELECT m.id, m.body
FROM heads AS h
JOIN messages AS m INDEXED BY messages_by_session
    ON m.subject = h.subject AND m.generation = h.generation AND m.session = :session
    AND m.id {compare} :cursor
WHERE h.key = :key AND m.deleted = 0
    AND NOT EXISTS (
        SELECT 1 FROM message_marks AS x
        WHERE x.subject = m.subject AND x.generation = m.generation AND x.mark = :exclude AND x.id = m.id
    )
ORDER BY m.id {order}
LIMIT :limit

-- messages_with_mark --
SELECT m.id, m.body
FROM heads AS h
CROSS JOIN message_marks AS k
    ON k.subject = h.subject AND k.generation = h.generation AND k.mark = :mark AND k.id {compare} :cursor
CROSS JOIN messages AS m
    ON m.subject = k.subject AND m.generation = k.generation AND m.id = k.id AND m.deleted = 0
WHERE h.key = :key
    AND (:session IS NULL OR m.session = :session)
    AND NOT EXISTS (
        SELECT 1 FROM message_marks AS x
        WHERE x.subject = m.subject AND x.generation = m.generation AND x.mark = :exclude AND x.id = m.id
    )
ORDER BY k.id {order}
LIMIT :limit

-- count_messages --
SELECT count(*)
FROM heads AS h
JOIN messages AS m INDEXED BY messages_by_session
    ON m.subject = h.subject AND m.generation = h.generation AND m.deleted = 0
WHERE h.key = :key
    AND NOT EXISTS (
        SELECT 1 FROM message_marks AS x
        WHERE x.subject = m.subject AND x.generation = m.generation AND x.mark = :exclude AND x.id = m.id
    )

-- count_messages_of_session --
SELECT count(*)
FROM heads AS h
JOIN messages AS m INDEXED BY messages_by_session
    ON m.subject = h.subject AND m.generation = h.generation AND m.deleted = 0 AND m.session = :session
WHERE h.key = :key
    AND NOT EXISTS (
        SELECT 1 FROM message_marks AS x
        WHERE x.subject = m.subject AND x.generation = m.generation AND x.mark = :exclude AND x.id = m.id
    )

-- count_messages_with_mark --
SELECT count(*)
FROM heads AS h
CROSS JOIN message_marks AS k ON k.subject = h.subject AND k.generation = h.generation AND k.mark = :mark
CROSS JOIN messages AS m
    ON m.subject = k.subject AND m.generation = k.generation AND m.id = k.id AND m.deleted = 0
WHERE h.key = :key
    AND (:session IS NULL OR m.session = :session)
    AND NOT EXISTS (
        SELECT 1 FROM message_marks AS x
        WHERE x.subject = m.subject AND x.generation = m.generation AND x.mark = :exclude AND x.id = m.id
    )

-- recent_messages --
SELECT m.id, m.body, v.content_hash, v.vector
FROM heads AS h
JOIN messages AS m INDEXED BY messages_by_id
    ON m.subject = h.subject AND m.generation = h.generation AND m.id < :cursor
LEFT JOIN vectors AS v
    ON v.subject = m.subject AND v.generation = m.generation AND v.kind = 'message' AND v.id = m.id
    AND v.model = :model
WHERE h.key = :key AND m.deleted = 0
ORDER BY m.id DESC
LIMIT :limit

-- sessions --
SELECT m.session, count(*), min(m.event_time), max(m.event_time)
FROM heads AS h
JOIN messages AS m INDEXED BY messages_by_session
    ON m.subject = h.subject AND m.generation = h.generation AND m.session > :cursor
WHERE h.key = :key AND m.deleted = 0
GROUP BY m.session
ORDER BY m.session
LIMIT :limit

-- pending_messages --
SELECT m.body
FROM heads AS h
CROSS JOIN pending AS p ON p.subject = h.subject AND p.generation = h.generation
CROSS JOIN messages AS m ON m.subject = p.subject AND m.generation = p.generation AND m.id = p.id
WHERE h.key = :key
ORDER BY p.id

-- memories --
SELECT m.body
FROM heads AS h
JOIN memories AS m ON m.subject = h.subject AND m.generation = h.generation AND m.body IS NOT NULL
WHERE h.key = :key
ORDER BY m.id

-- memory_vectors --
SELECT m.id, v.content_hash, v.vector
FROM heads AS h
CROSS JOIN memories AS m ON m.subject = h.subject AND m.generation = h.generation AND m.body IS NOT NULL
CROSS JOIN vectors AS v
    ON v.subject = m.subject AND v.generation = m.generation AND v.kind = 'memory' AND v.id = m.id
    AND v.model = :model
WHERE h.key = :key
ORDER BY m.id

-- message_vector --
SELECT m.id, v.content_hash, v.vector
FROM heads AS h
JOIN messages AS m ON m.subject = h.subject AND m.generation = h.generation AND m.id = :id AND m.deleted = 0
JOIN vectors AS v
    ON v.subject = m.subject AND v.generation = m.generation AND v.kind = 'message' AND v.id = m.id
    AND v.model = :model
WHERE h.key = :key

-- put_memory --
INSERT INTO memories (subject, generation, id, body) VALUES (:subject, :generation, :id, :body)
ON CONFLICT (subject, generation, id) DO UPDATE SET body = :body

-- forget_memory --
INSERT INTO memories (subject, generation, id, body) VALUES (:subject, :generation, :id, NULL)
ON CONFLICT (subject, generation, id) DO UPDATE SET body = NULL

-- add_scope --
INSERT INTO scopes (tenant, label, label_id, subject, generation, memory_id)
VALUES (:tenant, :label, :label_id, :subject, :generation, :memory_id)

-- remove_scopes --
DELETE FROM scopes WHERE subject = :subject AND generation = :generation AND memory_id = :memory_id

-- put_memory_vector --
INSERT INTO vectors (subject, generation, kind, id, model, content_hash, vector)
SELECT :subject, :generation, 'memory', :id, :model, :content_hash, :vector
WHERE NOT EXISTS (
    SELECT 1 FROM memories
    WHERE subject = :subject AND generation = :generation AND id = :id AND body IS NULL
)
ON CONFLICT (subject, generation, kind, id, model) DO UPDATE SET content_hash = :content_hash, vector = :vector

-- put_message_vector --
INSERT INTO vectors (subject, generation, kind, id, model, content_hash, vector)
SELECT :subject, :generation, 'message', :id, :model, :content_hash, :vector
WHERE NOT EXISTS (
    SELECT 1 FROM messages
    WHERE subject = :subject AND generation = :generation AND id = :id AND deleted = 1
)
ON CONFLICT (subject, generation, kind, id, model) DO UPDATE SET content_hash = :content_hash, vector = :vector

-- remove_vectors --
DELETE FROM vectors WHERE subject = :subject AND generation = :generation AND kind = :kind AND id = :id

-- landed --
SELECT revision FROM changes WHERE subject = :subject AND generation = :generation AND commit_id = :commit_id

-- add_change --
INSERT INTO changes (subject, generation, revision, commit_id, body)
VALUES (:subject, :generation, :revision, :commit_id, :body)

-- add_touch --
INSERT INTO touches (subject, generation, memory_id, revision)
VALUES (:subject, :generation, :memory_id, :revision)
ON CONFLICT DO NOTHING

-- touching_changes --
SELECT c.row, c.body
FROM touches AS t
CROSS JOIN changes AS c ON c.subject = t.subject AND c.generation = t.generation AND c.revision = t.revision
WHERE t.subject = :subject AND t.generation = :generation AND t.memory_id = :memory_id

-- update_change --
UPDATE changes SET body = :body WHERE row = :row

-- changes --
SELECT c.body
FROM heads AS h
JOIN changes AS c ON c.subject = h.subject AND c.generation = h.generation AND c.revision > :after
WHERE h.key = :key
ORDER BY c.revision
LIMIT :limit

-- memory_history --
SELECT c.body
FROM heads AS h
CROSS JOIN touches AS t
    ON t.subject = h.subject AND t.generation = h.generation AND t.memory_id = :memory_id
CROSS JOIN changes AS c ON c.subject = t.subject AND c.generation = t.generation AND c.revision = t.revision
WHERE h.key = :key
ORDER BY t.revision DESC
LIMIT :limit

-- run_row --
SELECT body FROM runs WHERE subject = :subject AND generation = :generation AND id = :id

-- put_run --
INSERT INTO runs (subject, generation, id, status, body) VALUES (:subject, :generation, :id, :status, :body)
ON CONFLICT (subject, generation, id) DO UPDATE SET status = :status, body = :body

-- add_run_input --
INSERT INTO run_inputs (subject, generation, message_id, run_id)
VALUES (:subject, :generation, :message_id, :run_id)
ON CONFLICT DO NOTHING

-- remove_run_input --
DELETE FROM run_inputs
WHERE subject = :subject AND generation = :generation AND message_id = :message_id AND run_id = :run_id

-- run --
SELECT r.body
FROM heads AS h
JOIN runs AS r ON r.subject = h.subject AND r.generation = h.generation AND r.id = :id
WHERE h.key = :key

-- runs --
SELECT r.id, r.body
FROM heads AS h
JOIN runs AS r INDEXED BY runs_of_subject
    ON r.subject = h.subject AND r.generation = h.generation AND r.id < :cursor
WHERE h.key = :key
ORDER BY r.id DESC
LIMIT :limit

-- runs_with_status --
SELECT r.id, r.body
FROM heads AS h
JOIN runs AS r INDEXED BY runs_by_status
    ON r.subject = h.subject AND r.generation = h.generation AND r.status = :status AND r.id < :cursor
WHERE h.key = :key
ORDER BY r.id DESC
LIMIT :limit

-- runs_of_message --
SELECT r.id, r.body
FROM heads AS h
CROSS JOIN run_inputs AS i
    ON i.subject = h.subject AND i.generation = h.generation AND i.message_id = :message_id
CROSS JOIN runs AS r ON r.subject = i.subject AND r.generation = i.generation AND r.id = i.run_id
WHERE h.key = :key

-- put_run_record --
INSERT INTO run_records (subject, generation, id, body) VALUES (:subject, :generation, :id, :body)
ON CONFLICT (subject, generation, id) DO UPDATE SET body = :body

-- run_record --
SELECT x.body, r.body
FROM heads AS h
JOIN runs AS r ON r.subject = h.subject AND r.generation = h.generation AND r.id = :id
JOIN run_records AS x ON x.subject = h.subject AND x.generation = h.generation AND x.id = :id
WHERE h.key = :key

-- message_is_forgotten --
SELECT 1
FROM heads AS h
JOIN messages AS m ON m.subject = h.subject AND m.generation = h.generation AND m.id = :id AND m.deleted = 1
WHERE h.key = :key

-- memory_is_forgotten --
SELECT 1
FROM heads AS h
JOIN memories AS m
    ON m.subject = h.subject AND m.generation = h.generation AND m.id = :id AND m.body IS NULL
WHERE h.key = :key

-- forget_run_record --
DELETE FROM run_records WHERE subject = :subject AND generation = :generation AND id = :id

-- forget_records_of_message --
DELETE FROM run_records
WHERE subject = :subject AND generation = :generation AND id IN (
    SELECT run_id FROM run_inputs
    WHERE subject = :subject AND generation = :generation AND message_id = :id
)

-- forget_orphan_records --
DELETE FROM run_records
WHERE subject = :subject AND generation = :generation AND NOT EXISTS (
    SELECT 1 FROM runs AS r
    WHERE r.subject = run_records.subject AND r.generation = run_records.generation
        AND r.id = run_records.id
)

-- claim --
SELECT expires_at, body FROM claims
WHERE subject = :subject AND generation = :generation AND kind = :kind AND key = :claim_key

-- put_claim --
INSERT INTO claims (subject, generation, kind, key, expires_at, body)
VALUES (:subject, :generation, :kind, :claim_key, :expires_at, :body)
ON CONFLICT (subject, generation, kind, key) DO UPDATE SET expires_at = :expires_at, body = :body

-- claims --
SELECT c.kind, c.key, c.body
FROM heads AS h
JOIN claims AS c INDEXED BY claims_by_key
    ON c.subject = h.subject AND c.generation = h.generation AND (c.kind, c.key) > (:kind, :claim_key)
WHERE h.key = :key
ORDER BY c.kind, c.key
LIMIT :limit

-- drop_expired_claims --
DELETE FROM claims
WHERE row IN (SELECT row FROM claims WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)

-- resolve_memory --
SELECT h.key
FROM memories AS m INDEXED BY memories_by_id
CROSS JOIN heads AS h ON h.subject = m.subject AND h.generation = m.generation
WHERE m.id = :id AND m.body IS NOT NULL AND h.tenant = :tenant
LIMIT 1

-- resolve_run --
SELECT h.key
FROM runs AS r INDEXED BY runs_by_id
CROSS JOIN heads AS h ON h.subject = r.subject AND h.generation = r.generation
WHERE r.id = :id AND h.tenant = :tenant
LIMIT 1

-- subjects --
SELECT key FROM heads WHERE listed = 1 AND key > :cursor ORDER BY key LIMIT :limit

-- subjects_of_tenant --
SELECT key FROM heads
WHERE listed = 1 AND tenant = :tenant AND key > :cursor AND (:shard IS NULL OR shard = :shard)
ORDER BY key LIMIT :limit

-- subjects_of_shard --
SELECT key FROM heads
WHERE listed = 1 AND shard = :shard AND active_hour >= :hour AND key > :cursor
ORDER BY key LIMIT :limit

-- scope --
SELECT h.key, s.subject, s.generation, s.memory_id
FROM scopes AS s
CROSS JOIN heads AS h ON h.subject = s.subject AND h.generation = s.generation
WHERE s.tenant = :tenant AND s.label = :label AND s.label_id = :label_id
    AND (s.subject, s.generation, s.memory_id) > (:subject, :generation, :memory_id)
ORDER BY s.subject, s.generation, s.memory_id
LIMIT :limit

-- swept --
SELECT through FROM swept WHERE shard = :shard

-- move_swept --
INSERT INTO swept (shard, through) VALUES (:shard, :through)
ON CONFLICT (shard) DO UPDATE SET through = max(through, :through)

-- graves --
SELECT subject, generation FROM graves LIMIT 1

-- dig_grave --
INSERT INTO graves (subject, generation) VALUES (:subject, :generation) ON CONFLICT DO NOTHING

-- close_grave --
DELETE FROM graves WHERE subject = :subject AND generation = :generation

-- purge --
DELETE FROM {table}
WHERE rowid IN (
    SELECT rowid FROM {table} WHERE subject = :subject AND generation = :generation LIMIT :limit
)

-- purgeable --
SELECT {columns} FROM {table} WHERE subject = :subject AND generation = :generation LIMIT :limit

-- purge_keyed --
DELETE FROM {table} WHERE ({columns}) = ({values})

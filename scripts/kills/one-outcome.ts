/** Promise 1 as SQL, over the tables of one session. */

/** Every accepted submission that is not named by exactly one outcome or cancellation. */
export const ONE_OUTCOME = `
WITH row AS (
  SELECT seq, type, CASE WHEN body <> '' THEN body ELSE (
    SELECT group_concat(data, '') FROM (SELECT data FROM part WHERE part.seq = log.seq ORDER BY n)
  ) END AS body FROM log
), accepted AS (
  SELECT min(seq) AS seq FROM row
  WHERE type = 'input' OR type = 'tool.confirmed'
    OR (type = 'tool.ended' AND body ->> 'by' = 'client')
  GROUP BY body ->> 'submission'
), named AS (
  SELECT one.value AS seq FROM row, json_each(row.body, '$.inputs') AS one
  WHERE row.type = 'outcome'
  UNION ALL
  SELECT body ->> 'input' FROM row WHERE type = 'input.cancelled'
)
SELECT accepted.seq AS seq, (SELECT count(*) FROM named WHERE named.seq = accepted.seq) AS ends
FROM accepted WHERE ends <> 1
UNION ALL
SELECT named.seq, 1 FROM named WHERE named.seq NOT IN (SELECT seq FROM accepted)`;

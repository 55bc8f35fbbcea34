-- A day passes at the shop: people sign up, some get a better tier, one order comes back.
INSERT INTO customers
SELECT i, md5('customer ' || i)::uuid, 'Neu ' || i, NULL, 'free', '{}', NULL, NULL, NULL, NULL,
    timestamptz '2026-09-30 12:00+00', timestamptz '2026-10-02 09:00+00'
FROM generate_series(2001, 2025) AS i;

UPDATE customers SET tier = 'pro', updated_at = timestamptz '2026-10-02 10:00+00' WHERE id % 400 = 0;
UPDATE orders SET status = 'returned', updated_at = timestamptz '2026-10-02 11:00+00' WHERE id = 9999;

-- A small shop, the same every time: nothing in it depends on chance or on today.
CREATE TYPE customer_tier AS ENUM ('free', 'plus', 'pro');
CREATE TYPE order_status AS ENUM ('placed', 'paid', 'shipped', 'returned');

CREATE TABLE customers (
    id            bigint PRIMARY KEY,
    public_id     uuid NOT NULL UNIQUE,
    name          text NOT NULL,
    email         text,
    tier          customer_tier NOT NULL,
    tags          text[] NOT NULL,
    address       jsonb,
    credit_limit  numeric(12, 2),
    newsletter    boolean,
    born_on       date,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);
COMMENT ON TABLE customers IS 'People and firms that have signed up.';
COMMENT ON COLUMN customers.credit_limit IS 'In euros; null where nobody has set one.';

CREATE TABLE orders (
    id           bigint PRIMARY KEY,
    customer_id  bigint NOT NULL REFERENCES customers,
    status       order_status NOT NULL,
    total        numeric(12, 2) NOT NULL,
    lines        jsonb NOT NULL,
    note         text,
    placed_at    timestamptz NOT NULL,
    shipped_at   timestamptz,
    updated_at   timestamptz NOT NULL
);
COMMENT ON TABLE orders IS 'What customers ordered; lines hold article and amount.';

INSERT INTO customers
SELECT
    i,
    md5('customer ' || i)::uuid,
    (ARRAY['Ana', 'Bjørn', 'Chiara', 'Dağhan', 'Élodie', 'Фёдор', 'Gül', '花子', 'Ines', 'José', 'Łukasz'])[1 + i % 11]
        || ' ' || (ARRAY['Novák', 'O''Neill', 'García', 'Sørensen', '山田', 'Weiß', 'Ivanova'])[1 + i % 7],
    CASE WHEN i % 13 = 0 THEN NULL ELSE 'customer' || i || '@example.com' END,
    (ARRAY['free', 'free', 'free', 'plus', 'pro'])[1 + i % 5]::customer_tier,
    CASE i % 4 WHEN 0 THEN '{}' WHEN 1 THEN '{early bird}' WHEN 2 THEN '{b2b,"vat, exempt"}' ELSE '{vip,🎁}' END::text[],
    CASE WHEN i % 9 = 0 THEN NULL
        ELSE jsonb_build_object('city', (ARRAY['Zürich', 'Kraków', '東京', 'Lisboa', 'Malmö'])[1 + i % 5], 'zip', 10000 + i) END,
    CASE WHEN i % 6 = 0 THEN NULL ELSE round((i * 7919 % 500000) / 100.0, 2) END,
    CASE WHEN i % 3 = 0 THEN NULL ELSE i % 2 = 0 END,
    CASE WHEN i % 8 = 0 THEN NULL ELSE date '1950-01-01' + i * 37 % 20000 END,
    signed_up,
    signed_up
FROM generate_series(1, 2000) AS i,
    LATERAL (SELECT timestamptz '2026-10-01 00:00+00' - ((2000 - i) * 317 || ' minutes')::interval AS signed_up) AS at;

INSERT INTO orders
SELECT
    i,
    1 + (i::bigint * 7919 % 2000),
    (ARRAY['placed', 'paid', 'shipped', 'shipped', 'returned'])[1 + i % 5]::order_status,
    round((i::bigint * 104729 % 40000) / 100.0 + 5, 2),
    jsonb_build_array(jsonb_build_object('article', 'A-' || i % 97, 'amount', 1 + i % 4)),
    CASE WHEN i % 7 = 0 THEN 'please ring twice; ça presse' ELSE NULL END,
    placed,
    CASE WHEN i % 5 IN (2, 3, 4) THEN placed + interval '26 hours' END,
    placed + interval '30 hours'
FROM generate_series(1, 10000) AS i,
    LATERAL (SELECT timestamptz '2026-10-01 00:00+00' - ((10000 - i) * 61 || ' minutes')::interval AS placed) AS at;

-- What people write by hand: one thing in many spellings.
CREATE TABLE fair_list (
    id        int PRIMARY KEY,
    email     text,
    visited   text,
    interest  text
);
COMMENT ON TABLE fair_list IS 'Who left a card at the fair, typed in by hand.';

INSERT INTO fair_list
SELECT
    i,
    CASE WHEN i % 12 = 0 THEN 'n/a'
        WHEN i % 5 = 0 THEN ' Guest' || (i % 40) || '@Example.com'
        ELSE 'guest' || (i % 40) || '@example.com' END,
    to_char(day, (ARRAY['YYYY-MM-DD', 'DD/MM/YYYY', 'FMDD Mon YYYY', 'DD.MM.YYYY'])[1 + i % 4]),
    (ARRAY['PRO', 'pro', 'free ', '-', 'Plus'])[1 + i % 5]
FROM generate_series(1, 120) AS i, LATERAL (SELECT date '2026-09-14' + i % 3 AS day) AS at;

ANALYZE;

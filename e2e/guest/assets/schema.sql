-- The guest's workload: a ledger whose rows say what was acknowledged, and
-- balances whose sum never changes (as in TPC-B). Both change in one transaction.
CREATE EXTENSION amcheck;

CREATE TABLE ledger (
	id      bigint PRIMARY KEY,  -- 1, 2, 3 ... : a plain counter, no sequence, so gaps mean loss
	payload text   NOT NULL,     -- some hundred bytes, different in every row
	crc     text   NOT NULL      -- md5 of id and payload
);

CREATE TABLE balances (
	account int    PRIMARY KEY,
	amount  bigint NOT NULL
);

INSERT INTO balances SELECT g, 1000 FROM generate_series(1, 100) g;

CREATE FUNCTION row_crc(id bigint, payload text) RETURNS text
	LANGUAGE sql IMMUTABLE AS $$ SELECT md5(id || ':' || payload) $$;

CREATE PROCEDURE step(n bigint) LANGUAGE plpgsql AS $$
DECLARE
	body text := repeat(md5(random()::text), 8);
	moved bigint := 1 + n % 17;
BEGIN
	INSERT INTO ledger VALUES (n, body, row_crc(n, body));
	UPDATE balances SET amount = amount - moved WHERE account = 1 + n % 100;
	UPDATE balances SET amount = amount + moved WHERE account = 1 + (n * 7 + 3) % 100;
END $$;

-- T17. Hands out slots of an account's quota within the next p_horizon milliseconds.
--
-- An account has as many cells as it may make requests a second. A request takes the cell that has rested longest, and
-- no cell is taken again within p_window milliseconds of its use: so no window of that length, wherever it begins, ever
-- holds more requests than there are cells. Slots lie p_spacing apart at least: nearer than the average, so that time
-- lost to a late request is made up for, but not in one burst, behind which an urgent request would have to wait.
--
-- p_weights    what part of the account each share owns, in order of precedence; they add up to 1
-- p_share      the asking share, 1-based
-- p_want       slots wanted
--
-- A share may take any free slot while nobody else waits. While somebody else waits who has a better right
-- (it has not used up its own part, or it comes first in precedence), a share gets its own part and no more.
-- Being served clears a share's mark as waiting; not being served sets it for 300 ms, longer than the time
-- after which it asks again (retry_in).
CREATE FUNCTION quota_take(
  p_account text,
  p_cells integer,
  p_window double precision,
  p_spacing double precision,
  p_weights double precision[],
  p_share integer,
  p_want integer,
  p_horizon double precision,
  OUT slots double precision[],   -- milliseconds from now
  OUT positions integer[],        -- the cell of each, for quota_late
  OUT retry_in double precision   -- when to ask again for what was not granted
)
LANGUAGE plpgsql AS $$
DECLARE
  a quota_accounts%ROWTYPE;
  v_now double precision;
  v_own_interval double precision := p_window / p_cells / p_weights[p_share];
  v_own_at double precision;
  v_contested boolean := false;
  v_most integer := p_want;
  v_slot double precision;
  v_known double precision[];
BEGIN
  SELECT * INTO a FROM quota_accounts WHERE account = p_account FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO quota_accounts (account) VALUES (p_account) ON CONFLICT DO NOTHING;
    SELECT * INTO a FROM quota_accounts WHERE account = p_account FOR UPDATE;
  END IF;
  v_now := extract(epoch FROM clock_timestamp()) * 1000; -- read after the lock was granted
  IF cardinality(a.cells) = 0 THEN
    a.cells := array_fill(0::double precision, ARRAY[p_cells]);
    a.next_cell := 1;
  ELSIF cardinality(a.cells) <> p_cells THEN
    -- another limit, for good or by another process for the moment: the newest uses stay known; of older ones that
    -- were forgotten it is assumed that they are as new as the oldest that is known
    v_known := ARRAY(SELECT c FROM unnest(a.cells) c ORDER BY c);
    a.cells := array_fill(v_known[1], ARRAY[greatest(0, p_cells - cardinality(v_known))])
      || v_known[greatest(0, cardinality(v_known) - p_cells) + 1 :];
    a.next_cell := 1;
  END IF;

  FOR i IN 1 .. array_length(p_weights, 1) LOOP
    IF i <> p_share
       AND coalesce(a.hungry[i], 0) > v_now
       AND (i < p_share OR coalesce(a.used[i], 0) <= v_now) THEN
      v_contested := true;
    END IF;
  END LOOP;
  v_own_at := greatest(coalesce(a.used[p_share], 0), v_now);
  IF v_contested THEN
    v_most := CASE WHEN v_own_at > v_now + p_horizon THEN 0
                   ELSE least(p_want, floor((v_now + p_horizon - v_own_at) / v_own_interval)::integer + 1) END;
  END IF;

  slots := '{}';
  positions := '{}';
  LOOP
    v_slot := greatest(v_now, a.hold_until, a.last_at + p_spacing, a.cells[a.next_cell] + p_window);
    EXIT WHEN coalesce(array_length(slots, 1), 0) >= v_most OR v_slot > v_now + p_horizon;
    slots := slots || (v_slot - v_now);
    positions := positions || a.next_cell;
    a.cells[a.next_cell] := v_slot;
    a.next_cell := a.next_cell % p_cells + 1;
    a.last_at := v_slot;
  END LOOP;

  -- what was borrowed while nobody waited is not held against the share later: at most one own slot of debt
  a.used[p_share] := least(v_own_at + cardinality(slots) * v_own_interval, v_now + p_horizon + v_own_interval);
  a.hungry[p_share] := CASE WHEN cardinality(slots) < p_want THEN v_now + 300 ELSE 0 END;
  retry_in := least(200, greatest(
    2,
    v_slot - p_horizon - v_now,
    CASE WHEN v_contested THEN a.used[p_share] - p_horizon - v_now ELSE 0 END
  ));

  UPDATE quota_accounts
     SET cells = a.cells, next_cell = a.next_cell, last_at = a.last_at, used = a.used, hungry = a.hungry
   WHERE account = p_account;
END;
$$;
--> statement-breakpoint
-- A slot was used later than planned: its cell rests from then on.
CREATE FUNCTION quota_late(p_account text, p_positions integer[], p_late double precision[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_cells double precision[];
BEGIN
  SELECT cells INTO v_cells FROM quota_accounts WHERE account = p_account FOR UPDATE;
  FOR i IN 1 .. cardinality(p_positions) LOOP
    IF p_positions[i] <= cardinality(v_cells) THEN
      v_cells[p_positions[i]] := v_cells[p_positions[i]] + p_late[i];
    END IF;
  END LOOP;
  UPDATE quota_accounts SET cells = v_cells WHERE account = p_account;
END;
$$;

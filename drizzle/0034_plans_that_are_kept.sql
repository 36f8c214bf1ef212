-- P6: what follows each new parcel was planned anew each time, since a plan for one parcel looks cheaper than one for any number:
-- that took three times as long as the statements themselves.
ALTER FUNCTION shipments_reopen_orders() SET plan_cache_mode = 'force_generic_plan';

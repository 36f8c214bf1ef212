import type { z } from 'zod';
import { type App, body, checked, query } from './control-body.ts';
import * as schema from './control-courier-schema.ts';
import { COURIERS } from './couriers/catalogue.ts';
import type { Couriers } from './couriers/couriers.ts';
import type { CourierDesk } from './couriers/desk.ts';
import type { CourierName, Parcel, Word } from './couriers/model.ts';
import type { ParcelSpec, ParcelsSpec } from './couriers/parcels.ts';
import { recordedParcels } from './couriers/recorded.ts';
import type { HttpFaultRule, HttpFaults } from './http-faults.ts';

export interface CourierContext {
  couriers: Couriers;
}

/** Parcels and couriers: settings, limits, faults, request logs. */
export function courierRoutes(app: App, { couriers }: CourierContext): void {
  parcelRoutes(app, couriers);
  app.get('/couriers', (c) =>
    c.json(Object.fromEntries(COURIERS.map((name) => [name, shown(couriers, name)]))),
  );
  app.delete('/couriers', (c) => {
    for (const name of COURIERS) couriers.api[name].ledger.reset();
    return c.json({ ok: true });
  });
  app.get('/couriers/:name', (c) => c.json(shown(couriers, named(c.req.param('name')))));
  app.post('/couriers/:name', async (c) => {
    const name = named(c.req.param('name'));
    change(couriers.api[name], await body(c, schema.courierChange(name)));
    return c.json(shown(couriers, name));
  });
  app.get('/couriers/:name/ledger', (c) => {
    const { ledger } = couriers.api[named(c.req.param('name'))];
    const { limit, peakOver, ...filter } = query(c, schema.courierLedger);
    const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
    return c.json({
      summary: ledger.summary(),
      ...(peakOver !== undefined && { peak: ledger.peak(peakOver) }),
      entries: ledger.entries(given).slice(-limit),
    });
  });
  app.delete('/couriers/:name/ledger', (c) => {
    couriers.api[named(c.req.param('name'))].ledger.reset();
    return c.json({ ok: true });
  });
  app.get('/pushes', (c) => c.json(couriers.webhooks.sent.list()));
  app.delete('/pushes', (c) => {
    couriers.webhooks.sent.clear();
    return c.json({ ok: true });
  });
  httpFaultRoutes(app, '/couriers/:name', (name) => couriers.api[named(name)].faults);
}

function named(name: string): CourierName {
  return checked(schema.courier, name, 'courier');
}

function shown({ api, parcels }: Couriers, name: CourierName) {
  const desk: CourierDesk = api[name];
  return {
    parcels: parcels.size(name),
    settings: desk.settings,
    ...(desk.account && { account: desk.account.settings, locked: desk.account.locked() }),
    faultRules: desk.faults.list().length,
    ...desk.ledger.summary(),
  };
}

function change(
  desk: CourierDesk,
  { account, revokeTokens, unlock, ...settings }: z.output<ReturnType<typeof schema.courierChange>>,
): void {
  const foreign = Object.keys(settings).filter((key) => !(key in desk.settings));
  if (foreign.length > 0) throw new Error(`${desk.name} has no setting ${foreign.join(', ')}`);
  if (!desk.account && (account || revokeTokens || unlock)) throw new Error(`${desk.name} has no login`);
  Object.assign(desk.settings, settings);
  if (desk.account) Object.assign(desk.account.settings, account);
  if (revokeTokens) desk.account?.revoke();
  if (unlock) desk.account?.unlock();
}

function parcelRoutes(app: App, { parcels }: Couriers): void {
  app.post('/parcels', async (c) => {
    const wanted = await body(c, schema.parcels);
    let added: Parcel[];
    if ('recorded' in wanted) {
      added = recordedParcels();
      parcels.put(added);
    } else if ('list' in wanted) added = wanted.list.map((spec) => parcels.add(spec as ParcelSpec));
    else if ('count' in wanted) added = parcels.addMany(wanted as ParcelsSpec);
    else added = [parcels.add(wanted as ParcelSpec)];
    const rows = added.map(({ api, number, reference, bookedAt, life }) => ({
      api,
      number,
      reference,
      bookedAt,
      life,
    }));
    return c.json({ added: rows.length, total: parcels.size(), parcels: rows }, 201);
  });
  app.get('/parcels', (c) => {
    const { api, number, limit, now } = query(c, schema.parcelList);
    const found = number === undefined ? parcels.list(api).slice(-limit) : [parcels.get(number, api)];
    return c.json(
      found.map(({ addedAt: _a, speed: _s, ...one }) => ({ ...one, truth: parcels.truth(one.number, now) })),
    );
  });
  app.post('/parcels/:number', async (c) => {
    const { api, ...word } = await body(c, schema.word);
    const { number } = parcels.setWord(c.req.param('number'), word as Word, api);
    return c.json(parcels.truth(number));
  });
}

/** GET, POST and DELETE PATH/faults. */
export function httpFaultRoutes(app: App, path: string, faultsOf: (name: string) => HttpFaults): void {
  app.get(`${path}/faults`, (c) => {
    const faults = faultsOf(c.req.param('name') ?? '');
    return c.json(faults.list().map(({ id, rule, hits }) => ({ id, hits: hits(), ...rule })));
  });
  app.post(`${path}/faults`, async (c) => {
    const rule = (await body(c, schema.httpFault)) as HttpFaultRule;
    return c.json({ id: faultsOf(c.req.param('name') ?? '').add(rule).id }, 201);
  });
  app.delete(`${path}/faults`, (c) => {
    faultsOf(c.req.param('name') ?? '').clear();
    return c.json({ ok: true });
  });
}

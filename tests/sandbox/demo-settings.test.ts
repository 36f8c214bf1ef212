import { expect, test } from 'vitest';
import { COURIERS } from '../../sandbox/couriers/catalogue.ts';
import { playedBy, servicesOf } from '../../sandbox/demo-settings.ts';
import { sandboxForTest } from './client.ts';

/** What `npm start` gives the fleet, where this is set already. */
async function played(env: Record<string, string>) {
  const sandbox = await sandboxForTest({ smtp: true });
  return playedBy(sandbox.env(), env);
}
const trackers = (variables: Record<string, string>) =>
  Object.keys(variables).filter((name) => name.endsWith('_EVERY'));

test('every stand-in plays, with a round a minute, where nothing is set', async () => {
  const all = await played({ SHIPROCKET_EMAIL: '' });
  expect(all).toMatchObject({ SHIPROCKET_EMAIL: /@/, DELHIVERY_B2C_EVERY: '60', TEMU_EU_URL: /http/ });
  expect(trackers(all)).toEqual(COURIERS.map((name) => `${name.toUpperCase().replaceAll('-', '_')}_EVERY`));
  const services = servicesOf(all);
  // each once, though Delhivery has three
  expect(services).toEqual([...new Set(services)]);
  expect(services).toEqual(expect.arrayContaining(['DELHIVERY', 'SHIPROCKET', 'VELOCITY', 'SLACK', 'SMTP']));
});

test.each([
  ['DELHIVERY_AUTH_TOKEN_B2C', 'DELHIVERY_B2C_EVERY', /^DELHIVERY_(URL|AUTH_TOKEN_B2C|WEBHOOK_TOKEN)$/],
  ['DELHIVERY_B2B_PASSWORD', 'DELHIVERY_B2B_EVERY', /^DELHIVERY_B2B_(URL|USERNAME|PASSWORD)$/],
  ['SHIPROCKET_WEBHOOK_TOKEN', 'SHIPROCKET_EVERY', /^SHIPROCKET_(URL|EMAIL|PASSWORD|WEBHOOK_TOKEN)$/],
  // the stand-in offers no key, and still one that is set is its own courier's
  ['VELOCITY_API_KEY', 'VELOCITY_EVERY', /^VELOCITY_(URL|USERNAME|PASSWORD)$/],
  ['DELHIVERY_ORIGIN', 'DELHIVERY_FALLBACK_EVERY', /^DELHIVERY_(FALLBACK_URL|ORIGIN)$/],
])('with %s set that courier is real, and the others are played', async (variable, every, own) => {
  const [all, some] = [await played({}), await played({ [variable]: 'set' })];
  const missing = Object.keys(all).filter((name) => !(name in some));
  expect(missing).toContain(every);
  for (const name of missing) expect(name === every || own.test(name), name).toBe(true);
  expect(Object.keys(some).filter((name) => own.test(name))).toEqual([]);
});

test('how fast a courier is asked makes it no real one', async () => {
  const some = await played({
    SHIPROCKET_EVERY: '30',
    DELHIVERY_B2B_LIMIT: '1/1',
    VELOCITY_TRACKING_WORKERS: '2',
  });
  expect(some).toMatchObject({ SHIPROCKET_EVERY: '30', DELHIVERY_B2B_URL: /http/, VELOCITY_URL: /http/ });
});

test('Slack and mail are whole services, too', async () => {
  const some = servicesOf(await played({ ALERTS_SLACK_CHANNEL_ID: 'C1', EMAIL_SENDER: 'a@b.example' }));
  expect(some).toContain('VELOCITY');
  expect(some).not.toContain('SLACK');
  expect(some).not.toContain('SMTP');
});

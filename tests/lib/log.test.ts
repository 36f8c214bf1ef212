import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLog, type Log } from '../../src/lib/log.ts';

/** What a log writes, as text. */
function written(level: string, write: (log: Log) => void): string {
  let text = '';
  const destination = new Writable({
    write(chunk, _, done) {
      text += chunk;
      done();
    },
  });
  write(createLog({ level, name: 'test', destination }));
  return text;
}

const store = {
  name: 'demo-ro',
  appKey: 'public-key',
  appSecret: 'planted-1',
  accessToken: 'planted-2',
};
const row = { app_secret: 'planted-3', access_token: 'planted-4' };
const buyer = {
  receiptName: 'planted-5',
  mobile: 'planted-6',
  backupMobile: 'planted-7',
  mail: 'planted-8',
  addressLine1: 'planted-9',
  addressLine2: 'planted-10',
  addressLine3: 'planted-11',
  addressLineAll: 'planted-12',
  postCode: 'planted-13',
};
const order = {
  buyerMail: 'planted-14',
  shippingBuyerName: 'planted-15',
  shippingPhone: 'planted-16',
  shippingStreet1: 'planted-17',
  shippingPostalCode: 'planted-18',
};
const settings = {
  databaseUrl: 'planted-19',
  redisUrl: 'planted-20',
  credentialsKey: 'planted-21',
  password: 'planted-22',
  token: 'planted-23',
  authorization: 'planted-24',
  sign: 'planted-25',
};

describe('R5, T1, T18: planted secrets and personal data never appear in the log', () => {
  it.each(Object.entries({ store, row, buyer, order, settings }))('of a %s', (_, planted) => {
    const text = written('trace', (log) => {
      log.info(planted, 'at the top');
      log.info({ one: planted }, 'one level down');
      log.info({ one: { two: planted } }, 'two levels down');
      log.child(planted).warn('in a child');
      log.child({ one: planted }).error({ two: planted }, 'below a child');
    });
    expect(text.split('\n').filter(Boolean)).toHaveLength(5);
    expect(text).not.toContain('planted');
    expect(text).toContain('[hidden]');
  });

  it('what is neither is shown', () => {
    const line = JSON.parse(written('info', (log) => log.info({ store: 'demo-ro', ms: 5 }, 'job')));
    expect(line).toMatchObject({
      process: 'test',
      pid: process.pid,
      store: 'demo-ro',
      ms: 5,
      msg: 'job',
      level: 30,
    });
    expect(new Date(line.time).getTime()).toBeGreaterThan(0);
  });

  it('one line per event, whatever is in it', () => {
    const text = written('info', (log) => log.info({ why: 'first\nsecond' }, 'a\nb'));
    expect(text.trimEnd().split('\n')).toHaveLength(1);
  });

  it('the level decides what is written', () => {
    const text = written('warn', (log) => {
      log.info('no');
      log.warn('yes');
    });
    expect(text).toMatch(/yes/);
    expect(text).not.toMatch(/"no"/);
    expect(written('silent', (log) => log.fatal('no'))).toBe('');
  });
});

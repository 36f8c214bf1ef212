import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { environment, parseConfig } from '../../src/config/index.ts';
import { settings } from '../../src/config/settings.ts';
import { UserError } from '../../src/lib/errors.ts';

const KEY = randomBytes(32).toString('base64');
const right = { DATABASE_URL: 'postgres://user:pass@localhost/db', CREDENTIALS_KEY: KEY };

/** The lines of the error, without its heading. */
function faults(env: Record<string, string | undefined>): string[] {
  try {
    parseConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    const [heading, ...lines] = (error as Error).message.split('\n');
    expect(heading).toBe(`${lines.length} configuration error${lines.length === 1 ? '' : 's'}:`);
    return lines.map((line) => line.trim());
  }
  return [];
}
const fault = (env: Record<string, string | undefined>) => {
  const lines = faults({ ...right, ...env });
  expect(lines).toHaveLength(1);
  return lines[0] as string;
};

describe('O7: settings', () => {
  it('O7: the two that must be set are enough; the rest has defaults', () => {
    expect(parseConfig(right)).toMatchObject({
      DATABASE_URL: right.DATABASE_URL,
      CREDENTIALS_KEY: Buffer.from(KEY, 'base64'),
      CREDENTIALS_KEYS_OLD: [],
      LOG_LEVEL: 'info',
      TEMU_EU_URL: 'https://openapi-b-eu.temu.com/openapi/router',
      TEMU_US_URL: 'https://openapi-b-us.temu.com/openapi/router',
      TEMU_GLOBAL_URL: 'https://openapi-b-global.temu.com/openapi/router',
      TEMU_QPS: 20,
    });
  });

  it('O7: values are read as what they are', () => {
    const old = [randomBytes(32), randomBytes(32)];
    expect(
      parseConfig({
        ...right,
        REDIS_URL: 'rediss://redis:6379/3',
        CREDENTIALS_KEYS_OLD: old.map((key) => key.toString('base64')).join(', '),
        SHUTDOWN_GRACE: '7',
        TEMU_QPS: '200',
        LOG_LEVEL: 'debug',
      }),
    ).toMatchObject({
      REDIS_URL: 'rediss://redis:6379/3',
      CREDENTIALS_KEYS_OLD: old,
      SHUTDOWN_GRACE: 7,
      TEMU_QPS: 200,
      LOG_LEVEL: 'debug',
    });
  });

  it('O7: an empty variable means "not set"', () => {
    expect(parseConfig({ ...right, REDIS_URL: '', TEMU_QPS: '' })).toMatchObject({ TEMU_QPS: 20 });
    expect(faults({ DATABASE_URL: '', CREDENTIALS_KEY: KEY })).toHaveLength(1);
  });

  it('O7: strange variables are nobody’s business', () => {
    expect(parseConfig({ ...right, PATH: '/bin', SOMETHING: 'else' })).not.toHaveProperty('SOMETHING');
  });

  it('O7: what is missing is named, with what was expected', () => {
    expect(faults({})).toEqual([
      expect.stringMatching(/^DATABASE_URL is not set; expected a URL starting with postgres:\/\//),
      expect.stringMatching(/^CREDENTIALS_KEY is not set; expected 32 random bytes in base64/),
    ]);
  });

  it.each([
    ['TEMU_QPS', '0', 'TEMU_QPS is "0"; expected a whole number from 1 to 5000'],
    ['TEMU_QPS', '5001', 'TEMU_QPS is "5001"; expected a whole number from 1 to 5000'],
    ['TEMU_QPS', '20.5', 'TEMU_QPS is "20.5"; expected a whole number from 1 to 5000'],
    ['TEMU_QPS', '-1', 'TEMU_QPS is "-1"; expected a whole number from 1 to 5000'],
    ['TEMU_QPS', '1e3', 'TEMU_QPS is "1e3"; expected a whole number from 1 to 5000'],
    ['TEMU_QPS', ' 20', 'TEMU_QPS is " 20"; expected a whole number from 1 to 5000'],
    ['TEMU_TIMEOUT', 'soon', 'TEMU_TIMEOUT is "soon"; expected a whole number from 1 to 30'],
    ['TEMU_TIMEOUT', '31', 'TEMU_TIMEOUT is "31"; expected a whole number from 1 to 30'],
    ['SHUTDOWN_GRACE', '601', 'SHUTDOWN_GRACE is "601"; expected a whole number from 1 to 600'],
    [
      'LOG_LEVEL',
      'loud',
      'LOG_LEVEL is "loud"; expected one of trace, debug, info, warn, error, fatal, silent',
    ],
    [
      'TEMU_EU_URL',
      'ftp://temu',
      'TEMU_EU_URL is "ftp://temu"; expected a URL starting with http:// or https://',
    ],
    [
      'TEMU_US_URL',
      'openapi-b-us.temu.com',
      'TEMU_US_URL is "openapi-b-us.temu.com"; expected a URL starting with http:// or https://',
    ],
  ])('O7: %s=%s is one line: the variable, its value, what was expected', (name, value, line) => {
    expect(fault({ [name]: value })).toBe(line);
  });

  it.each([
    ...[
      'ops@shop.example',
      'ops@mailhost',
      "o'brien+temu@a-b.shop.example",
      'x.y_z@1.example',
      'a@127.0.0.1',
    ],
    ...['ops@bücher.example', 'josé@correo.example', `${'a'.repeat(64)}@x.example`],
  ])('O7: %s is a mail address', (address) => {
    const config = parseConfig({
      ...right,
      EMAIL_SENDER: address,
      EMAIL_RECIPIENTS: `${address}, b@x.example`,
    });
    expect(config).toMatchObject({ EMAIL_SENDER: address, EMAIL_RECIPIENTS: [address, 'b@x.example'] });
  });

  it.each([
    ...[
      '["a@x.example"]',
      '[a@x.example]',
      '"a@x.example"',
      "'a@x.example'",
      '<a@x.example>',
      '(a@x.example)',
    ],
    ...['mailto:a@x.example', 'smtp://a@x.example', 'Ops <a@x.example>', '"a b"@x.example', 'a b@x.example'],
    ...[
      'a@x.example;b@x.example',
      'a@x.example b@x.example',
      'a@b@x.example',
      'a@',
      '@x.example',
      'a',
      'a@x..example',
    ],
    ...[
      '.a@x.example',
      'a.@x.example',
      'a..b@x.example',
      'a@.x.example',
      'a@x.example.',
      'a@-x.example',
      'a@[x]',
    ],
    ...['a@x.example:25', 'a@x.example/', 'a@x_y', 'a@x.\nexample', `${'a'.repeat(250)}@x.example`],
  ])('O7: %j is no mail address', (address) => {
    expect(fault({ EMAIL_SENDER: address })).toMatch(/^EMAIL_SENDER is .*; expected an email address$/);
    expect(fault({ EMAIL_RECIPIENTS: `b@x.example,${address}` })).toMatch(
      /^EMAIL_RECIPIENTS is .*; expected email addresses, separated by commas$/,
    );
  });

  it('O7: a recipient who is named twice gets one mail', () => {
    const { EMAIL_RECIPIENTS } = parseConfig({ ...right, EMAIL_RECIPIENTS: 'a@x, b@x, A@X ,a@x' });
    expect(EMAIL_RECIPIENTS).toHaveLength(2);
  });

  it('O7: every fault has its line, each variable one', () => {
    const lines = faults({
      DATABASE_URL: 'mysql://x',
      REDIS_URL: 'http://x',
      CREDENTIALS_KEY: 'short',
      TEMU_QPS: 'many',
    });
    expect(lines.map((line) => line.split(' ')[0]).sort()).toEqual([
      'CREDENTIALS_KEY',
      'DATABASE_URL',
      'REDIS_URL',
      'TEMU_QPS',
    ]);
  });

  it('O7: a long or broken value stays one line', () => {
    const line = fault({ TEMU_EU_URL: `http\n${'x'.repeat(5_000)}` });
    expect(line).not.toContain('\n');
    expect(line.length).toBeLessThan(300);
  });

  it.each([
    ['CREDENTIALS_KEY', 'planted-s3cret'],
    ['CREDENTIALS_KEYS_OLD', 'planted-s3cret'],
    ['DATABASE_URL', 'mysql://user:planted-s3cret@localhost/db'],
    ['REDIS_URL', 'http://:planted-s3cret@localhost'],
    ['TEMU_EU_URL', 'ftp://user:planted-s3cret@proxy'],
  ])('O7, R5: a secret in %s is never printed', (name, value) => {
    const line = fault({ [name]: value });
    expect(line).toMatch(
      new RegExp(`^${name} is a value of ${value.length} characters \\(not shown\\); expected `),
    );
    expect(line).not.toContain('planted');
  });

  it('O7: a key is 32 bytes of base64, not less, not more, not the URL form', () => {
    const bytes = (length: number) => randomBytes(length).toString('base64');
    for (const key of [
      bytes(31),
      bytes(33),
      bytes(16),
      randomBytes(32).toString('hex'),
      `${KEY}\n`,
      ` ${KEY}`,
    ])
      expect(fault({ CREDENTIALS_KEY: key })).toMatch(/expected 32 random bytes in base64/);
    expect(fault({ CREDENTIALS_KEYS_OLD: `${KEY},${bytes(8)}` })).toMatch(/expected 32-byte base64 keys/);
  });

  it('O7: every setting says what it is', () => {
    for (const [name, schema] of Object.entries(settings.shape))
      expect(schema.description, name).toBeTruthy();
  });

  it('O7: a .env that cannot be read is one line, not a stack', () => {
    const [before, folder] = [process.cwd(), mkdtempSync(join(realpathSync(tmpdir()), 'unreadable-'))];
    onTestFinished(() => {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    });
    mkdirSync(join(folder, '.env')); // root may read every file, and nobody a folder as one
    process.chdir(folder);
    const why = `${join(folder, '.env')} cannot be read (EISDIR): make it readable for this process, or move it away`;
    expect(() => environment()).toThrow(new UserError(why));
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEnvelope } from '../../src/temu/envelope.ts';
import { recorded, recordedText } from './recorded.ts';

const answer = (body: unknown) => readEnvelope(JSON.stringify(body));
const refusal = (code: number, message: string) => ({
  ok: true,
  value: { kind: 'refused', refusal: expect.objectContaining({ code, message }) },
});
const malformed = (message: RegExp) => ({
  ok: false,
  failure: { kind: 'malformed', message: expect.stringMatching(message) },
});

describe('T15: both envelopes are understood', () => {
  it('T15: flat, as the recorded amount answer: the payload is `result`', () => {
    expect(readEnvelope(recordedText('order-amount-query.eu.json'))).toEqual({
      ok: true,
      value: { kind: 'ok', result: recorded<{ result: unknown }>('order-amount-query.eu.json').result },
    });
  });

  it.each(['order-list-v1.eu.nested.json', 'order-shippinginfo-v1.eu.nested.json'])(
    'T15: double, as recorded in %s: the payload is `result.result`',
    (file) => {
      const inner = recorded<{ result: { result: unknown } }>(file).result.result;
      expect(readEnvelope(recordedText(file))).toEqual({ ok: true, value: { kind: 'ok', result: inner } });
    },
  );

  it('T15: an inner payload of null is an answer, not a failure', () => {
    expect(answer({ success: true, errorCode: 1000000, result: { success: true, result: null } })).toEqual({
      ok: true,
      value: { kind: 'ok', result: null },
    });
  });
});

describe('T13, T15: both success flags count', () => {
  it('T18: a mail address or a phone number in Temu’s words is not passed on; numbers of orders are', () => {
    const errorMsg =
      'PO-076-13925293151271879: cannot reach <ada.l@mail.example> or +44 (0) 170 1234-567, SKU 17592186044416';
    expect(answer({ success: false, errorCode: 7000000, errorMsg })).toEqual(
      refusal(7000000, 'PO-076-13925293151271879: cannot reach <…> or …, SKU 17592186044416'),
    );
    const long = answer({
      success: false,
      errorCode: 7000000,
      errorMsg: `${'x '.repeat(395)} ada.lovelace@mail.example`,
    });
    expect(JSON.stringify(long)).not.toContain('ada');
  });

  it('T15: outer failure, as recorded (7000000)', () => {
    expect(readEnvelope(recordedText('error.order-amount-query.7000000.json'))).toEqual({
      ok: true,
      value: {
        kind: 'refused',
        refusal: { errorClass: 'transient', code: 7000000, message: 'BUSINESS_SERVICE_ERROR' },
      },
    });
  });

  it.each([
    ['error.order-list-v1.inner-1001.json', 1001, 'Invalid request parameters'],
    ['error.order-shippinginfo-v1.inner-40003.json', 40003, 'invalid param'],
  ])('T13: inner failure under outer success, as recorded in %s', (file, code, message) => {
    expect(readEnvelope(recordedText(file))).toEqual(refusal(code, message));
  });

  it('T13: when both levels fail their messages are combined, and the outer code decides', () => {
    const both = {
      success: false,
      errorCode: 3000032,
      errorMsg: 'no access',
      result: { success: false, errorCode: 40003, errorMsg: 'invalid param', result: null },
    };
    expect(answer(both)).toEqual({
      ok: true,
      value: {
        kind: 'refused',
        refusal: { errorClass: 'scope', code: 3000032, message: 'no access; invalid param' },
      },
    });
  });

  it('T13: the inner message counts only when its own success is false', () => {
    const outerOnly = {
      success: false,
      errorCode: 7000000,
      errorMsg: 'outer',
      result: { success: true, errorCode: 0, errorMsg: 'SUC', result: {} },
    };
    expect(answer(outerOnly)).toEqual(refusal(7000000, 'outer'));
    const innerOnly = {
      success: true,
      errorCode: 1000000,
      errorMsg: 'outer text',
      result: { success: false, errorCode: 1001, errorMsg: 'inner' },
    };
    expect(answer(innerOnly)).toEqual(refusal(1001, 'inner'));
  });

  it('T13: the same words at both levels are said once', () => {
    const inner = { success: false, errorCode: 1, errorMsg: 'same' };
    expect(answer({ success: false, errorCode: 1, errorMsg: 'same', result: inner })).toEqual(
      refusal(1, 'same'),
    );
  });

  it('T16: a refusal without words shows its code', () => {
    expect(answer({ success: false, errorCode: 120012004, errorMsg: '' })).toEqual(
      refusal(120012004, 'Temu error 120012004'),
    );
    expect(answer({ success: false, errorCode: 120012004 })).toEqual(
      refusal(120012004, 'Temu error 120012004'),
    );
  });

  it('T16: a code that comes as text counts as the number', () => {
    expect(answer({ success: false, errorCode: '4000004', errorMsg: 'x' })).toMatchObject({
      value: { refusal: { errorClass: 'throttle', code: 4000004 } },
    });
  });
});

describe('T16, R4: what is no answer is malformed, and never thrown', () => {
  it.each([
    ['an HTML page', '<!DOCTYPE html><html><body>{"success":true}</body></html>', /an HTML page/],
    ['HTML after blanks', ' \n <html>', /an HTML page/],
    ['nothing', '', /invalid JSON/],
    ['blanks', '   ', /invalid JSON/],
    ['broken JSON', '{"success":true,,}', /invalid JSON/],
    ['JSON cut in the middle', recordedText('order-list-v1.eu.nested.json').slice(0, 900), /invalid JSON/],
    ['two documents', '{"success":true}{"success":true}', /invalid JSON/],
    ['an array', '[]', /without its envelope/],
    ['null', 'null', /without its envelope/],
    ['a text', '"success"', /without its envelope/],
    ['a number', '42', /without its envelope/],
    ['an empty object', '{}', /without its envelope/],
    ['success as text', '{"success":"true","result":{}}', /without its envelope/],
    ['success as number', '{"success":1,"result":{}}', /without its envelope/],
    [
      'absurdly deep JSON',
      `{"success":true,"result":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
      /invalid JSON/,
    ],
    ['deep JSON that ends early', '['.repeat(1_000_000), /invalid JSON/],
    // deep enough that writing it out again overflows the stack although reading it did not
    ['JSON 1,000 deep', `{"success":true,"result":${'['.repeat(1_000)}${']'.repeat(1_000)}}`, /invalid JSON/],
    ['a number of a million digits', `{"success":true,"result":${'7'.repeat(1_000_000)}}`, /invalid JSON/],
  ])('R4: %s', (_, text, message) => {
    expect(readEnvelope(text)).toEqual(malformed(message));
  });

  it.each(['null', '[]', '{}', '{"toString":"","valueOf":0}'])('R4: a refusal with %s for a code', (code) => {
    const refused = (rest: string) => readEnvelope(`{"success":false,"errorCode":${code}${rest}}`);
    expect(refused('')).toEqual(refusal(Number.NaN, 'Temu error without a code'));
    expect(refused(',"errorMsg":"x"')).toEqual(refusal(Number.NaN, 'x'));
  });

  it('R4: brackets inside texts are not depth', () => {
    const result = { text: `${'['.repeat(5_000)}\\"${'{'.repeat(5_000)}` };
    expect(answer({ success: true, result })).toEqual({ ok: true, value: { kind: 'ok', result } });
  });

  it('T18: the message of a malformed answer quotes none of it', () => {
    const read = readEnvelope('{"success":true,"result":{"receiptName":"kanye west","mobile":+33 1}}');
    expect(read).toMatchObject({ ok: false });
    expect(JSON.stringify(read)).not.toContain('kanye');
  });

  it('R4: a refusal’s words cannot break the database: no NUL, no lone surrogate, no endless text', () => {
    const read = answer({ success: false, errorCode: 5, errorMsg: `a\u0000b\ud83d ${'語'.repeat(5_000)}` });
    const { message } = (read as unknown as { value: { refusal: { message: string } } }).value.refusal;
    expect(message.startsWith('ab\ufffd ')).toBe(true);
    expect(Buffer.byteLength(message)).toBeLessThan(2_600); // fits into an index entry of Postgres
  });

  it('T15: numbers above 2^53 survive digit for digit', () => {
    const read = readEnvelope('{"success":true,"result":{"big":897039159485005824,"small":42,"half":0.5}}');
    expect(read).toEqual({
      ok: true,
      value: { kind: 'ok', result: { big: 897039159485005824n, small: 42, half: 0.5 } },
    });
  });

  it('T15: every whole number survives, as number or as bigint (property)', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (number) => {
        const read = readEnvelope(`{"success":true,"result":${number}}`) as unknown as {
          value: { result: number | bigint };
        };
        expect(BigInt(read.value.result)).toBe(number);
        const safe = number >= BigInt(Number.MIN_SAFE_INTEGER) && number <= BigInt(Number.MAX_SAFE_INTEGER);
        expect(typeof read.value.result).toBe(safe ? 'number' : 'bigint');
      }),
    );
  });

  it('R4: any JSON text gives an answer or a failure, never a throw (property)', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(readEnvelope(text)).toHaveProperty('ok');
        const wrapped = `{"success":true,"result":${text}}`;
        expect(readEnvelope(wrapped)).toHaveProperty('ok');
        // cut anywhere
        expect(readEnvelope(wrapped.slice(0, -1))).toMatchObject({
          ok: false,
          failure: { kind: 'malformed' },
        });
      }),
      { numRuns: 300 },
    );
  });

  it('R4: any text at all gives an answer or a failure, never a throw (property)', () => {
    fc.assert(fc.property(fc.string(), (text) => void expect(readEnvelope(text)).toHaveProperty('ok')));
  });
});

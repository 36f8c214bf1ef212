import { describe, expect, it } from 'vitest';
import { sandboxForTest } from './client.ts';
import { post, request } from './couriers.ts';

describe('the receiver of webhooks', () => {
  it('keeps every request with its headers and its body as sent', async () => {
    const { hooks, url } = await sandboxForTest();
    const body = '{"event":"order.rto", "n":1.0}';
    const answer = await post(hooks.url('crm'), body, { 'x-signature': 'sha256=abc' });
    expect(answer).toMatchObject({ status: 200, json: { ok: true } });
    const [first] = await hooks.requests.wait(1);
    expect(first).toMatchObject({ hook: 'crm', method: 'POST', body, status: 200 });
    expect(first?.headers['x-signature']).toBe('sha256=abc');
    const page = await request(`${url}/_sandbox/hooks`, { headers: { accept: 'text/html' } });
    expect(page.text).toContain('{&quot;event&quot;:&quot;order.rto&quot;');
    expect((await request(`${url}/_sandbox/hooks`)).json).toHaveLength(1);
  });

  it('answers as it was told, per hook, one thing after the other', async () => {
    const { hooks } = await sandboxForTest();
    hooks.answer('a', { kind: 'status', status: 500 }, 1);
    hooks.answer('a', { kind: 'limited', headers: { 'retry-after': '7' } }, 1);
    hooks.answer('a', { kind: 'cut' }, 1);
    expect((await post(hooks.url('a'), {})).status).toBe(500);
    expect((await post(hooks.url('b'), {})).status).toBe(200);
    const busy = await post(hooks.url('a'), {});
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '7']);
    await expect(post(hooks.url('a'), {})).rejects.toThrow();
    expect((await post(hooks.url('a'), {})).status).toBe(200);
    hooks.answer('a', { kind: 'hang' });
    await expect(fetch(hooks.url('a'), { signal: AbortSignal.timeout(150) })).rejects.toThrow();
    expect(hooks.requests.list().map(({ status }) => status)).toEqual([500, 200, 429, null, 200, null]);
    hooks.reset();
    expect(hooks.requests.list()).toEqual([]);
    expect((await post(hooks.url('a'), {})).status).toBe(200);
  });
});

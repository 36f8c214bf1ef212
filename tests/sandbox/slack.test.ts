import { WebClient } from '@slack/web-api';
import { describe, expect, it } from 'vitest';
import { sandboxForTest } from './client.ts';
import { post, request } from './couriers.ts';

async function slackTest() {
  const sandbox = await sandboxForTest();
  const { SLACK_API_URL, SLACK_TOKEN } = sandbox.env() as Record<string, string>;
  const headers = { authorization: `Bearer ${SLACK_TOKEN}` };
  return {
    sandbox,
    slack: sandbox.slack,
    client: new WebClient(SLACK_TOKEN as string, {
      slackApiUrl: SLACK_API_URL as string,
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
    }),
    say: (body: unknown, more: Record<string, string> = {}) =>
      post(`${SLACK_API_URL}chat.postMessage`, body, { ...headers, ...more }),
  };
}

describe('Slack', () => {
  it("takes messages from Slack's own client, and keeps them", async () => {
    const { client, slack, sandbox } = await slackTest();
    const blocks = [{ type: 'section', text: { type: 'mrkdwn', text: '*2 parcels* are lost' } }];
    const answer = await client.chat.postMessage({ channel: 'C1', text: '2 parcels are lost', blocks });
    expect(answer).toMatchObject({ ok: true, channel: 'C1', ts: expect.stringMatching(/^\d+\.\d{6}$/) });
    expect(slack.messages.list()).toMatchObject([
      { channel: 'C1', text: '2 parcels are lost', blocks, ts: answer.ts },
    ]);
    expect(await client.auth.test()).toMatchObject({ ok: true });
    expect(slack.calls.list().map(({ method }) => method)).toEqual(['chat.postMessage', 'auth.test']);
    const page = await request(`${sandbox.url}/_sandbox/slack`, { headers: { accept: 'text/html' } });
    expect(page.text).toContain('<td>2 parcels are lost</td>');
    expect((await request(`${sandbox.url}/_sandbox/slack`)).json.messages).toHaveLength(1);
  });

  it('refuses with status 200 and a word', async () => {
    const { say, slack } = await slackTest();
    slack.settings.channels = ['C1'];
    const error = async (body: unknown, headers?: Record<string, string>) => {
      const { status, json } = await say(body, headers);
      expect([status, json.ok]).toEqual([200, false]);
      return json.error;
    };
    const message = { channel: 'C1', text: 'x' };
    expect(await error(message, { authorization: 'Bearer xoxb-other' })).toBe('invalid_auth');
    expect(await error(message, { authorization: '' })).toBe('not_authed');
    expect(await error({ ...message, channel: 'C2' })).toBe('channel_not_found');
    expect(await error({ channel: 'C1' })).toBe('no_text');
    expect(await error({ ...message, blocks: 'no list' })).toBe('invalid_blocks_format');
    expect(slack.messages.list()).toEqual([]);
  });

  it('is too busy, fails and loses its answer on request', async () => {
    const { say, slack } = await slackTest();
    const message = { channel: 'C1', text: 'x' };
    slack.faults.add({ times: 1, do: { kind: 'limited', headers: { 'retry-after': '2' } } });
    const busy = await say(message);
    expect(busy).toMatchObject({ status: 429, json: { ok: false, error: 'ratelimited' } });
    expect(busy.headers.get('retry-after')).toBe('2');
    slack.faults.add({ times: 1, do: { kind: 'status', status: 503 } });
    expect((await say(message)).status).toBe(503);
    expect(slack.messages.list()).toHaveLength(0);
    slack.faults.add({ on: 'chat.postMessage', times: 1, do: { kind: 'lostAnswer' } });
    await expect(say(message)).rejects.toThrow();
    expect(slack.messages.list()).toHaveLength(1);
    const waiting = slack.messages.wait(1, ({ text }) => text === 'later');
    await say({ ...message, text: 'later' });
    expect(await waiting).toMatchObject([{ text: 'later' }]);
    await expect(slack.messages.wait(9, undefined, 20)).rejects.toThrow('waited 20 ms for Slack messages');
  });
});

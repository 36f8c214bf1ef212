import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createHttp, type Http, MAX_BODY_BYTES } from '../../src/lib/http.ts';
import { freePort, until } from '../support/until.ts';

/** 16 MB of zeros, packed. */
const MEMBER = gzipSync(Buffer.alloc(16 * 2 ** 20));

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let http: Http;
beforeAll(() => {
  http = createHttp();
});
afterAll(() => http.close());

/** A server that ends with the test; `hits` counts its requests. */
async function serve(handler: Handler): Promise<{ url: string; hits: () => number }> {
  let hits = 0;
  const server = createServer((request, response) => {
    hits++;
    handler(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits: () => hits };
}

const get = (url: string, more: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  http.request({ url, method: 'GET', timeoutMs: 5_000, ...more });
const failure = (kind: string, message: RegExp) => ({
  ok: false,
  failure: { kind, message: expect.stringMatching(message) },
});

describe('one request', () => {
  it('sends method, headers and body, and gives status, headers and text of any answer', async () => {
    const { url } = await serve(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.writeHead(418, { 'X-Thing': 'One', 'set-cookie': ['a=1', 'b=2'] });
      response.end(`${request.method} ${request.url} ${request.headers['x-mine']} ${body} ✓`);
    });
    const answer = await http.request({
      url: `${url}/path?query=1`,
      method: 'POST',
      headers: { 'x-mine': 'yes' },
      body: 'Șos. Ștefan',
      timeoutMs: 5_000,
    });
    expect(answer).toEqual({
      ok: true,
      value: {
        status: 418,
        headers: expect.objectContaining({ 'x-thing': 'One', 'set-cookie': 'a=1, b=2' }),
        text: 'POST /path?query=1 yes Șos. Ștefan ✓',
      },
    });
  });

  it('R4: a redirect is an answer, and is not followed', async () => {
    const target = await serve((_, response) => response.end('elsewhere'));
    const { url } = await serve((_, response) => response.writeHead(302, { location: target.url }).end());
    expect(await get(url)).toMatchObject({
      ok: true,
      value: { status: 302, headers: { location: target.url } },
    });
    expect(target.hits()).toBe(0);
  });
});

describe('R4: hostile answers are values', () => {
  it('R4: 10 MB are read, a byte more is refused while it streams in', async () => {
    const sizes = [MAX_BODY_BYTES, MAX_BODY_BYTES + 1];
    const { url } = await serve((_, response) => response.end(Buffer.alloc(sizes.shift() ?? 0, 'x')));
    const full = await get(url);
    expect(full.ok && full.value.text.length).toBe(10 * 1024 * 1024);
    expect(await get(url)).toEqual(failure('malformed', /larger than 10 MB/));
  });

  it('R4: an endless body is cut off at the cap', async () => {
    let sent = 0;
    let gone = false;
    const { url } = await serve((_, response) => {
      const chunk = Buffer.alloc(65_536, 'x');
      const flood = () => {
        do sent += chunk.length;
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', flood).once('close', () => {
        gone = true;
      });
      flood();
    });
    expect(await get(url)).toEqual(failure('malformed', /larger than 10 MB/));
    await until(() => gone, { what: 'the connection to be given up, not drained' });
    expect(sent).toBeLessThan(4 * MAX_BODY_BYTES);
  });

  it('R4: two hundred thousand values are read, more are refused before they are read as JSON', async () => {
    const sizes = [200_001, 200_002];
    const { url } = await serve((_, response) =>
      response.end(JSON.stringify(Array.from({ length: sizes.shift() ?? 0 }, () => ({})))),
    );
    expect(await get(url)).toMatchObject({ ok: true });
    expect(await get(url)).toEqual(failure('malformed', /more than 200000 values/));
  });

  it('R4: bytes that are no UTF-8 are malformed, not replaced', async () => {
    const { url } = await serve((_, response) => response.end(Buffer.from([0x61, 0xff, 0xfe, 0x62])));
    expect(await get(url)).toEqual(failure('malformed', /not valid UTF-8/));
  });

  it('R4: a body that drips in is given up when its time is over', async () => {
    const { url } = await serve((_, response) => {
      const drip = setInterval(() => response.write('x'), 20);
      response.once('close', () => clearInterval(drip));
    });
    const startedAt = performance.now();
    expect(await get(url, { timeoutMs: 300 })).toEqual(
      failure('unknownOutcome', /no complete answer within 0.3 s/),
    );
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it('A6: no answer at all: the request may have had its effect', async () => {
    const { url, hits } = await serve(() => {});
    expect(await get(url, { timeoutMs: 200 })).toEqual(failure('unknownOutcome', /within 0.2 s/));
    expect(hits()).toBe(1);
  });

  it.each<[string, Handler]>([
    ['before the answer', (request) => request.socket.destroy()],
    [
      'in the middle of the body',
      (request, response) => {
        response.writeHead(200, { 'content-length': 1_000 });
        response.write('half', () => request.socket.destroy());
      },
    ],
  ])('A6: a connection cut %s: unknown outcome', async (_, handler) => {
    const { url } = await serve(handler);
    expect(await get(url)).toEqual(failure('unknownOutcome', /^GET 127\.0\.0\.1/));
  });

  it('R4: what is no HTTP at all: unknown outcome', async () => {
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n\r\n'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    expect(await get(`http://127.0.0.1:${port}`)).toEqual(failure('unknownOutcome', /./));
  });

  it.each([
    ['refused', async () => `http://127.0.0.1:${await freePort()}`, /ECONNREFUSED/],
    ['to a host that does not exist', async () => 'http://nowhere.invalid', /ENOTFOUND|EAI_AGAIN/],
  ])('A6: a connection %s: transient, since nothing was sent', async (_, url, message) => {
    expect(await get(await url())).toEqual(failure('transient', message));
  });

  it('R5: the message names host and path, never the query', async () => {
    const url = `http://127.0.0.1:${await freePort()}/path?token=planted`;
    const answer = await get(url);
    expect(JSON.stringify(answer)).toContain('/path');
    expect(JSON.stringify(answer)).not.toContain('planted');
  });
});

describe('R4: packed answers', () => {
  const TEXT = '{"ok":"Ștefan ✓"}';
  const packed = async (coding: string | string[], body: Buffer | string, status = 200) => {
    const { url } = await serve((_, response) => {
      response.statusCode = status;
      response.setHeader('content-encoding', coding).setHeader('content-length', body.length).end(body);
    });
    return await get(url);
  };

  it('what we can read is asked for, whatever the caller names', async () => {
    const { url } = await serve((request, response) => response.end(request.headers['accept-encoding']));
    const answer = await http.request({
      url,
      method: 'GET',
      headers: { 'accept-encoding': 'zstd' },
      timeoutMs: 5_000,
    });
    expect(answer).toMatchObject({ ok: true, value: { text: 'gzip, deflate, br' } });
  });

  it.each<[string, string | string[], Buffer]>([
    ['gzip', 'gzip', gzipSync(TEXT)],
    ['x-gzip, in capitals', 'X-GZip', gzipSync(TEXT)],
    ['gzip in two members', 'gzip', Buffer.concat([gzipSync('{"ok":'), gzipSync('"Ștefan ✓"}')])],
    ['deflate as the standard has it', 'deflate', deflateSync(TEXT)],
    ['deflate at its lowest level', 'deflate', deflateSync(TEXT, { level: 0, windowBits: 9 })],
    ['bare deflate', 'deflate', deflateRawSync(TEXT)],
    ['bare deflate, stored', 'deflate', deflateRawSync(TEXT, { level: 0 })],
    ['br', 'br', brotliCompressSync(TEXT)],
    ['two layers', 'deflate, gzip', gzipSync(deflateSync(TEXT))],
    ['two layers in two headers', ['deflate', 'br'], brotliCompressSync(deflateSync(TEXT))],
    ['identity', 'identity', Buffer.from(TEXT)],
    ['none at all', '', Buffer.from(TEXT)],
    ['the text’s own encoding, which is no packing', 'UTF-8', Buffer.from(TEXT)],
  ])('%s is read', async (_, coding, body) => {
    expect(await packed(coding, body)).toMatchObject({ ok: true, value: { status: 200, text: TEXT } });
    const error = await packed(coding, body, 429);
    expect(error).toMatchObject({ ok: true, value: { status: 429, text: TEXT } });
    expect(error.ok && error.value.headers).not.toHaveProperty('content-encoding');
  });

  it('an answer that cannot be read leaves no connection busy', async () => {
    const own = createHttp();
    const { url } = await serve((_, response) =>
      response.setHeader('content-encoding', 'zstd').end('x'.repeat(1_000_000)),
    );
    expect(await own.request({ url, method: 'GET', timeoutMs: 5_000 })).toMatchObject({ ok: false });
    await own.close(); // which waits for answers that are not read to their end
  });

  it('an empty answer is empty, whatever it says of its packing', async () => {
    expect(await packed('gzip', '')).toMatchObject({ ok: true, value: { text: '' } });
  });

  it.each<[string, string, Buffer | string, RegExp]>([
    ['zstd', 'zstd', 'x', /packed as "zstd", which we neither asked for nor can read/],
    ['one unknown of two', 'compress, gzip', gzipSync(TEXT), /packed as "compress"/],
    ['an object’s own word', 'constructor', 'x', /packed as "constructor"/],
    ['plain text that says gzip', 'gzip', TEXT, /packed as gzip, and cannot be unpacked/],
    ['gzip cut short', 'gzip', gzipSync(TEXT).subarray(0, -9), /cannot be unpacked/],
    ['br cut short', 'br', brotliCompressSync(TEXT).subarray(0, -2), /cannot be unpacked/],
    ['deflate that is none', 'deflate', 'xyz', /cannot be unpacked/],
    ['many layers', 'gzip, gzip, gzip', 'x', /packed 3 times/],
    ['what is no text inside', 'gzip', gzipSync(Buffer.from([0xff, 0xfe])), /not valid UTF-8/],
  ])('%s: malformed, with the reason', async (_, coding, body, why) => {
    expect(await packed(coding, body)).toEqual(failure('malformed', why));
  });

  it.each<[string, (text: Buffer) => Buffer]>([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', (text) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })],
  ])('the 10 MB are those of what is unpacked: %s', async (coding, pack) => {
    const full = await packed(coding, pack(Buffer.alloc(MAX_BODY_BYTES, 'x')));
    expect(full.ok && full.value.text.length).toBe(MAX_BODY_BYTES);
    expect(await packed(coding, pack(Buffer.alloc(MAX_BODY_BYTES + 1, 'x')))).toEqual(
      failure('malformed', /larger than 10 MB/),
    );
  });

  it('a bomb is given up at the cap: what a gigabyte would take is never taken', async () => {
    // a gigabyte of zeros in one megabyte: 64 members of 16 MB each
    const bomb = Buffer.concat(Array.from({ length: 64 }, () => MEMBER));
    const { url } = await serve((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    const before = process.memoryUsage().rss;
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss);
    }, 1);
    const answer = await get(url);
    clearInterval(watch);
    expect(answer).toEqual(failure('malformed', /larger than 10 MB/));
    expect(most - before).toBeLessThan(100 * 2 ** 20);
  });

  it('packed in two layers, a bomb is given up as well', async () => {
    const twice = gzipSync(Buffer.concat(Array.from({ length: 64 }, () => MEMBER)));
    expect(twice.length).toBeLessThan(100_000);
    expect(await packed('gzip, gzip', twice)).toEqual(failure('malformed', /larger than 10 MB/));
  });
});

describe('aborting', () => {
  it('throws the caller’s reason, in flight and before the start', async () => {
    const { url, hits } = await serve(() => {});
    const controller = new AbortController();
    const request = get(url, { signal: controller.signal });
    const rejected = expect(request).rejects.toThrow('enough');
    await until(() => hits() === 1);
    controller.abort(new Error('enough'));
    await rejected;
    await expect(get(url, { signal: controller.signal })).rejects.toThrow('enough');
    expect(hits()).toBe(1);
  });

  it('while the body streams in as well', async () => {
    const controller = new AbortController();
    const { url } = await serve((_, response) => {
      response.write('begun');
      setTimeout(() => controller.abort(new Error('enough')), 50);
    });
    await expect(get(url, { signal: controller.signal })).rejects.toThrow('enough');
  });
});

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/sandbox/certificate.ts';
import { webhookCaller } from '../../src/webhooks/call.ts';
import { webhookPolicy } from '../../src/webhooks/policy.ts';
import { newWebhookSecret } from '../../src/webhooks/signature.ts';
import { eventually } from '../support/postroom.ts';
import { startReceiver } from '../support/webhook-receiver.ts';

/** By http, so that what gets through would be heard in the clear; else as strict as it comes. */
const STRICT = webhookPolicy([], true);
const HERE = webhookPolicy(['127.0.0.0/8', '::1'], true);
const aCall = (url: string) => ({
  ...{ url, eventId: 'evt_1', secrets: [newWebhookSecret()], body: '{"type":"message.sent"}', at: new Date() },
});
const calling = (more: Partial<Parameters<typeof webhookCaller>[0]> = {}) =>
  webhookCaller({ policy: HERE, version: '1', timeoutMilliseconds: 2_000, ...more });

/** Something that listens on every address of this machine, and what it was asked. */
async function listen(answer: (socket: Socket) => void = (socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n')) {
  const connections: { to: string | undefined; socket: Socket }[] = [];
  const server: Server = createServer((socket) => {
    connections.push({ to: socket.localAddress, socket });
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  server.listen(0, '::');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    connections,
    [Symbol.asyncDispose]: async () => {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a service of this machine', () => {
  let inside: Awaited<ReturnType<typeof listen>>;
  beforeAll(async () => {
    inside = await listen();
  });
  afterAll(() => inside[Symbol.asyncDispose]());

  it('is there, for whom an operator lets through', async () => {
    const result = await calling()(aCall(`http://127.0.0.1:${inside.port}/`));
    expect(result.httpStatus).toBe(204);
    expect(inside.connections).toHaveLength(1);
  });

  it.each([
    ...['127.0.0.1', '127.1', '127.0.1', '127.255.255.254', '2130706433', '017700000001', '0177.0.0.1', '0x7f000001'],
    ...['0x7f.1', '0x7F.0X0.0.1', '127.0.0.1.', '%31%32%37.0.0.1', '①②⑦。⓪。⓪。①', '１２７.０.０.１'],
    ...['0', '0.0.0.0', '00.0', '[::]', '[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'],
    ...['[::ffff:0:0]', '[::127.0.0.1]', '[::ffff:0:127.0.0.1]', '[64:ff9b::127.0.0.1]', '[64:ff9b:1::7f00:1]'],
    ...['[2002:7f00:1::]', '[2001:0:7f00:1::]', '[fe80::1]', '[fc00::1]', '[fd00:ec2::254]', '[ff02::1]'],
    ...['localhost', 'LOCALHOST', 'localhost.', 'ip6-localhost'],
    ...['169.254.169.254', '2852039166', '0xa9fea9fe', '[::ffff:a9fe:a9fe]', '10.0.0.1', '172.16.0.1', '192.168.0.1'],
    ...['100.64.0.1', '100.127.255.254', '198.18.0.1', '224.0.0.1', '255.255.255.255', '168.63.129.16'],
  ])('is not reached as %s', async (host) => {
    const before = inside.connections.length;
    const result = await calling({ policy: STRICT })(aCall(`http://${host}:${inside.port}/`));
    // Told why, so that it is not the attempt to connect that has failed.
    expect(result.reason).toMatch(
      /only public ones may be called|no address that could be found|could not be looked up|not a URL/,
    );
    expect(result.httpStatus).toBeUndefined();
    expect(inside.connections).toHaveLength(before);
  });

  it('is not reached by a name that leads here, beside a public address or in its place', async () => {
    const here = { address: '127.0.0.1', family: 4 };
    const there = { address: '8.8.8.8', family: 4 };
    for (const addresses of [[here], [there, here], [here, there], [{ address: '::ffff:127.0.0.1', family: 6 }]]) {
      const before = inside.connections.length;
      const call = calling({ policy: STRICT, resolve: async () => addresses });
      const { reason } = await call(aCall(`http://innocent.example:${inside.port}/`));
      expect(reason).toContain('loopback');
      expect(reason).not.toContain('127.0.0.1');
      expect(inside.connections).toHaveLength(before);
    }
  });

  it('is called under the very address that was checked, and the name is asked for once', async () => {
    let asked = 0;
    const rebinding = async () => {
      asked += 1;
      return [{ address: asked === 1 ? '127.0.0.2' : '127.0.0.1', family: 4 }];
    };
    const policy = webhookPolicy(['127.0.0.2'], true);
    const call = calling({ policy, resolve: rebinding });
    const first = await call(aCall(`http://rebind.example:${inside.port}/`));
    expect([first.httpStatus, asked]).toEqual([204, 1]);
    expect(inside.connections.at(-1)?.to).toBe('::ffff:127.0.0.2');
    const before = inside.connections.length;
    expect((await call(aCall(`http://rebind.example:${inside.port}/`))).reason).toContain('loopback');
    expect(inside.connections).toHaveLength(before);
  });
});

describe('a receiver that would lead us on', () => {
  it.each([301, 302, 303, 307, 308])('with %d is not followed', async (status) => {
    await using inside = await startReceiver();
    await using receiver = await startReceiver(() => ({ status, headers: { location: inside.url } }));
    const result = await calling()(aCall(receiver.url));
    expect(result).toMatchObject({ httpStatus: status, reason: expect.stringContaining('not followed') });
    expect(inside.received).toEqual([]);
  });

  it('with another protocol is not followed', async () => {
    await using receiver = await listen((socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    });
    const result = await calling()(aCall(`http://127.0.0.1:${receiver.port}/`));
    expect(result).toMatchObject({ httpStatus: 101, reason: 'It answered 101: the protocol is not changed.' });
    await eventually(() => hung(receiver) === 0);
  });
});

/** Connections that are still open. */
const hung = (receiver: Awaited<ReturnType<typeof listen>>) =>
  receiver.connections.filter(({ socket }) => !socket.destroyed).length;

describe('a receiver that would keep us busy', () => {
  /** Writes for as long as somebody reads. */
  const pour = (socket: Socket, head: string, more: string) => {
    const chunk = more.repeat(Math.ceil(65_536 / more.length));
    const on = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.write(head);
    socket.on('drain', on);
    on();
  };
  it('with a body without end is left after some of it', async () => {
    await using receiver = await listen((socket) => pour(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'x'));
    const result = await calling({ timeoutMilliseconds: 60_000 })(aCall(`http://127.0.0.1:${receiver.port}/`));
    expect(result).toMatchObject({ httpStatus: 200, response: 'x'.repeat(200) });
    await eventually(() => hung(receiver) === 0);
    expect(receiver.connections[0]?.socket.bytesWritten).toBeLessThan(64 * 1024 * 1024);
  });

  it('with a body drop by drop is left when the time is up, and its status counts', async () => {
    await using receiver = await listen((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
      const timer = setInterval(() => socket.write('x'), 5);
      socket.on('close', () => clearInterval(timer));
    });
    const result = await calling({ timeoutMilliseconds: 200 })(aCall(`http://127.0.0.1:${receiver.port}/`));
    expect(result).toMatchObject({ httpStatus: 200, response: expect.stringMatching(/^x+$/) });
    await eventually(() => hung(receiver) === 0);
  });

  it('with a body that breaks off has answered all the same', async () => {
    await using receiver = await listen((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfive');
    });
    const result = await calling()(aCall(`http://127.0.0.1:${receiver.port}/`));
    expect(result).toMatchObject({ httpStatus: 200, response: 'five' });
    expect(result.reason).toBeUndefined();
  });

  it.each([
    ['headers without end', (socket: Socket) => pour(socket, 'HTTP/1.1 200 OK\r\n', 'X: y\r\n'), 'too large'],
    ['one huge header', (socket: Socket) => pour(socket, 'HTTP/1.1 200 OK\r\nX: ', 'y'), 'too large'],
    [
      'a status line without end',
      (socket: Socket) => pour(socket, 'HTTP/1.1 200 ', 'y'),
      'too large|in HTTP|no answer',
    ],
    ['what is no HTTP', (socket: Socket) => pour(socket, '220 mail.example ESMTP\r\n', '220 \r\n'), 'in HTTP'],
    ['nothing at all', () => undefined, 'no answer within'],
    ['a closed connection', (socket: Socket) => socket.end(), 'broke'],
  ])('with %s is left, and told so', async (_name, answer, reason) => {
    await using receiver = await listen(answer);
    const result = await calling({ timeoutMilliseconds: 500 })(aCall(`http://127.0.0.1:${receiver.port}/`));
    expect(result.reason).toMatch(new RegExp(reason));
    await eventually(() => hung(receiver) === 0);
  });

  it('with promises of an answer without end is left when the time is up', async () => {
    await using receiver = await listen((socket) => {
      const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n'), 1);
      socket.on('close', () => clearInterval(timer));
    });
    const result = await calling({ timeoutMilliseconds: 300 })(aCall(`http://127.0.0.1:${receiver.port}/`));
    expect(result.reason).toContain('no answer within');
    await eventually(() => hung(receiver) === 0);
  });
});

describe('a certificate', () => {
  it('for a name does not do for a bare address', async () => {
    const certificate = await makeCertificate({ names: ['hooks.example'] });
    await using receiver = await startReceiver(undefined, certificate);
    const result = await calling({ ca: certificate.caPem })(aCall(`https://127.0.0.1:${receiver.port}/`));
    expect(result.reason).toBe('Its certificate is for another name.');
    expect(receiver.received).toEqual([]);
  });
});

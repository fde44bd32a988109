import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Acceptance, Caller } from '../../src/gateway/api.ts';
import type { HttpLimits } from '../../src/http/server.ts';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';
import { eventually } from '../support/postroom.ts';

/** A service whose store takes for ever until it is told to go on. */
async function startBusyService(limits: Partial<HttpLimits>) {
  const service = await startHttpService({ limits });
  const inWork = new Map<string, number>();
  const most = new Map<string, number>();
  const { accept } = service.fake.api;
  let goOn: () => void = () => undefined;
  let gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  service.fake.api.accept = async (caller: Caller, ...rest): Promise<Acceptance> => {
    const now = (inWork.get(caller.id) ?? 0) + 1;
    inWork.set(caller.id, now);
    most.set(caller.id, Math.max(now, most.get(caller.id) ?? 0));
    if (caller.id === 'all') await gate;
    inWork.set(caller.id, (inWork.get(caller.id) ?? 0) - 1);
    return accept(caller, ...rest);
  };
  return {
    service,
    inWork: (id: string) => inWork.get(id) ?? 0,
    most: (id: string) => most.get(id) ?? 0,
    goOn: () => goOn(),
    closeGate: () => {
      gate = new Promise<void>((resolve) => {
        goOn = resolve;
      });
    },
    [Symbol.asyncDispose]: () => service.app.close(),
  };
}

const byOther = { authorization: `Bearer ${KEYS.other}` };
const statuses = async (answers: Promise<Response>[]) => (await Promise.all(answers)).map(({ status }) => status);

describe('one caller’s flood', () => {
  test('has its share of the process in work and no more, and another caller is served meanwhile', async () => {
    await using busy = await startBusyService({ callerRequests: 4 });
    const flood = Array.from({ length: 60 }, () => busy.service.post(aBody()));
    await eventually(() => busy.inWork('all') === 4);
    expect(await statuses(Array.from({ length: 10 }, () => busy.service.post(aBody(), byOther)))).toEqual(
      Array(10).fill(202),
    );
    expect([busy.inWork('all'), busy.most('all')]).toEqual([4, 4]);
    busy.goOn();
    expect(await statuses(flood)).toEqual(Array(60).fill(202));
    expect(busy.most('all')).toBe(4);
  });

  test('is refused with 429 where even its queue is full, and only its own', async () => {
    await using busy = await startBusyService({ callerRequests: 2, callerQueue: 3 });
    const flood = Array.from({ length: 5 }, () => busy.service.post(aBody()));
    await eventually(() => busy.inWork('all') === 2);
    let refused: Response | undefined;
    await eventually(async () => {
      const stop = AbortSignal.timeout(500);
      refused = await fetch(`${busy.service.baseUrl}/v1/messages/msg_x`, {
        headers: { authorization: `Bearer ${KEYS.all}` },
        signal: stop,
      }).catch(() => undefined);
      return refused?.status === 429;
    });
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect(await problemOf(refused as Response)).toMatchObject({ code: 'too_many_requests' });
    expect((await busy.service.post(aBody(), byOther)).status).toBe(202);
    busy.goOn();
    expect(await statuses(flood)).toEqual(Array(5).fill(202));
    expect((await busy.service.post(aBody())).status).toBe(202);
  });

  test('is work also where it asks for a stream of what is none', async () => {
    await using busy = await startBusyService({ callerRequests: 1, callerQueue: 0 });
    const first = busy.service.post(aBody());
    await eventually(() => busy.inWork('all') === 1);
    const answers = await Promise.all([
      busy.service.get('/v1/messages', { accept: 'text/event-stream' }),
      busy.service.get('/v1/messages/counts?wait=60'),
      busy.service.get('/v1/webhooks?wait=60', { accept: 'text/event-stream' }),
    ]);
    for (const answer of answers) expect(answer.status).toBeOneOf([400, 429]);
    expect(answers[0]?.status).toBe(429);
    busy.goOn();
    expect((await first).status).toBe(202);
  });

  test('of large bodies counts as more', async () => {
    await using busy = await startBusyService({ callerRequests: 5 });
    const large = aBody({ text: 'x'.repeat(2 * 1024 * 1024) });
    const flood = Array.from({ length: 4 }, () => busy.service.post(large));
    await eventually(() => busy.inWork('all') === 1);
    // The three others are heavier than what is left; a small one waits its turn behind them.
    const small = busy.service.post(aBody());
    busy.goOn();
    expect(await statuses([...flood, small])).toEqual(Array(5).fill(202));
    expect(busy.most('all')).toBe(1);
  });

  test('of lists counts as more', async () => {
    await using service = await startHttpService({ limits: { callerRequests: 20 } });
    const { list } = service.fake.api;
    let [now, most] = [0, 0];
    let goOn: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    service.fake.api.list = async (...asked) => {
      now += 1;
      most = Math.max(most, now);
      await gate;
      now -= 1;
      return list(...asked);
    };
    const flood = [1, 2, 3].map(() => service.get('/v1/messages'));
    await eventually(() => service.fake.calls.authenticate === 3 && now === 1);
    expect((await service.post(aBody(), byOther)).status).toBe(202);
    goOn();
    expect([await statuses(flood), most]).toEqual([[200, 200, 200], 1]);
  });

  test('that gives up leaves its places, whether it waited or was being read', async () => {
    await using busy = await startBusyService({ callerRequests: 2, callerQueue: 2 });
    for (let round = 0; round < 5; round++) {
      const body = 'Content-Type: application/json\r\nContent-Length: 100000';
      await abortAfterHead(busy.service, `POST /v1/messages HTTP/1.1\r\nHost: x\r\n${auth}\r\n${body}\r\n\r\n{"from"`);
    }
    const flood = Array.from({ length: 2 }, () => busy.service.post(aBody()));
    await eventually(() => busy.inWork('all') === 2);
    const stop = new AbortController();
    for (let round = 0; round < 5; round++) {
      const waiting = fetch(`${busy.service.baseUrl}/v1/messages/msg_x`, {
        headers: { authorization: `Bearer ${KEYS.all}` },
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(100)]),
      });
      await waiting.catch(() => undefined);
    }
    busy.goOn();
    expect(await statuses(flood)).toEqual([202, 202]);
    busy.closeGate();
    const again = Array.from({ length: 4 }, () => busy.service.post(aBody()));
    await eventually(() => busy.inWork('all') === 2);
    busy.goOn();
    expect(await statuses(again)).toEqual([202, 202, 202, 202]);
  });
});

const auth = `Authorization: Bearer ${KEYS.all}`;

async function abortAfterHead({ port, fake }: HttpService, text: string): Promise<void> {
  const before = fake.calls.authenticate;
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  await eventually(() => fake.calls.authenticate > before);
  socket.destroy();
  await once(socket, 'close');
}

describe('long polls and streams of one caller', () => {
  test('are counted apart from its work, and refused where there are too many', async () => {
    await using service = await startHttpService({ limits: { callerRequests: 1, callerWaiting: 2 } });
    const { id } = (await (await service.post(aBody())).json()) as { id: string };
    const path = `/v1/messages/${id}`;
    const readings = (query: string) =>
      service.get(`${path}${query}`).then(async (answer) => [answer.status, await answer.text()] as const);
    const poll = readings('?wait=60');
    const stream = await fetch(`${service.baseUrl}${path}/events`, {
      headers: { authorization: `Bearer ${KEYS.all}`, accept: 'text/event-stream' },
    });
    expect(stream.status).toBe(200);
    await eventually(() => service.fake.calls.changed >= 2);
    expect(await problemOf(await service.get(`${path}?wait=1`))).toMatchObject({ code: 'too_many_requests' });
    expect((await readings(''))[0]).toBe(200);
    service.fake.move(id, { status: 'sent' });
    expect([(await poll)[0], await stream.text()]).toEqual([200, expect.stringContaining('"sent"')]);
    for (const _ of [1, 2, 3]) expect((await readings('?wait=1'))[0]).toBe(200);
  });

  test('are work until they begin to wait, whatever they call themselves', async () => {
    await using busy = await startBusyService({ callerRequests: 1 });
    const working = busy.service.post(aBody());
    await eventually(() => busy.inWork('all') === 1);
    const before = { ...busy.service.fake.calls };
    const late = [
      busy.service.get('/v1/messages/msg_00000000000000000000000000?wait=0.001'),
      busy.service.get('/v1/messages/msg_00000000000000000000000000?wait=60'),
      busy.service.get('/v1/messages/msg_00000000000000000000000000/events', { accept: 'text/event-stream' }),
      busy.service.get('/v1/messages?tag=rare', { accept: 'text/event-stream' }),
    ];
    await eventually(() => busy.service.fake.calls.authenticate === before.authenticate + late.length);
    expect(await (await busy.service.get('/v1/messages', byOther)).json()).toMatchObject({ messages: [] });
    expect(busy.service.fake.queries).toHaveLength(1);
    expect(busy.service.fake.calls).toMatchObject({ read: before.read, timeline: before.timeline });
    busy.goOn();
    expect(await statuses([working, ...late])).toEqual([202, 404, 404, 404, 200]);
  });

  test('may all begin at once, and take no place from its work while they wait, with HEAD either', async () => {
    await using service = await startHttpService({ limits: { callerRequests: 2, callerQueue: 1, callerWaiting: 50 } });
    const { id } = (await (await service.post(aBody())).json()) as { id: string };
    const poll = (_: unknown, index: number) =>
      fetch(`${service.baseUrl}/v1/messages/${id}?wait=60`, {
        method: index % 2 === 0 ? 'GET' : 'HEAD',
        headers: { authorization: `Bearer ${KEYS.all}` },
      });
    const polls = Array.from({ length: 50 }, poll);
    await eventually(() => service.fake.calls.changed === 50);
    expect((await service.post(aBody())).status).toBe(202);
    service.fake.move(id, { status: 'sent' });
    expect(await statuses(polls)).toEqual(Array(50).fill(200));
  });
});

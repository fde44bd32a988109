import { describe, expect, it } from 'vitest';
import { LaneClosed } from '../../src/gateway/deliver.ts';
import { type Connections, type Dialer, keepConnections, type Places } from '../../src/queue/connections.ts';

interface Line {
  open: boolean;
}

/** Connections of a test's: counts those that the server would count. */
function lines(fails = () => false) {
  const seen = { dialled: 0, open: 0, peak: 0 };
  const quitting: (() => void)[] = [];
  const dialer: Dialer<Line> = {
    async open() {
      seen.dialled += 1;
      await Promise.resolve();
      if (fails()) return { ok: false, trouble: { via: 'client', message: 'refused', stage: 'auth' } };
      seen.open += 1;
      seen.peak = Math.max(seen.peak, seen.open);
      return { ok: true, connection: { open: true }, reused: false };
    },
    quit(line) {
      line.open = false;
      return new Promise((resolve) => {
        quitting.push(() => {
          seen.open -= 1;
          resolve();
        });
      });
    },
    isOpen: (line) => line.open,
  };
  const serverLetsGo = () => {
    for (const gone of quitting.splice(0)) gone();
  };
  return { dialer, seen, serverLetsGo };
}

const upTo = (limit: number) => ({ limit, usual: limit, isBehind: () => false });

/** Places of a mailbox of which others have `others`. */
function freePlaces(limit = 1_000, others = 0): Places & { others: number; taken: Set<string> } {
  const taken = new Set<string>();
  let number = 0;
  return {
    others,
    taken,
    async take() {
      if (taken.size + this.others >= limit) return undefined;
      number += 1;
      taken.add(`place ${number}`);
      return `place ${number}`;
    },
    leave: (place) => void taken.delete(place),
  };
}

async function lend(connections: Connections<Line>): Promise<Line> {
  const answer = await connections.lend();
  if (!answer.ok) throw new Error('refused');
  return answer.connection;
}

describe('kept connections', () => {
  it('are used again', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    const line = await lend(connections);
    connections.takeBack(line, true);
    expect(await connections.lend()).toEqual({ ok: true, connection: line, reused: true });
    expect(seen.dialled).toBe(1);
  });

  it('are not used again if they broke, or the server closed them meanwhile', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    connections.takeBack(await lend(connections), false);
    const idle = await lend(connections);
    connections.takeBack(idle, true);
    idle.open = false;
    await lend(connections);
    expect(seen.dialled).toBe(3);
  });

  it('are never more than the limit, those included of which the server has not let go yet', async () => {
    const { dialer, seen, serverLetsGo } = lines();
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    const lent = [await lend(connections), await lend(connections), await lend(connections)];
    for (const line of lent) connections.takeBack(line, false);
    const next = lend(connections);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen.dialled).toBe(3);
    serverLetsGo();
    await next;
    expect(seen.peak).toBe(3);
  });

  it('are waited for while all are lent, by whoever waits longest first; when the lane closes, nobody gets one', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, upTo(1), freePlaces());
    const line = await lend(connections);
    const order: string[] = [];
    const second = lend(connections).then((got) => {
      order.push('second');
      return got;
    });
    const third = connections.lend().catch((error: Error) => {
      order.push('third');
      return error;
    });
    connections.takeBack(line, true);
    expect(await second).toBe(line);
    connections.stop();
    expect(await third).toBeInstanceOf(LaneClosed);
    expect(order).toEqual(['second', 'third']);
    expect(seen.dialled).toBe(1);
  });

  it('where a login fails, those who waited for it fail with it instead of trying it again', async () => {
    const { dialer, seen } = lines(() => true);
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    const answers = await Promise.all([connections.lend(), connections.lend(), connections.lend()]);
    expect(answers.every(({ ok }) => !ok)).toBe(true);
    expect(seen.dialled).toBe(1);
  });

  it('when closed: the server has let go of the idle ones before it is over, and a lent one goes when it comes back', async () => {
    const { dialer, seen, serverLetsGo } = lines();
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    const lent = await lend(connections);
    connections.takeBack(await lend(connections), true);
    let closed = false;
    const closing = connections.close().then(() => {
      closed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(closed).toBe(false);
    serverLetsGo();
    await closing;
    connections.takeBack(lent, true);
    serverLetsGo();
    expect(seen.open).toBe(0);
  });
});

describe('places for connections', () => {
  it('are taken before it is dialled, and left when the server has let go, or where nobody answers', async () => {
    const { dialer, seen, serverLetsGo } = lines();
    const places = freePlaces();
    const connections = keepConnections(dialer, upTo(3), places);
    connections.takeBack(await lend(connections), false);
    expect([seen.open, places.taken.size]).toEqual([1, 1]);
    serverLetsGo();
    await expect.poll(() => places.taken.size).toBe(0);
    const refused = keepConnections(lines(() => true).dialer, upTo(3), places);
    await refused.lend();
    expect(places.taken.size).toBe(0);
  });

  it('of a connection that the server has closed meanwhile are left once it is gone', async () => {
    const { dialer, serverLetsGo } = lines();
    const places = freePlaces();
    const connections = keepConnections(dialer, upTo(3), places);
    const line = await lend(connections);
    connections.takeBack(line, true);
    line.open = false;
    await lend(connections);
    serverLetsGo();
    await expect.poll(() => [...places.taken]).toEqual(['place 2']);
  });

  it('that others have are waited for; meanwhile whoever waits gets a connection that comes back', async () => {
    const { dialer, seen } = lines();
    const places = freePlaces(3, 2);
    const connections = keepConnections(dialer, upTo(3), places);
    const line = await lend(connections);
    const second = lend(connections);
    const third = lend(connections);
    connections.takeBack(line, true);
    expect(await second).toBe(line);
    places.others = 1;
    await third;
    expect(seen.dialled).toBe(2);
  });

  it('are all used only by a lane that is behind', async () => {
    const { dialer, seen } = lines();
    let isBehind = false;
    const share = { limit: 2, usual: 1, isBehind: () => isBehind };
    const connections = keepConnections(dialer, share, freePlaces());
    const line = await lend(connections);
    const next = lend(connections);
    connections.takeBack(line, true);
    expect(await next).toBe(line);
    isBehind = true;
    await lend(connections);
    expect(seen.dialled).toBe(2);
  });
});

describe('another connection', () => {
  it('is not opened for a few messages that those which are open carry one after the other', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    const line = await lend(connections);
    const waiting = Array.from({ length: 5 }, () => lend(connections));
    connections.takeBack(line, true);
    for (const next of waiting) connections.takeBack(await next, true);
    expect(seen.dialled).toBe(1);
  });

  it('is opened when those that are open have carried a number of messages and others still wait', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    const line = await lend(connections);
    const waiting = Array.from({ length: 20 }, () => lend(connections));
    connections.takeBack(line, true);
    for (const next of waiting) connections.takeBack(await next, true);
    expect(seen.dialled).toBeGreaterThan(1);
  });

  it('is opened when none has come free for a while', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, upTo(3), freePlaces());
    const held = await Promise.all([lend(connections), lend(connections), lend(connections)]);
    expect(new Set(held).size).toBe(3);
    expect(seen.dialled).toBe(3);
  });
});

/** What is to be sent next. */
const NEXT = { envelope: { reversePath: 'main@contoso.com', recipients: ['ada@fabrikam.com'] }, octets: 25 };

/** One line, lent, whose last final dot was answered after that many milliseconds. */
async function lineThatAnswers(answeredIn: number | undefined) {
  const { dialer, seen, serverLetsGo } = lines();
  const connections = keepConnections(dialer, upTo(1), freePlaces());
  const line = await lend(connections);
  connections.takeBack(line, true, answeredIn);
  await lend(connections);
  return { connections, line, seen, serverLetsGo };
}

function promisedIn(answer: Awaited<ReturnType<Connections<Line>['lend']>>) {
  if (!answer.ok || !answer.promised) throw new Error('not promised');
  return answer.promised;
}

describe('a connection whose final dot is being answered', () => {
  it('is promised to whoever waits longest, who has it as soon as it is answered well', async () => {
    const { connections, line, seen } = await lineThatAnswers(1);
    const [first, second] = [connections.lend(), connections.lend()];
    connections.promise(line);
    const promised = promisedIn(await first);
    connections.takeBack(line, true, 1);
    expect(await promised.free(NEXT)).toEqual({ isFree: true, isAnnounced: false });
    connections.promise(line);
    const next = promisedIn(await second);
    const free = next.free(NEXT);
    connections.takeBack(line, true, 1);
    expect(await free).toEqual({ isFree: true, isAnnounced: false });
    expect(seen).toMatchObject({ dialled: 1, peak: 1 });
  });

  it('is promised to nobody where the last dot was not answered at once, or not with 250', async () => {
    for (const answeredIn of [500, undefined]) {
      const { connections, line } = await lineThatAnswers(answeredIn);
      const waiting = connections.lend();
      connections.promise(line);
      connections.takeBack(line, true, 1);
      expect(await waiting).toEqual({ ok: true, connection: line, reused: true });
    }
  });

  it('is not to be had by whoever it was promised if the end was not a good one, but by the next', async () => {
    const { connections, line } = await lineThatAnswers(1);
    const first = connections.lend();
    connections.promise(line);
    const promised = promisedIn(await first);
    connections.takeBack(line, true);
    expect(await promised.free(NEXT)).toEqual({ isFree: false, isAnnounced: false });
    expect(await connections.lend()).toEqual({ ok: true, connection: line, reused: true });
  });

  it('is closed and not to be had if it broke, or the lane is closing', async () => {
    for (const how of ['broke', 'closing'] as const) {
      const { connections, line } = await lineThatAnswers(1);
      const first = connections.lend();
      connections.promise(line);
      const free = promisedIn(await first).free(NEXT);
      if (how === 'closing') connections.stop();
      connections.takeBack(line, how === 'closing', 1);
      expect(await free).toEqual({ isFree: false, isAnnounced: false });
      expect(line.open).toBe(false);
    }
  });

  it('goes to the next if whoever it was promised does not want it any more', async () => {
    for (const when of ['before it is free', 'when it is free'] as const) {
      const { connections, line } = await lineThatAnswers(1);
      const [first, second] = [connections.lend(), connections.lend()];
      connections.promise(line);
      const promised = promisedIn(await first);
      if (when === 'before it is free') promised.decline();
      connections.takeBack(line, true, 1);
      if (when === 'when it is free') promised.decline();
      expect(await second).toEqual({ ok: true, connection: line, reused: true });
    }
  });

  it('is waited for a second at most by whoever it was promised', async () => {
    const { connections, line } = await lineThatAnswers(1);
    const first = connections.lend();
    connections.promise(line);
    expect(await promisedIn(await first).free(NEXT)).toEqual({ isFree: false, isAnnounced: false });
    const second = connections.lend();
    connections.takeBack(line, true, 1_000);
    expect(await second).toEqual({ ok: true, connection: line, reused: true });
  });

  it('may have the next message announced on it, which then goes on where that one is', async () => {
    const { connections, line } = await lineThatAnswers(1);
    const first = connections.lend();
    connections.promise(line);
    const free = promisedIn(await first).free(NEXT);
    const upcoming = await connections.upcoming(line);
    expect(upcoming).toMatchObject(NEXT);
    upcoming?.said();
    connections.takeBack(line, true, 1);
    expect(await free).toEqual({ isFree: true, isAnnounced: true });
  });

  it('has nothing announced on it before it is known what', async () => {
    const { connections, line } = await lineThatAnswers(1);
    expect(await connections.upcoming(line)).toBeUndefined();
    const first = connections.lend();
    connections.promise(line);
    const promised = promisedIn(await first);
    expect(await connections.upcoming(line)).toBeUndefined();
    connections.takeBack(line, true, 1);
    expect(await promised.free(NEXT)).toEqual({ isFree: true, isAnnounced: false });
  });

  it.each(['refused', 'slow'])('is closed where the message that was announced cannot go: %s', async (how) => {
    const { connections, line, seen, serverLetsGo } = await lineThatAnswers(1);
    const first = connections.lend();
    connections.promise(line);
    const free = promisedIn(await first).free(NEXT);
    (await connections.upcoming(line))?.said();
    if (how === 'refused') connections.takeBack(line, true);
    expect(await free).toEqual({ isFree: false, isAnnounced: true });
    // Whoever comes meanwhile is not promised it either.
    const second = connections.lend();
    if (how === 'slow') connections.takeBack(line, true, 1_000);
    expect(line.open).toBe(false);
    serverLetsGo();
    expect(await second).toMatchObject({ ok: true, reused: false });
    expect(seen).toMatchObject({ dialled: 2, peak: 1 });
  });
});

import { describe, expect, it } from 'vitest';
import { LaneClosed } from '../../src/gateway/deliver.ts';
import { type Connections, type Dialer, keepConnections } from '../../src/queue/connections.ts';

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

async function lend(connections: Connections<Line>): Promise<Line> {
  const answer = await connections.lend();
  if (!answer.ok) throw new Error('refused');
  return answer.connection;
}

describe('kept connections', () => {
  it('are used again', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, 3);
    const line = await lend(connections);
    connections.takeBack(line, true);
    expect(await connections.lend()).toEqual({ ok: true, connection: line, reused: true });
    expect(seen.dialled).toBe(1);
  });

  it('are not used again if they broke, or the server closed them meanwhile', async () => {
    const { dialer, seen } = lines();
    const connections = keepConnections(dialer, 3);
    connections.takeBack(await lend(connections), false);
    const idle = await lend(connections);
    connections.takeBack(idle, true);
    idle.open = false;
    await lend(connections);
    expect(seen.dialled).toBe(3);
  });

  it('are never more than the limit, those included of which the server has not let go yet', async () => {
    const { dialer, seen, serverLetsGo } = lines();
    const connections = keepConnections(dialer, 3);
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
    const connections = keepConnections(dialer, 1);
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
    const connections = keepConnections(dialer, 3);
    const answers = await Promise.all([connections.lend(), connections.lend(), connections.lend()]);
    expect(answers.every(({ ok }) => !ok)).toBe(true);
    expect(seen.dialled).toBe(1);
  });

  it('when closed: the server has let go of the idle ones before it is over, and a lent one goes when it comes back', async () => {
    const { dialer, seen, serverLetsGo } = lines();
    const connections = keepConnections(dialer, 3);
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

import { expect, it } from 'vitest';
import type { AdmissionStore } from '../src/gateway/admission.ts';
import { USUAL_LIMITS } from '../src/mailbox-config.ts';
import { visitor } from '../src/visitor.ts';

const WAITS = { place: 100, beyondWindow: 100 };
const LIMITS = { ...USUAL_LIMITS, windowSeconds: 0.1 };

const aStore = (more: Partial<AdmissionStore> = {}): AdmissionStore => ({
  takePlace: async () => true,
  visit: async () => true,
  places: async () => [],
  leavePlace: async () => undefined,
  permitVisitor: async () => 'go',
  keepPermit: async () => undefined,
  ...more,
});
const away = async () => {
  throw new Error('Redis is away');
};
const visiting = (more: Partial<AdmissionStore>) => visitor(aStore(more), { id: 'main', limits: LIMITS }, WAITS);

it('a visitor of a mailbox whose connections are all in use does not get in', async () => {
  expect(await visiting({ visit: async () => false }).enter()).toBe(false);
});

it('waits for a place of the window, and begins nothing where there is none in time', async () => {
  let asked = 0;
  const permitVisitor = async () => {
    asked += 1;
    return asked < 3 ? 1 : 'go';
  };
  expect(await visiting({ permitVisitor }).begin(1, async () => 'sent')).toEqual({ leave: 'go', result: 'sent' });
  const never = visiting({ permitVisitor: async () => 1 });
  expect(await never.begin(1, async () => 'sent')).toEqual({ leave: 'busy' });
});

it('keeps its place for a window after the reply, also where there was none', async () => {
  const order: string[] = [];
  const keepPermit = async () => void order.push('kept');
  const run = async () => {
    order.push('replied');
    throw new Error('The connection broke');
  };
  await expect(visiting({ keepPermit }).begin(1, run)).rejects.toThrow('broke');
  expect(order).toEqual(['replied', 'kept']);
});

it('while Redis is away, connects to say what else is wrong, and begins no message', async () => {
  const alone = visiting({ visit: away, leavePlace: away, permitVisitor: away, keepPermit: away });
  expect(await alone.enter()).toBe(true);
  expect(await alone.begin(1, async () => 'sent')).toEqual({ leave: 'unknown' });
  await alone.leave();
});

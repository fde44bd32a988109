import type { KeyView } from '../../src/gateway/api-key.ts';
import { KEY } from './postroom.ts';

export type Shown = KeyView & { secret: string };

/** An operator at the API of one process. */
export function operatorAt(url: string, key = KEY) {
  async function call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as T };
  }
  return {
    call,
    async create(wish: object): Promise<Shown> {
      const { status, body } = await call<Shown>('POST', '/v1/keys', {
        name: 'test',
        scopes: ['send', 'read'],
        ...wish,
      });
      if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
      return body;
    },
  };
}

/** A request whose answer says only whether the key was let in: 404 if it was, else 401. */
export async function statusWith(url: string, secret: string): Promise<number> {
  const headers = { authorization: `Bearer ${secret}` };
  return (await fetch(`${url}/v1/messages/msg_00000000000000000000000000`, { headers })).status;
}

import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { createServer, type ServerOptions } from '../../src/http/server.ts';
import { fakeApi, KEYS } from './fake-api.ts';

export type HttpService = Awaited<ReturnType<typeof startHttpService>>;

/** The HTTP server on a real port, before a gateway in memory. */
export async function startHttpService(options: Partial<ServerOptions> = {}) {
  const fake = fakeApi();
  const app: FastifyInstance = await createServer({ api: fake.api, version: '0.0.0', swaggerUi: false, ...options });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  return {
    ...{ app, fake, port, baseUrl },
    post: (body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${baseUrl}/v1/messages`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEYS.all}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
      }),
    get: (path: string, headers: Record<string, string> = {}) =>
      fetch(`${baseUrl}${path}`, { headers: { authorization: `Bearer ${KEYS.all}`, ...headers }, redirect: 'manual' }),
    [Symbol.asyncDispose]: () => app.close(),
  };
}

/** A body that is accepted; a test shows only what matters to it. */
export function aBody(change: Record<string, unknown> = {}): Record<string, unknown> {
  return { from: 'billing@contoso.com', to: 'ada@fabrikam.com', subject: 'Hello', text: 'Hello.', ...change };
}

export interface ReadProblem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  errors?: { pointer?: string; header?: string; parameter?: string; message: string }[];
  requestId: string;
}

/** The problem an answer carries; throws if it is anything else. */
export async function problemOf(response: Response): Promise<ReadProblem> {
  const text = await response.text();
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('application/problem+json')) throw new Error(`${response.status} ${type}: ${text}`);
  const problem = JSON.parse(text) as ReadProblem;
  if (problem.status !== response.status || problem.requestId !== response.headers.get('x-request-id')) {
    throw new Error(`The problem does not agree with its answer: ${text}`);
  }
  return problem;
}

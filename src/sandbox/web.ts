import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';

/** One request to the sandbox's web side, already read. */
export interface WebRequest {
  method: string;
  path: string;
  /** The parts of the path that the route names, decoded. */
  parameters: Record<string, string>;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface WebAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
  delayMs?: number;
  /** Say nothing: close the connection, or leave it open until the client gives up. */
  afterwards?: 'drop' | 'hang';
}

/** `GET /api/messages/:number` */
export type Routes = Record<string, (request: WebRequest) => WebAnswer | Promise<WebAnswer>>;

export interface WebServer {
  readonly url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface WebOptions {
  host: string;
  /** 0 chooses a free one. */
  port: number;
  routes: Routes;
  onError?: (error: unknown) => void;
}

const MAX_BODY_BYTES = 64 * 1_024;
/** On every answer: what the sandbox shows was written by others. */
const SAFE_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
};

/** Starts listening. @throws the listen error, for example EADDRINUSE */
export async function startWeb(options: WebOptions): Promise<WebServer> {
  const routes = compile(options.routes);
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    response.on('error', () => response.destroy());
    void answer(request, response, routes, options);
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await listen(server, options);
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  return {
    url: `http://${urlHost(options.host)}:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** What a browser on this machine can open. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return isIP(host) === 6 ? `[${host}]` : host;
}

function listen(server: Server, { host, port }: WebOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      // From here on an error is a connection that could not be accepted, which is the client's loss alone.
      server.removeAllListeners('error').on('error', () => undefined);
      resolve();
    });
  });
}

interface Route {
  method: string;
  pattern: RegExp;
  handle: Routes[string];
}

function compile(routes: Routes): Route[] {
  return Object.entries(routes).map(([route, handle]) => {
    const [method = '', path = ''] = route.split(' ');
    return {
      method,
      pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`),
      handle,
    };
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Route[],
  options: WebOptions,
): Promise<void> {
  try {
    send(response, await route(request, routes, options.host));
  } catch (error) {
    // A client that went away in the middle of its body is no fault of ours.
    if (request.complete) options.onError?.(error);
    if (!response.headersSent) send(response, problem(500, 'The sandbox has a fault of its own.'));
  }
}

async function route(request: IncomingMessage, routes: Route[], host: string): Promise<WebAnswer> {
  if (!isOurName(request.headers.host, host)) return problem(421, 'Not a name of this sandbox.');
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const here = routes.filter(({ pattern }) => pattern.test(path));
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
  const found = here.find((candidate) => candidate.method === method);
  if (!found) return here.length > 0 ? problem(405, 'Not with this method.') : problem(404, 'There is nothing here.');
  const body = await readBody(request);
  if (!body) return problem(413, 'The body is too long.');
  const parameters = decodeAll(found.pattern.exec(path)?.groups ?? {});
  if (!parameters) return problem(400, 'The path is not URL-encoded.');
  return await found.handle({ method, path, parameters, headers: request.headers, body });
}

/** Against DNS rebinding: a page elsewhere must not reach a sandbox on loopback under its own name. */
function isOurName(hostHeader: string | undefined, bound: string): boolean {
  const isLoopback = bound === 'localhost' || bound === '::1' || bound.startsWith('127.');
  if (!isLoopback) return true;
  const name = (hostHeader ?? '').replace(/:\d+$/, '');
  return name === 'localhost' || name === '[::1]' || name.startsWith('127.');
}

function decodeAll(groups: Record<string, string>): Record<string, string> | undefined {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    return undefined;
  }
}

/** @returns undefined if it is too long */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Read to its end, for only then does the client hear the answer.
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return length <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined;
}

function send(response: ServerResponse, { status, headers, body, delayMs, afterwards }: WebAnswer): void {
  if (afterwards === 'hang') return;
  if (delayMs) {
    const timer = setTimeout(
      () => send(response, { status, headers: headers ?? {}, body: body ?? '', ...(afterwards && { afterwards }) }),
      delayMs,
    );
    response.once('close', () => clearTimeout(timer));
    return;
  }
  if (afterwards === 'drop') {
    response.destroy();
    return;
  }
  response.writeHead(status, { ...SAFE_HEADERS, ...headers });
  response.end(body);
}

export function json(status: number, value: unknown): WebAnswer {
  const headers = { 'content-type': 'application/json; charset=utf-8' };
  return { status, headers, body: `${JSON.stringify(value, undefined, 2)}\n` };
}

export function problem(status: number, detail: string): WebAnswer {
  return json(status, { status, detail });
}

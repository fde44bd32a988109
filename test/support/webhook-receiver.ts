import { once } from 'node:events';
import http, { type IncomingHttpHeaders, type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

export interface ReceivedEvent {
  type: string;
  timestamp: string;
  data: { id: string; status: string; attempts: { outcome: string }[] };
}

/** What it answers to the call of this number, which counts from 0; 204 if nothing is said. */
export type Answering = (
  call: number,
  received: Received,
) => { status: number; headers?: Record<string, string>; body?: string } | 'hang';

/** A real receiver of webhooks on this machine. */
export async function startReceiver(answering?: Answering, tls?: { key: string; cert: string }) {
  const received: Received[] = [];
  const state = { answering };
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const one = { headers: request.headers, body: Buffer.concat(chunks).toString() };
    received.push(one);
    const answer = state.answering?.(received.length - 1, one) ?? { status: 204 };
    if (answer === 'hang') return;
    response.writeHead(answer.status, answer.headers).end(answer.body);
  };
  const server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://localhost:${port}/hooks`,
    port,
    received,
    /** Changes what it answers from now on. */
    answer(next: Answering) {
      state.answering = next;
    },
    /** The events it has got, each verified with this secret. */
    events: (secret: string): ReceivedEvent[] => received.map((each) => verified(each, secret)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** As a receiver does it; throws where the signature is not by this secret. */
export function verified({ headers, body }: Received, secret: string): ReceivedEvent {
  return new Webhook(secret).verify(body, headers as Record<string, string>) as ReceivedEvent;
}

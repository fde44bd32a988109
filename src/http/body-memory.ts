import { Transform, type TransformCallback } from 'node:stream';
import type { FastifyReply, FastifyRequest, RequestPayload } from 'fastify';
import { ProblemError } from './problem.ts';

/** Smaller bodies are let in at once: they cost less than to keep account of them. */
const EXEMPT_BYTES = 256 * 1024;
/**
 * What a JSON body costs at its peak, in times its length: the body, its text, the strings parsed from it, the files
 * decoded from these, and the MIME. Measured at 4.7 to 5 for bodies of 33 to 47 MB.
 */
const JSON_COST = 5;
/** Of requests that wait for room. More than so many would only be answered later with the same 503. */
const MAX_WAITING = 200;
const RETRY_AFTER = '5';

/** Room for the bodies that a process works on at a time. */
export interface BodyMemory {
  /**
   * Waits in line for room, for as long as patience lasts. One that is larger than all the room is let in alone.
   *
   * @returns what frees the room again; harmless when called twice
   * @throws ProblemError `overloaded`
   */
  enter(bytes: number): Promise<() => void>;
}

/** @param bytes of memory that large bodies may take @param patience milliseconds a request waits for room */
export function bodyMemory(bytes: number, patience: number): BodyMemory {
  const line: { bytes: number; admit: () => void }[] = [];
  let used = 0;

  function admitFirst(): void {
    for (let first = line[0]; first && (used === 0 || used + first.bytes <= bytes); first = line[0]) {
      line.shift();
      used += first.bytes;
      first.admit();
    }
  }

  function leaving(share: number): () => void {
    let held = share;
    return () => {
      used -= held;
      held = 0;
      admitFirst();
    };
  }

  return {
    enter: (share) =>
      new Promise((resolve, reject) => {
        if (line.length >= MAX_WAITING) {
          reject(overloaded());
          return;
        }
        const admit = () => {
          clearTimeout(timer);
          resolve(leaving(share));
        };
        const waiting = { bytes: share, admit };
        const timer = setTimeout(() => {
          line.splice(line.indexOf(waiting), 1);
          reject(overloaded());
          admitFirst();
        }, patience);
        line.push(waiting);
        admitFirst();
      }),
  };
}

function overloaded(): ProblemError {
  return new ProblemError('overloaded', { headers: { 'retry-after': RETRY_AFTER } });
}

type Done = (error?: Error | null, payload?: RequestPayload) => void;

/**
 * A `preParsing` hook: a large JSON body is not read before there is room for all that will be made of it. Until then
 * it waits in the caller's own network stack.
 */
export function admitBodies(memory: BodyMemory) {
  return (request: FastifyRequest, reply: FastifyReply, payload: RequestPayload, done: Done): void => {
    const bytes = mayHave(request);
    if (bytes <= EXEMPT_BYTES) {
      done();
      return;
    }
    const enter = () => held(memory, reply, JSON_COST * bytes);
    if (request.headers['content-length'] === undefined) done(null, payload.pipe(new Metered(enter)));
    else enter().then(() => done(), done);
  };
}

/** The most octets that the body will have, as far as this is where they are counted. */
function mayHave(request: FastifyRequest): number {
  const { headers } = request;
  const length = headers['content-length'];
  if (length !== undefined && Number(length) <= EXEMPT_BYTES) return 0;
  if (length === undefined && headers['transfer-encoding'] === undefined) return 0;
  // Fastify puts them together anew each time, so not before they are needed.
  const { bodyLimit } = request.routeOptions;
  // Uploads are read piece by piece, and ask for room themselves; what is too large is refused at once.
  if (headers['content-type']?.startsWith('multipart/') || Number(length) > bodyLimit) return 0;
  return length === undefined ? bodyLimit : Number(length);
}

/** The rooms that are held, by whose answer is not out. */
const rooms = new WeakMap<FastifyReply, () => void>();

/** Until the answer is out, or the caller gone. */
export async function held(memory: BodyMemory, reply: FastifyReply, bytes: number): Promise<void> {
  const leave = await memory.enter(bytes);
  rooms.set(reply, leave);
  if (reply.raw.closed) leave();
  else reply.raw.once('close', leave);
}

/** Before the answer is out: for one that is put off, when nothing is left of the body. */
export function leaveRoom(reply: FastifyReply): void {
  rooms.get(reply)?.();
}

/** A body of unknown length asks for all the room it might need, but only once it turns out not to be small. */
class Metered extends Transform {
  readonly #enter: () => Promise<void>;
  #seen = 0;
  #admitted = false;

  constructor(enter: () => Promise<void>) {
    super();
    this.#enter = enter;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#seen += chunk.length;
    if (this.#admitted || this.#seen <= EXEMPT_BYTES) {
      done(null, chunk);
      return;
    }
    this.#admitted = true;
    this.#enter().then(() => done(null, chunk), done);
  }
}

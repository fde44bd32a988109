import type { Redis } from 'ioredis';
import { WRITTEN_AT_ONCE } from '../gateway/accept.ts';
import type { Keys } from './keys.ts';
import { whenThereIsRoom } from './on-the-way.ts';
import type { Scripted } from './redis.ts';

const PIECE = 1024 * 1024;
/** A message that is not accepted after all leaves nothing behind for longer. */
const KEPT_MILLISECONDS = 600_000;
const ELSEWHERE = Buffer.alloc(0);

/**
 * Writes a large content to its key piece by piece, since whole it would hold up all else that is said over the
 * connection. There it stays only if the accepting script finds it and keeps it.
 * Each piece has the usual time for an answer, others get their turn between two, and the driver copies no more than
 * one piece. SETRANGE, since a piece that is sent again after a lost answer must not be there twice.
 *
 * @returns what is to be written with the rest: the content if it is small, else nothing
 */
export async function stageContent(redis: Redis & Scripted, keys: Keys, id: string, content: Buffer): Promise<Buffer> {
  if (content.length < WRITTEN_AT_ONCE) return content;
  for (let at = 0; at < content.length; at += PIECE) {
    const piece = content.subarray(at, at + PIECE);
    const write = () => redis.stagePiece(keys.mime(id), keys.message(id), at, piece, KEPT_MILLISECONDS);
    if (!(await whenThereIsRoom(redis, piece.length, write)))
      throw new Error(`The first ${at} octets of the content of ${id} were not kept until the rest came`);
  }
  return ELSEWHERE;
}

/**
 * Reads a content piece by piece, as it is written: what many lanes want at a time is never one answer.
 *
 * @throws where it is not all there any more
 */
export async function readContent(redis: Redis, keys: Keys, id: string): Promise<Buffer> {
  const octets = await redis.strlen(keys.mime(id));
  const pieces: Buffer[] = [];
  for (let at = 0; at < octets; at += PIECE) {
    const last = Math.min(at + PIECE, octets) - 1;
    pieces.push(await whenThereIsRoom(redis, last - at + 1, () => redis.getrangeBuffer(keys.mime(id), at, last)));
  }
  const content = Buffer.concat(pieces);
  if (octets === 0 || content.length !== octets) throw new Error(`The content of ${id} is not kept any more`);
  return content;
}

import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Spooled } from '../mail/message.ts';
import { ProblemError } from './problem.ts';

/** RFC 2045 §6.8: 57 octets make a line of 76 characters. */
const OCTETS_PER_LINE = 57;
const LINE = /.{76}(?!$)/g;

export interface SpooledFile extends Spooled {
  /** SHA-256, hex, of the file as it was uploaded. */
  sha256: string;
}

/**
 * Files of one upload, on disk in the form in which they will be sent (base64 in lines), so that an upload under way
 * takes no memory however long it lasts. The file has no name any more: whatever ends the process, nothing stays.
 */
export class Spool {
  readonly #file: FileHandle;
  readonly #limit: number;
  #end = 0;

  private constructor(file: FileHandle, limit: number) {
    this.#file = file;
    this.#limit = limit;
  }

  /** @param limit most octets of all files together, in base64 */
  static async open(folder: string, limit: number): Promise<Spool> {
    const path = join(folder, `postroom-upload-${randomUUID()}`);
    const file = await open(path, 'wx+', 0o600).catch(noRoom);
    await unlink(path);
    return new Spool(file, limit);
  }

  /** Octets of all files so far. */
  get octets(): number {
    return this.#end;
  }

  /** @throws ProblemError `message_too_large` as soon as it is, `overloaded` if the disk is full */
  async add(content: AsyncIterable<Buffer>): Promise<SpooledFile> {
    const start = this.#end;
    const hash = createHash('sha256');
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of content) {
      hash.update(chunk);
      const octets = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const whole = octets.length - (octets.length % OCTETS_PER_LINE);
      if (whole > 0) await this.#write(octets.subarray(0, whole), start);
      rest = Buffer.from(octets.subarray(whole));
    }
    if (rest.length > 0) await this.#write(rest, start);
    const octets = this.#end - start;
    const copyTo = (target: Buffer, at: number) => this.#copy(start, octets, target, at);
    return { octets, copyTo, sha256: hash.digest('hex') };
  }

  async #write(octets: Buffer, start: number): Promise<void> {
    const lines = octets.toString('base64').replace(LINE, '$&\r\n');
    const text = Buffer.from(this.#end === start ? lines : `\r\n${lines}`, 'latin1');
    if (this.#end + text.length > this.#limit) throw tooLarge(this.#limit);
    await this.#file.write(text, 0, text.length, this.#end).catch(noRoom);
    this.#end += text.length;
  }

  async #copy(start: number, octets: number, target: Buffer, at: number): Promise<void> {
    for (let done = 0; done < octets; ) {
      const { bytesRead } = await this.#file.read(target, at + done, octets - done, start + done);
      if (bytesRead === 0) throw new Error('A spooled file is shorter than it was written');
      done += bytesRead;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

export function tooLarge(limit: number): ProblemError {
  const detail = `After encoding the message would have more than ${limit} bytes, more than any mailbox of this service takes. Send fewer or smaller attachments, or a link to them.`;
  return new ProblemError('message_too_large', { detail });
}

function noRoom(cause: NodeJS.ErrnoException): never {
  if (cause.code !== 'ENOSPC' && cause.code !== 'EDQUOT' && cause.code !== 'EMFILE') throw cause;
  const detail = 'There is no room at present for the files of an upload. Repeat the request.';
  throw new ProblemError('overloaded', { detail, headers: { 'retry-after': '5' } });
}

import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime, { type Address, addressParser, type Email } from 'postal-mime';
import { makeFolder } from '../make-folder.ts';
import type { SmtpEnvelope } from './session.ts';

/** A message that was accepted, byte for byte, and what its header says. */
export interface StoredMessage {
  /** Counts up from 1; goes on counting after a restart with the same folder. */
  readonly number: number;
  /** RFC 3339 UTC. */
  readonly receivedAt: string;
  /** The mailbox it was sent through. */
  readonly mailbox: string;
  readonly envelope: SmtpEnvelope;
  /** With angle brackets; empty where the message has none. */
  readonly messageId: string;
  readonly subject: string;
  readonly from: string;
  readonly to: string[];
  readonly raw: Buffer;
}

export type NewMessage = Omit<StoredMessage, 'number'>;

export interface Inbox {
  /** Oldest first; usually the newest 1,000, and at most 256 MB of them. */
  messages(): readonly StoredMessage[];
  find(number: number): StoredMessage | undefined;
  /** Resolves when the message would survive the death of this process. @throws what the file system says */
  add(message: NewMessage): Promise<StoredMessage>;
  clear(): Promise<void>;
}

const MAX_MESSAGES = 1_000;
const MAX_BYTES = 256 * 1_024 * 1_024;

/**
 * Opens an inbox.
 *
 * @param folder keeps the messages as `<number>.eml` with `<number>.json`; without it they are in memory only
 * @param most messages are kept; with 0 none is, and their bytes are gone as soon as they are accepted
 */
export async function openInbox(folder?: string, most = MAX_MESSAGES): Promise<Inbox> {
  if (folder) makeFolder(folder);
  const kept = folder ? await load(folder) : [];
  let next = (kept.at(-1)?.number ?? 0) + 1;
  let bytes = kept.reduce((sum, message) => sum + message.raw.length, 0);

  const forgetOldest = async () => {
    const oldest = kept.shift();
    if (!oldest) return;
    bytes -= oldest.raw.length;
    if (folder) await erase(folder, oldest.number);
  };
  const trim = async () => {
    while (kept.length > most || (bytes > MAX_BYTES && kept.length > 1)) await forgetOldest();
  };
  await trim();
  return {
    messages: () => kept,
    find: (number) => kept.find((message) => message.number === number),
    async add(message) {
      const stored = { ...message, number: next++ };
      if (folder) await save(folder, stored);
      kept.push(stored);
      kept.sort((a, b) => a.number - b.number);
      bytes += stored.raw.length;
      await trim();
      return stored;
    },
    async clear() {
      while (kept.length > 0) await forgetOldest();
    },
  };
}

function pathOf(folder: string, number: number, kind: 'eml' | 'json'): string {
  return join(folder, `${String(number).padStart(8, '0')}.${kind}`);
}

/** The description comes last and appears whole: what has none was never answered 250 and does not count. */
async function save(folder: string, message: StoredMessage): Promise<void> {
  const { raw, ...described } = message;
  const description = pathOf(folder, message.number, 'json');
  await writeFile(pathOf(folder, message.number, 'eml'), raw, { mode: 0o600 });
  await writeFile(`${description}.new`, JSON.stringify(described), { mode: 0o600 });
  await rename(`${description}.new`, description);
}

async function erase(folder: string, number: number): Promise<void> {
  await rm(pathOf(folder, number, 'json'), { force: true });
  await rm(pathOf(folder, number, 'eml'), { force: true });
}

async function load(folder: string): Promise<StoredMessage[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{8,}\.json$/.test(name)).sort();
  const loaded: StoredMessage[] = [];
  for (const name of names) {
    const message = await loadOne(folder, name);
    if (message) loaded.push(message);
  }
  return loaded.sort((a, b) => a.number - b.number);
}

/** @returns undefined for a damaged one: better a sandbox without that message than no sandbox */
async function loadOne(folder: string, name: string): Promise<StoredMessage | undefined> {
  try {
    const described = JSON.parse(await readFile(join(folder, name), 'utf8')) as Omit<StoredMessage, 'raw'>;
    return { ...described, raw: await readFile(pathOf(folder, described.number, 'eml')) };
  } catch {
    return undefined;
  }
}

/** The header fields that the stand-in decides by. */
export interface HeaderSummary {
  messageId: string;
  subject: string;
  to: string[];
  /** Every address of every From field. */
  from: string[];
  fromFields: number;
  hasSender: boolean;
}

/** Exchange's bound: learn.microsoft.com, "Exchange Online limits", message header size 256 KB. */
const MAX_HEADER_BYTES = 256 * 1_024;

/** @returns `tooLarge` if there is more of it than Exchange takes */
export async function summarizeHeader(raw: Buffer): Promise<HeaderSummary | 'tooLarge'> {
  const end = raw.indexOf('\r\n\r\n');
  const header = end < 0 ? raw : raw.subarray(0, end + 4);
  if (header.length > MAX_HEADER_BYTES) return 'tooLarge';
  const email = await PostalMime.parse(header);
  const fromFields = email.headers.filter(({ key }) => key === 'from');
  return {
    messageId: email.messageId ?? '',
    subject: email.subject ?? '',
    to: addressesOf([...(email.to ?? []), ...(email.cc ?? [])]),
    from: fromFields.flatMap(({ value }) =>
      addressParser(value, { flatten: true }).map(({ address }) => address ?? ''),
    ),
    fromFields: fromFields.length,
    hasSender: email.sender !== undefined,
  };
}

function addressesOf(list: Address[]): string[] {
  return list.flatMap((entry) => (entry.group ? entry.group : [entry])).map(({ address }) => address);
}

/** The message taken apart, bodies and attachments included. @throws if it is nested beyond reason */
export function parseMessage(raw: Buffer): Promise<Email> {
  return PostalMime.parse(raw);
}

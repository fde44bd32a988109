import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** What a name has; `servfail` answers that the server is broken, `silent` does not answer at all. */
export type Zone = Record<string, DnsName | 'servfail' | 'silent'>;
export interface DnsName {
  A?: string[];
  AAAA?: string[];
  TXT?: string[];
  CNAME?: string;
}

export interface DnsServer {
  /** As `Resolver.setServers` takes it. */
  address: string;
  /** Names asked for, in order. */
  asked: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

const TYPES: Record<number, keyof DnsName> = { 1: 'A', 5: 'CNAME', 16: 'TXT', 28: 'AAAA' };
const NXDOMAIN = 3;
const SERVFAIL = 2;

/** A name server on a free UDP port (RFC 1035), which knows only this zone; with `all` everything goes that way. */
export async function startDnsServer(zone: Zone, all?: 'servfail' | 'silent'): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, peer) => {
    const { name, type, end } = readQuestion(query);
    asked.push(name);
    const known = all ?? zone[name];
    if (known === 'silent') return;
    socket.send(answer(query.subarray(0, end), known, TYPES[type]), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

function readQuestion(query: Buffer) {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function answer(question: Buffer, known: DnsName | 'servfail' | undefined, type: keyof DnsName | undefined): Buffer {
  const name = known === 'servfail' ? undefined : known;
  const records = type && name ? [name[type] ?? []].flat().map((value) => record(type, value)) : [];
  const code = known === 'servfail' ? SERVFAIL : known === undefined ? NXDOMAIN : 0;
  const head = Buffer.from(question);
  head.writeUInt16BE(0x8580 | code, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  head.writeUInt32BE(0, 8);
  return Buffer.concat([head, ...records]);
}

function record(type: keyof DnsName, value: string): Buffer {
  const data = dataOf(type, value);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(Number(Object.entries(TYPES).find(([, name]) => name === type)?.[0]), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf(type: keyof DnsName, value: string): Buffer {
  if (type === 'A') return Buffer.from(value.split('.').map(Number));
  if (type === 'AAAA') return Buffer.from([...Array(15).fill(0), 1]);
  const parts = type === 'TXT' ? (value.match(/.{1,200}/g) ?? []) : value.split('.');
  const encoded = parts.map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)]));
  return Buffer.concat(type === 'TXT' ? encoded : [...encoded, Buffer.from([0])]);
}

import { describe, expect, it } from 'vitest';
import { openConnection, quitConnection } from '../../src/smtp/connection.ts';
import type { Session } from '../../src/smtp/session.ts';
import { runTransaction, type Transaction } from '../../src/smtp/transaction.ts';
import { eventually } from '../support/postroom.ts';
import { type Script, type ScriptedServer, startScriptedServer } from '../support/scripted-smtp.ts';

const MIME = Buffer.from('Subject: Test\r\n\r\nHello.\r\n');
const OFFERS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'SIZE 1000000'];

/** Says yes to everything, save what it is given another answer for, by the beginning of a line. */
function saying(answers: Record<string, string | undefined> = {}): Script {
  let isBody = false;
  return (line) => {
    const [, other] = Object.entries(answers).find(([start]) => line.startsWith(start)) ?? [];
    const isKnown = Object.keys(answers).some((start) => line.startsWith(start));
    if (isBody) {
      if (line !== '.') return undefined;
      isBody = false;
      return isKnown ? other : '250 2.0.0 Kept';
    }
    const answer = isKnown ? other : { DATA: '354 Go ahead', QUIT: '221 Bye' }[line];
    isBody = line === 'DATA' && (answer?.startsWith('354') ?? false);
    return isKnown ? other : (answer ?? '250 2.1.0 Yes');
  };
}

async function open(server: ScriptedServer): Promise<Session> {
  const { port, caPem: ca } = server;
  const opening = await openConnection(
    { host: '127.0.0.1', port, ca, heloName: 'gateway.contoso.com' },
    { type: 'password', user: 'main@contoso.com', password: 'let me in' },
  );
  if (!opening.ok) throw new Error(JSON.stringify(opening.trouble));
  return opening.connection;
}

function aTransaction(recipients: string[], changes: Partial<Transaction> = {}): Transaction {
  const envelope = { reversePath: 'main@contoso.com', recipients };
  return { envelope, mime: MIME, beforeDot: async () => undefined, ...changes };
}

const ADA = 'ada@fabrikam.com';
const BEN = 'ben@fabrikam.com';
const smtp = (code: number, stage: string) => ({ via: 'smtp', reply: expect.objectContaining({ code, stage }) });

for (const [how, offers] of [
  ['in one write, where the server offers PIPELINING', OFFERS],
  ['step by step, where it does not', OFFERS.slice(1)],
] as const)
  describe(`a transaction ${how}`, () => {
    it('is accepted for all, and says what came back word for word', async () => {
      await using server = await startScriptedServer(saying({ '.': '250-2.0.0 Grüße\r\n250 2.0.0 Kept' }), [...offers]);
      const session = await open(server);
      const result = await runTransaction(session, aTransaction([ADA, BEN]));
      expect(result).toMatchObject({ stage: 'after-dot', accepted: [ADA, BEN], refused: [], reusable: true });
      expect(result.reply?.response).toBe('250-2.0.0 Grüße\n250 2.0.0 Kept');
      expect(server.heard).toEqual([
        `MAIL FROM:<main@contoso.com> SIZE=${MIME.length}`,
        `RCPT TO:<${ADA}>`,
        `RCPT TO:<${BEN}>`,
        'DATA',
        ...MIME.toString().split('\r\n').slice(0, -1),
        '.',
      ]);
    });

    it('is accepted for those who were not refused', async () => {
      await using server = await startScriptedServer(saying({ 'RCPT TO:<ben': '550 5.1.10 Unknown' }), [...offers]);
      const result = await runTransaction(await open(server), aTransaction([BEN, ADA]));
      expect(result).toMatchObject({ accepted: [ADA], refused: [{ address: BEN, trouble: smtp(550, 'rcpt') }] });
    });

    for (const [what, answers, stage, code] of [
      ['its sender', { MAIL: '550 5.7.60 Not yours', RCPT: '503 5.5.2 No sender', DATA: '503 5.5.2 No' }, 'mail', 550],
      ['the data', { DATA: '554 5.2.0 No' }, 'data', 554],
      ['what it was', { '.': '554 5.6.0 Malformed' }, 'after-dot', 554],
    ] as const)
      it(`leaves the connection to the next one where ${what} was refused`, async () => {
        let refusals = 1;
        const refusing = saying(answers);
        const agreeing = saying();
        const script: Script = (line, ...rest) => {
          if (line === 'RSET') refusals -= 1;
          return (refusals > 0 ? refusing : agreeing)(line, ...rest);
        };
        await using server = await startScriptedServer(script, [...offers]);
        const session = await open(server);
        const refused = await runTransaction(session, aTransaction([ADA]));
        expect(refused).toMatchObject({ stage, accepted: [], trouble: smtp(code, stage), reusable: true });
        expect(await runTransaction(session, aTransaction([BEN]))).toMatchObject({ accepted: [BEN], reusable: true });
      });

    it('is judged by the refusal that may pass, where all recipients were refused', async () => {
      const answers = {
        'RCPT TO:<ada': '450 4.2.1 Busy',
        'RCPT TO:<ben': '550 5.1.10 Unknown',
        DATA: '503 5.5.2 Nobody',
      };
      await using server = await startScriptedServer(saying(answers), [...offers]);
      const result = await runTransaction(await open(server), aTransaction([ADA, BEN]));
      expect(result).toMatchObject({ stage: 'rcpt', accepted: [], trouble: smtp(450, 'rcpt'), reusable: true });
      expect(result.refused.map(({ address }) => address)).toEqual([ADA, BEN]);
    });

    it('ends at a 421, whatever that answers, and the connection with it', async () => {
      await using server = await startScriptedServer(saying({ 'RCPT TO:<ben': '421 4.3.2 Closing' }), [...offers]);
      const session = await open(server);
      const result = await runTransaction(session, aTransaction([ADA, BEN]));
      expect(result).toMatchObject({ accepted: [], refused: [], trouble: smtp(421, 'rcpt'), reusable: false });
      expect(session.isOpen()).toBe(false);
    });

    it('is not one where the server says something that is no reply', async () => {
      await using server = await startScriptedServer(saying({ 'MAIL FROM': '<html>' }), [...offers]);
      const result = await runTransaction(await open(server), aTransaction([ADA]));
      expect(result).toMatchObject({ stage: 'mail', trouble: { via: 'client', code: 'EPROTOCOL' }, reusable: false });
    });
  });

describe('what is sent', () => {
  it.each([
    ['a line of one dot', 'A\r\n.\r\nB\r\n', 'A\r\n..\r\nB\r\n.\r\n'],
    ['a dot that begins the message', '.A\r\n', '..A\r\n.\r\n'],
    ['a dot behind a bare LF or CR', 'A\n.\rB\r.\nC\r\n', 'A\n..\rB\r..\nC\r\n.\r\n'],
    ['a last line without its end', 'A', 'A\r\n.\r\n'],
    [
      'dots at the seams of what is written at once',
      `${'x'.repeat(65_534)}\r\n.\r\n`,
      `${'x'.repeat(65_534)}\r\n..\r\n.\r\n`,
    ],
  ])('has the dots of %s doubled, and its own at the end', async (_, mime, wire) => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const result = await runTransaction(await open(server), aTransaction([ADA], { mime: Buffer.from(mime) }));
    expect(result.accepted).toEqual([ADA]);
    expect(`${server.heard.slice(3).join('\r\n')}\r\n`).toBe(wire);
  });

  it('asks for what the message needs, and only where it needs it', async () => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const session = await open(server);
    const envelope = {
      reversePath: 'main@contoso.com',
      recipients: ['ädä@fabrikam.com'],
      needs: ['SMTPUTF8'] as const,
    };
    await runTransaction(session, aTransaction([], { envelope: { ...envelope, needs: [...envelope.needs] } }));
    await runTransaction(session, aTransaction([ADA]));
    expect(server.heard.filter((line) => line.startsWith('MAIL'))).toEqual([
      `MAIL FROM:<main@contoso.com> SMTPUTF8 BODY=8BITMIME SIZE=${MIME.length}`,
      `MAIL FROM:<main@contoso.com> SIZE=${MIME.length}`,
    ]);
  });

  it.each<[string, Partial<Transaction['envelope']> & { mime?: Buffer }, string]>([
    ['an address that would be a command', { recipients: ['a@b.c>\r\nRCPT TO:<evil@x.test'] }, 'EENVELOPE'],
    ['a message over the size that the server takes', { mime: Buffer.alloc(1_000_001, 'x') }, 'EMESSAGE'],
    ['what the server does not offer', { needs: ['SMTPUTF8'] }, 'EEXTENSION'],
  ])('is nothing at all for %s', async (_, { mime = MIME, ...envelope }, code) => {
    await using server = await startScriptedServer(saying(), ['PIPELINING', 'SIZE 1000000']);
    const whole = { reversePath: 'main@contoso.com', recipients: [ADA], ...envelope };
    const result = await runTransaction(await open(server), aTransaction([], { envelope: whole, mime }));
    expect(result).toMatchObject({ stage: 'mail', trouble: { via: 'client', code }, reusable: true });
    expect(server.heard).toEqual([]);
  });
});

describe('the final dot', () => {
  it.each([1, 1_000])('is not sent without leave, and the connection is not used again (%i lines)', async (lines) => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const beforeDot = () => Promise.reject(new Error('Somebody else has it'));
    const mime = Buffer.from(`${'x'.repeat(76)}\r\n`.repeat(lines));
    const result = await runTransaction(await open(server), aTransaction([ADA], { mime, beforeDot }));
    expect(result).toMatchObject({ stage: 'data', trouble: { via: 'client', code: 'ABANDONED' }, reusable: false });
    expect(server.heard).not.toContain('.');
  });

  it('is not sent to a server that has refused the message while it arrived', async () => {
    const script: Script = (line, heard, socket) => {
      if (line.startsWith('xxx') && heard.length === 5) socket.write('552 5.3.4 Too large\r\n');
      return line === 'DATA' ? '354 Go ahead' : line.startsWith('xxx') ? undefined : '250 2.1.0 Yes';
    };
    await using server = await startScriptedServer(script, ['PIPELINING']);
    const session = await open(server);
    const beforeDot = () => eventually(async () => session.hasNews()).then(() => undefined);
    const mime = Buffer.from(`${'x'.repeat(76)}\r\n`.repeat(10_000));
    const result = await runTransaction(session, aTransaction([ADA], { mime, beforeDot }));
    expect(result).toMatchObject({ stage: 'data', accepted: [], trouble: smtp(552, 'data'), reusable: false });
    expect(server.heard).not.toContain('.');
  });

  it('leaves an outcome that nobody knows where the connection breaks behind it', async () => {
    const script: Script = (line, _, socket) => {
      if (line === '.') socket.destroy();
      return line === 'DATA' ? '354 Go ahead' : /^(MAIL|RCPT)/.test(line) ? '250 2.1.0 Yes' : undefined;
    };
    await using server = await startScriptedServer(script, OFFERS);
    const result = await runTransaction(await open(server), aTransaction([ADA]));
    expect(result).toMatchObject({ stage: 'after-dot', accepted: [], trouble: { via: 'client', stage: 'after-dot' } });
  });

  it('ends an empty message where a server takes the data for nobody', async () => {
    const answers = { RCPT: '550 5.1.10 Unknown', DATA: '354 Go ahead', '.': '554 5.5.1 No valid recipients' };
    await using server = await startScriptedServer(saying(answers), OFFERS);
    const result = await runTransaction(await open(server), aTransaction([ADA]));
    expect(result).toMatchObject({ stage: 'rcpt', accepted: [], trouble: smtp(550, 'rcpt'), reusable: true });
    expect(server.heard).toEqual([expect.stringMatching(/^MAIL/), `RCPT TO:<${ADA}>`, 'DATA', '.', 'RSET']);
  });

  it('is nobody’s where a server refuses the sender and takes the data all the same', async () => {
    const answers = { MAIL: '550 5.7.60 Not yours', RCPT: '503 5.5.2 No sender', DATA: '354 Go ahead' };
    await using server = await startScriptedServer(saying(answers), OFFERS);
    const result = await runTransaction(await open(server), aTransaction([ADA]));
    expect(result).toMatchObject({ stage: 'mail', trouble: smtp(550, 'mail'), reusable: false });
    expect(server.heard).not.toContain('.');
  });
});

/** A transaction along with whose final dot another is announced; `said` tells whether it was. */
function twoTransactions(changes: Partial<Transaction> = {}, to = [BEN]) {
  const next = aTransaction(to, changes);
  const announced = { said: false };
  const said = () => {
    announced.said = true;
  };
  const upcoming = { envelope: next.envelope, octets: next.mime.length, said };
  const first = aTransaction([ADA], { beforeDot: async () => upcoming });
  return { first, next: { ...next, isAnnounced: true }, announced };
}

const ENDED = ['Subject: Test', '', 'Hello.', '.'];
const commandsTo = (...to: string[]) => [
  `MAIL FROM:<main@contoso.com> SIZE=${MIME.length}`,
  ...to.map((address) => `RCPT TO:<${address}>`),
  'DATA',
];

describe('a transaction that is announced along with the final dot of the one before', () => {
  it('goes on from the 354, and nothing of it is said twice', async () => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const session = await open(server);
    const { first, next, announced } = twoTransactions({}, [BEN, 'carl@fabrikam.com']);
    expect(await runTransaction(session, first)).toMatchObject({ accepted: [ADA], reusable: true });
    expect(announced.said).toBe(true);
    await eventually(async () => server.heard.at(-1) === 'DATA');
    expect(session.isOpen()).toBe(true);
    const result = await runTransaction(session, next);
    expect(result).toMatchObject({ stage: 'after-dot', accepted: [BEN, 'carl@fabrikam.com'], reusable: true });
    expect(server.heard).toEqual([...commandsTo(ADA), ...ENDED, ...commandsTo(BEN, 'carl@fabrikam.com'), ...ENDED]);
    await quitConnection(session);
    expect(server.heard.at(-1)).toBe('QUIT');
  });

  it('leaves with the dot of a message that is too large for one write', async () => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const session = await open(server);
    const { first, next } = twoTransactions();
    const mime = Buffer.from(`${'x'.repeat(76)}\r\n`.repeat(1_000));
    expect(await runTransaction(session, { ...first, mime })).toMatchObject({ accepted: [ADA], reusable: true });
    expect(await runTransaction(session, next)).toMatchObject({ accepted: [BEN], reusable: true });
  });

  it('is refused for itself: one of its recipients, or all of them', async () => {
    const refusing = { 'RCPT TO:<ben': '550 5.1.10 Unknown', '.': '250 2.0.0 Kept' };
    await using server = await startScriptedServer(saying(refusing), OFFERS);
    const session = await open(server);
    for (const [to, accepted] of [
      [[BEN], []],
      [[BEN, ADA], [ADA]],
    ] as const) {
      const { first, next } = twoTransactions({}, [...to]);
      expect(await runTransaction(session, first)).toMatchObject({ accepted: [ADA], reusable: true });
      const result = await runTransaction(session, next);
      expect(result).toMatchObject({ accepted, refused: [{ address: BEN, trouble: smtp(550, 'rcpt') }] });
      expect(result.reusable).toBe(true);
    }
  });

  it('is refused for its sender, and the connection goes on', async () => {
    let senders = 0;
    const script: Script = (line) => {
      if (line.startsWith('MAIL')) senders += 1;
      if (senders === 2 && /^(MAIL|RCPT|DATA)/.test(line)) return '550 5.7.60 Not yours';
      return line === 'DATA' ? '354 Go ahead' : /^(MAIL|RCPT|RSET|\.$)/.test(line) ? '250 2.1.0 Yes' : undefined;
    };
    await using server = await startScriptedServer(script, OFFERS);
    const session = await open(server);
    const { first, next } = twoTransactions();
    expect(await runTransaction(session, first)).toMatchObject({ accepted: [ADA], reusable: true });
    const result = await runTransaction(session, next);
    expect(result).toMatchObject({ stage: 'mail', accepted: [], trouble: smtp(550, 'mail'), reusable: true });
    expect(server.heard.at(-1)).toBe('RSET');
  });

  it('is over with the connection where the one before is refused: the server may wait for its octets', async () => {
    await using server = await startScriptedServer(saying({ '.': '432 4.3.2 Too many' }), OFFERS);
    const session = await open(server);
    const { first, announced } = twoTransactions();
    const result = await runTransaction(session, first);
    expect(result).toMatchObject({
      stage: 'after-dot',
      accepted: [],
      trouble: smtp(432, 'after-dot'),
      reusable: false,
    });
    expect(announced.said).toBe(true);
    expect(session.isOpen()).toBe(false);
    await quitConnection(session);
    expect(server.heard.filter((line) => /^(RSET|QUIT)/.test(line))).toEqual([]);
  });

  it('is told of a server that goes after the one before', async () => {
    const script: Script = (line, heard, socket) => {
      if (line === '.') socket.end('250 2.0.0 Kept\r\n421 4.3.2 Going\r\n');
      return line === 'DATA'
        ? '354 Go ahead'
        : /^(MAIL|RCPT)/.test(line) && heard.length < 4
          ? '250 2.1.0 Yes'
          : undefined;
    };
    await using server = await startScriptedServer(script, OFFERS);
    const session = await open(server);
    const { first, next } = twoTransactions();
    expect(await runTransaction(session, first)).toMatchObject({ accepted: [ADA] });
    expect(await runTransaction(session, next)).toMatchObject({
      stage: 'mail',
      accepted: [],
      trouble: smtp(421, 'mail'),
      reusable: false,
    });
  });

  it.each([
    ['does not offer PIPELINING', OFFERS.slice(1), {}],
    ['does not take what it needs', ['PIPELINING'], { needs: ['SMTPUTF8' as const] }],
    ['takes less', ['PIPELINING', `SIZE ${MIME.length}`], { octets: MIME.length + 1 }],
  ])(
    'is not announced where the server %s',
    async (_, offers, { needs, octets = MIME.length }: { needs?: 'SMTPUTF8'[]; octets?: number }) => {
      await using server = await startScriptedServer(saying(), offers);
      const session = await open(server);
      let isSaid = false;
      const upcoming = {
        envelope: { reversePath: 'main@contoso.com', recipients: [BEN], ...(needs && { needs }) },
        octets,
        said: () => {
          isSaid = true;
        },
      };
      const result = await runTransaction(session, aTransaction([ADA], { beforeDot: async () => upcoming }));
      expect(result).toMatchObject({ accepted: [ADA], reusable: true });
      expect(isSaid).toBe(false);
      expect(server.heard.at(-1)).toBe('.');
    },
  );

  it('is not asked to quit while the server waits for its octets', async () => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const session = await open(server);
    await runTransaction(session, twoTransactions().first);
    await quitConnection(session);
    expect(session.isOpen()).toBe(false);
    expect(server.heard).not.toContain('QUIT');
  });
});

describe('a session', () => {
  it('is not open any more where the server says goodbye while nothing is asked', async () => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const session = await open(server);
    expect(session.isOpen()).toBe(true);
    server.blurt('421 4.4.2 Timeout\r\n');
    await eventually(async () => !session.isOpen());
    await quitConnection(session);
    expect(server.heard).toEqual([]);
  });

  it('takes a refusal at its word although the server hung up in the middle of the line', async () => {
    const script: Script = (line, _, socket) => {
      if (line.startsWith('MAIL')) socket.end('550 5.7.60 Not you');
      return undefined;
    };
    await using server = await startScriptedServer(script, ['8BITMIME']);
    const result = await runTransaction(await open(server), aTransaction([ADA]));
    expect(result).toMatchObject({ stage: 'mail', trouble: smtp(550, 'mail'), reusable: false });
  });

  it('is given up where a reply has no end', async () => {
    const script: Script = (line) => (line.startsWith('MAIL') ? '250-more\r\n'.repeat(20_000) : undefined);
    await using server = await startScriptedServer(script, OFFERS);
    const result = await runTransaction(await open(server), aTransaction([ADA]));
    expect(result).toMatchObject({ stage: 'mail', trouble: { via: 'client', code: 'EPROTOCOL' }, reusable: false });
  });

  it('says QUIT and is gone', async () => {
    await using server = await startScriptedServer(saying(), OFFERS);
    const session = await open(server);
    await quitConnection(session);
    expect(server.heard).toEqual(['QUIT']);
    expect(session.isOpen()).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { JUDGEMENTS, judgementOf } from '../../src/failure/catalogue.ts';
import { EXCEPTIONS } from '../../src/failure/catalogue-exceptions.ts';
import { recogniseReply, recogniseTrouble } from '../../src/failure/classify.ts';
import { CODES } from '../../src/failure/codes.ts';
import { CATEGORIES, type Trouble } from '../../src/failure/failure.ts';
import { exampleOf, KNOWN_REPLIES, type KnownReply } from '../../src/failure/replies.ts';
import { lettersOf } from '../../src/failure/wording.ts';
import { parseReply, type Stage } from '../../src/mail/reply.ts';

function stageOf({ stage }: KnownReply): Stage {
  return stage === 'report' ? 'after-dot' : stage;
}

/** The example as the gateway would meet it. */
function troubleOf(known: KnownReply): Trouble {
  if (known.via === 'token') {
    const [, status] = /^HTTP (\d+)/.exec(known.example) ?? [];
    if (status) return { via: 'token', httpStatus: Number(status) };
    const space = known.example.indexOf(' ');
    return {
      via: 'token',
      httpStatus: 400,
      error: known.example.slice(0, space),
      description: known.example.slice(space + 1),
    };
  }
  if (known.via === 'client') {
    const [, code, command, message] =
      /^(\w+) (CONN|API|MAIL FROM|STARTTLS|AUTH XOAUTH2)? ?(.*)$/.exec(known.example) ?? [];
    return {
      via: 'client',
      ...(code && { code }),
      ...(command && { command }),
      message: message ?? '',
      stage: stageOf(known),
    };
  }
  const reply = parseReply(known.example, stageOf(known), /^\d/.test(known.example) ? undefined : 550);
  if (!reply) throw new Error(`${known.id} does not begin with a reply code`);
  return { via: 'smtp', reply, ...(known.when && { mechanism: known.when }) };
}

function winnerOf(known: KnownReply): string | undefined {
  const trouble = troubleOf(known);
  if (known.via === 'ndr' && trouble.via === 'smtp') return recogniseReply(trouble.reply, 'ndr', undefined)?.known.id;
  return recogniseTrouble(trouble)?.known.id;
}

describe('the lists of what is said', () => {
  it.each(KNOWN_REPLIES.filter((known) => !known.quotesAnother).map((known) => [known.id, known] as const))(
    '%s is recognised by its own example',
    (id, known) => {
      expect(winnerOf(known)).toBe(id);
    },
  );

  it.each(KNOWN_REPLIES.filter((known) => known.quotesAnother).map((known) => [known.id, known] as const))(
    '%s is seen through to the reply that it quotes',
    (id, known) => {
      const winner = winnerOf(known);
      expect(winner).toBeDefined();
      expect(winner).not.toBe(id);
    },
  );

  it('have no name twice', () => {
    const ids = KNOWN_REPLIES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('hand out their examples by name', () => {
    expect(exampleOf('data-432-4.3.2-concurrent')).toContain('Concurrent connections limit exceeded');
    expect(() => exampleOf('no-such-entry' as never)).toThrow('no-such-entry');
  });

  it('settle nothing by a phrase so short that it could stand anywhere', () => {
    const short = KNOWN_REPLIES.flatMap(({ id, says = [] }) =>
      says.filter((sentence) => lettersOf(sentence).length < 12).map((sentence) => `${id}: ${sentence}`),
    );
    expect(short).toEqual([]);
  });

  it('contain no regular expression and no judgement, only words', () => {
    const allowed = new Set([
      ...['id', 'via', 'stage', 'code', 'codes', 'words', 'says', 'beside', 'sentenceNeeded', 'onlyHere'],
      ...['quotesAnother', 'when', 'example', 'source', 'certainty'],
    ]);
    for (const known of KNOWN_REPLIES) {
      expect(Object.keys(known).filter((key) => !allowed.has(key))).toEqual([]);
      for (const value of Object.values(known).flat()) expect(['string', 'boolean']).toContain(typeof value);
    }
  });

  it('name a public source for each entry', () => {
    for (const { id, source } of KNOWN_REPLIES) {
      expect(source.length, id).toBeGreaterThan(5);
      expect(source, id).not.toMatch(/\bids? \d/);
    }
  });

  it('give every pattern of codes a readable form', () => {
    for (const { id, codes = [] } of KNOWN_REPLIES)
      for (const pattern of codes)
        expect(pattern, id).toMatch(/^(?:[\dx]{3})?(?: ?[\dx]\.[\dx]{1,3}\.(?:[\dx]{1,3}|\d{1,3}-\d{1,3}))?$/);
  });
});

describe('our judgement of them', () => {
  const used = new Set<string>(KNOWN_REPLIES.map(({ code }) => code));

  it.each(CODES.map((code) => [code]))('%s has a judgement, and an entry that needs it', (code) => {
    expect(JUDGEMENTS[code].category in CATEGORIES).toBe(true);
    expect(used.has(code)).toBe(true);
  });

  it('makes no exception for an entry that does not exist', () => {
    const ids = new Set<string>(KNOWN_REPLIES.map(({ id }) => id));
    expect(Object.keys(EXCEPTIONS).filter((id) => !ids.has(id))).toEqual([]);
  });

  it('says in each exception only what differs from the class', () => {
    for (const { id, code } of KNOWN_REPLIES) {
      const exception = (EXCEPTIONS as Record<string, Record<string, string>>)[id] ?? {};
      for (const [key, value] of Object.entries(exception))
        expect(value, `${id}.${key}`).not.toBe((JUDGEMENTS[code] as Record<string, string>)[key]);
    }
  });

  it('is told in whole sentences, each summary in one', () => {
    for (const { id, code } of KNOWN_REPLIES) {
      const { summary, remedy } = judgementOf(code, id);
      for (const text of [summary, remedy]) expect(text, id).toMatch(/^[A-Z“].*\.$/s);
      expect(summary.match(/[.!?] [A-Z]/), id).toBeNull();
      expect(summary.length, id).toBeLessThan(190);
    }
  });

  it('prints only cmdlets that Microsoft documents', () => {
    const documented = ['Set-CASMailbox', 'Set-Mailbox', 'Add-MailboxPermission', 'Add-RecipientPermission'];
    const known = new Set([...documented, 'New-ServicePrincipal', 'Add-HVEAppAccess']);
    for (const { id, code } of KNOWN_REPLIES) {
      const { remedy } = judgementOf(code, id);
      for (const [cmdlet] of remedy.matchAll(/\b(?:Set|Add|New|Get|Remove|Enable|Test)-[A-Z]\w+/g))
        expect(known.has(cmdlet), cmdlet).toBe(true);
    }
  });

  it('links only to Microsoft', () => {
    for (const { id, code } of KNOWN_REPLIES) {
      const { docsUrl } = judgementOf(code, id);
      if (docsUrl) expect(docsUrl).toMatch(/^https:\/\/(?:aka\.ms|learn\.microsoft\.com)\//);
    }
  });

  it('gives up for good only where neither waiting nor fixing cures', () => {
    const final = CODES.filter((code) => JUDGEMENTS[code].plan === 'never');
    for (const code of final) expect(['message', 'recipient']).toContain(JUDGEMENTS[code].scope);
  });
});

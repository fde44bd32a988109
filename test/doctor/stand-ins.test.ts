import { describe, expect, test } from 'vitest';
import { examine } from '../../src/doctor/examine.ts';
import type { Patient } from '../../src/doctor/patient.ts';
import type { Conversation, Dialed, DoctorTools, Heard, Secured } from '../../src/doctor/tools.ts';
import type { Step } from '../../src/gateway/examination.ts';
import { parseReply, type Stage } from '../../src/mail/reply.ts';

// What cannot be played on one machine: Microsoft's own name, networks without a route, a far clock.

const NOW = new Date('2026-11-23T12:00:00Z');
const PATIENT: Patient = {
  id: 'main',
  address: 'billing@contoso.example',
  from: ['billing@contoso.example'],
  login: { type: 'password' },
  smtp: { host: 'smtp.office365.com', port: 587, heloName: 'mail.contoso.com' },
  shares: [{ id: 'main', connections: 3, messagesPerMinute: 30 }],
};

const says = (stage: Stage, response: string): Promise<Heard> => {
  const reply = parseReply(response, stage);
  if (!reply) throw new Error(`No reply: ${response}`);
  return Promise.resolve({ ok: true, reply });
};

function certificateOf(issuer: string, untrusted?: { code: string; message: string }): Secured {
  const validTo = new Date('2027-06-01T00:00:00Z');
  const own = { subject: 'outlook.com', issuer, names: ['*.office365.com'], validFrom: NOW, validTo };
  return {
    ok: true,
    version: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    chain: [own],
    ...(untrusted && { untrusted }),
  };
}

function conversation(secured: Secured): Conversation {
  let isSecure = false;
  return {
    greeting: () => says('greeting', '220 outlook.office365.com Microsoft ESMTP MAIL Service ready'),
    hello: () => says('ehlo', `250-outlook.office365.com Hello\n250 ${isSecure ? 'AUTH LOGIN XOAUTH2' : 'STARTTLS'}`),
    startTls: () => says('tls', '220 2.0.0 SMTP server ready'),
    secure: async () => {
      isSecure = true;
      return secured;
    },
    logIn: () => says('auth', '235 2.7.0 Authentication successful'),
    mail: () => says('mail', '250 2.1.0 Sender OK'),
    reset: () => says('mail', '250 2.0.0 Resetting'),
    submit: () => says('after-dot', '250 2.0.0 OK'),
    quit: async () => undefined,
  };
}

const MICROSOFTS = certificateOf('DigiCert Cloud Services CA-1 (DigiCert Inc)');

function toolsWith(change: Partial<DoctorTools> = {}, secured = MICROSOFTS): DoctorTools {
  return {
    now: () => NOW,
    clock: async () => ({ ok: true, aheadMilliseconds: 0 }),
    addresses: async () => ({ ok: true, ipv4: ['192.0.2.1'], ipv6: ['2001:db8::1'] }),
    txt: async () => ({ kind: 'none' }),
    cname: async () => ({ kind: 'none' }),
    dial: async () => ({ ok: true, conversation: conversation(secured) }),
    token: async () => ({ ok: true, token: 'opaque' }),
    testMessage: async () => Buffer.from(''),
    redact: (text) => text,
    ...change,
  };
}

async function examined(tools: DoctorTools, patient = PATIENT, signal?: AbortSignal): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const step of examine(patient, tools, { signal })) steps.push(step);
  return steps;
}
const troubles = (steps: Step[]) =>
  steps
    .filter(({ status, id }) => (status === 'warn' || status === 'fail') && id !== 'loginMethod')
    .map(({ id, status }) => `${id} ${status}`);
const statusOf = (steps: Step[], id: string) => steps.find((step) => step.id === id)?.status;

describe('the certificate of smtp.office365.com', () => {
  test('is right when Microsoft’s issuer issued it', async () => {
    expect(troubles(await examined(toolsWith()))).toEqual([]);
  });

  test('is a proxy’s when somebody else did, even where this host trusts it', async () => {
    const steps = await examined(toolsWith({}, certificateOf('Contoso Web Gateway CA')));
    expect(troubles(steps)).toEqual(['certificate warn']);
    expect(steps.find(({ id }) => id === 'certificate')?.finding).toContain('Contoso Web Gateway CA');
  });

  test('from an unknown authority names it, and how to trust it', async () => {
    const untrusted = { code: 'SELF_SIGNED_CERT_IN_CHAIN', message: 'self-signed certificate in certificate chain' };
    const steps = await examined(toolsWith({}, certificateOf('Contoso Web Gateway CA', untrusted)));
    expect(troubles(steps)).toEqual(['certificate fail']);
    expect(steps.find(({ id }) => id === 'certificate')?.remedy).toMatch(/“Contoso Web Gateway CA”.*M365_SMTP_CA_FILE/);
  });
});

describe('two address families', () => {
  const failing = (message: string): Dialed => ({
    ok: false,
    trouble: { via: 'client', code: 'ESOCKET', message, stage: 'connect' },
  });
  const dialing = (ipv4: Dialed, ipv6: Dialed) =>
    toolsWith({ dial: async (address) => (address.includes(':') ? ipv6 : ipv4) });
  const good = (): Dialed => ({ ok: true, conversation: conversation(MICROSOFTS) });

  test('a host without IPv6 is no fault', async () => {
    const steps = await examined(dialing(good(), failing('connect ENETUNREACH 2001:db8::1:587')));
    expect(troubles(steps)).toEqual([]);
    expect(statusOf(steps, 'tcpIpv6')).toBe('skipped');
  });

  test('IPv6 that goes nowhere is warned of, and the other way about', async () => {
    const lost = failing('Connection timeout');
    expect(troubles(await examined(dialing(good(), lost)))).toEqual(['tcpIpv6 warn']);
    expect(troubles(await examined(dialing(lost, good())))).toEqual(['tcpIpv4 warn']);
  });

  test('both failing is a fault, and what builds on them is skipped', async () => {
    const lost = failing('Connection timeout');
    const steps = await examined(dialing(lost, lost));
    expect(troubles(steps)).toEqual(['tcpIpv4 fail', 'tcpIpv6 fail']);
    expect(statusOf(steps, 'banner')).toBe('skipped');
    expect(statusOf(steps, 'auth')).toBe('skipped');
  });
});

test('an opaque token is used without being read', async () => {
  const login = { type: 'clientCredentials', proof: 'secret', tenantId: 'contoso.com', scope: 's' } as const;
  const steps = await examined(toolsWith(), { ...PATIENT, login });
  expect(statusOf(steps, 'tokenClaims')).toBe('skipped');
  expect(statusOf(steps, 'auth')).toBe('ok');
});

test('a fault of the doctor’s own does not end the examination', async () => {
  const steps = await examined(toolsWith({ addresses: () => Promise.reject(new Error('odd')) }));
  expect(steps.find(({ id }) => id === 'dns')?.finding).toContain('odd');
  expect(steps.at(-1)?.id).toBe('dmarc');
});

test('an examination that nobody waits for any more ends, and hangs up', async () => {
  const leaving = new AbortController();
  let hungUp = false;
  const dialed = conversation(MICROSOFTS);
  const hello = async () => {
    leaving.abort();
    return dialed.hello();
  };
  const quit = async () => {
    hungUp = true;
  };
  const dial = async (): Promise<Dialed> => ({ ok: true, conversation: { ...dialed, hello, quit } });
  const steps = await examined(toolsWith({ dial }), PATIENT, leaving.signal);
  expect(steps.at(-1)?.id).toBe('ehlo');
  expect(hungUp).toBe(true);
});

import type { ConnectionOptions } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { expect, test } from 'vitest';
import { type CertificateOptions, makeCertificate } from '../../src/sandbox/certificate.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;

/** The error code a careful client ends with, or `connected`. */
async function outcome(made: CertificateOptions, tls: ConnectionOptions = {}): Promise<string | undefined> {
  const certificate = await makeCertificate(made);
  await using sandbox = await startSandbox({ certificate });
  const client = new SMTPConnection({
    ...sandbox.smtp,
    name: 'client.example',
    requireTLS: true,
    tls: { ca: sandbox.caPem, ...tls },
  });
  const ended = await new Promise<string | undefined>((resolve) => {
    client.once('error', (error: { originalCode?: string; code?: string; cause?: { code?: string } }) =>
      resolve(error.originalCode ?? error.cause?.code ?? error.code),
    );
    client.connect(() => resolve('connected'));
  });
  client.close();
  return ended;
}

test('a fresh certificate is good for localhost and 127.0.0.1', async () => {
  expect(await outcome({})).toBe('connected');
});

test('an expired, an early, a foreign and an unknown one are refused by a careful client', async () => {
  const past = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  expect(await outcome(past)).toBe('CERT_HAS_EXPIRED');
  const future = { notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 2 * DAY_MS) };
  expect(await outcome(future)).toBe('CERT_NOT_YET_VALID');
  expect(await outcome({ names: ['smtp.contoso.example'] })).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  expect(await outcome({}, { ca: (await makeCertificate()).caPem })).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
});

test('nothing older than TLS 1.2 is spoken', async () => {
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  expect(await outcome({}, old)).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
});

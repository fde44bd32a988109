import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { makeFolder } from './make-folder.ts';
import { makeCertificate } from './sandbox/certificate.ts';
import { type Sandbox, startSandbox } from './sandbox/sandbox.ts';
import { StartupError } from './startup-error.ts';
import type { Stop } from './stop-signals.ts';

/**
 * Runs only the stand-in for Microsoft 365, until it is told to stop. It reads the names that the gateway reads, and is
 * what they say; what is absent it chooses and prints, ready to be given to a gateway.
 */
export async function startSandboxAlone(stop: Stop): Promise<void> {
  const env = (name: string) => process.env[name]?.trim() || undefined;
  const caFile = resolve(env('M365_SMTP_CA_FILE') ?? '.postroom/sandbox-ca.pem');
  const names = [...new Set(['localhost', '127.0.0.1', '::1', env('M365_SMTP_HOST') ?? 'localhost'])];
  const certificate = await makeCertificate({ names });
  writeTrust(caFile, certificate.caPem);
  const sandbox = await listening(() =>
    startSandbox({
      certificate,
      host: env('HOST') ?? '127.0.0.1',
      httpPort: port('POSTROOM_SANDBOX_PORT', env('POSTROOM_SANDBOX_PORT'), 3001),
      smtpPort: port('M365_SMTP_PORT', env('M365_SMTP_PORT'), 2587),
      mailboxes: [
        {
          address: env('M365_MAILBOX') ?? 'sender@postroom.example',
          password: env('M365_PASSWORD') ?? 'a-password-for-the-sandbox',
        },
      ],
      ...present('tenantId', env('M365_TENANT_ID')),
      ...present('clientId', env('M365_CLIENT_ID')),
      ...present('clientSecret', env('M365_CLIENT_SECRET')),
      clientCertificates: clientCertificates(env('M365_CLIENT_CERTIFICATE_FILE')),
    }),
  );
  stop.leadsTo({ close: async () => sandbox[Symbol.asyncDispose](), withinSeconds: 10 });
  tellPerson(sandbox, caFile);
}

function present<Name extends string>(name: Name, value: string | undefined): { [key in Name]?: string } {
  return (value ? { [name]: value } : {}) as { [key in Name]?: string };
}

/** What the gateway proves itself with, as registered with the application: the certificates of its file, not the key. */
function clientCertificates(path: string | undefined): string[] {
  if (!path) return [];
  try {
    const pem = readFileSync(path, 'utf8');
    return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  } catch (error) {
    throw new StartupError(`M365_CLIENT_CERTIFICATE_FILE cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function port(name: string, value: string | undefined, usual: number): number {
  if (value === undefined) return usual;
  if (/^\d{1,5}$/.test(value) && Number(value) < 65_536) return Number(value);
  throw new StartupError(`${name} must be a whole number from 0 to 65535.`);
}

/** Before the certificate in its file: by this the sandbox knows what it may write over. */
const OURS = 'The certificate of a Postroom sandbox, made anew at every start.';

/** Written before anything answers: whoever waits for the sandbox finds what to trust. */
function writeTrust(path: string, pem: string): void {
  try {
    makeFolder(dirname(path));
    if (existsSync(path) && !readFileSync(path, 'utf8').startsWith(OURS))
      throw new Error(`${path} is not the sandbox's, and is not overwritten; name another M365_SMTP_CA_FILE`);
    writeFileSync(path, `${OURS}\n${pem}`);
  } catch (error) {
    throw new StartupError(`The sandbox's certificate cannot be written: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function listening(start: () => Promise<Sandbox>): Promise<Sandbox> {
  try {
    return await start();
  } catch (error) {
    const { code, port: taken } = error as NodeJS.ErrnoException & { port?: number };
    if (code !== 'EADDRINUSE') throw error;
    throw new StartupError(`Port ${taken} is in use. Set POSTROOM_SANDBOX_PORT or M365_SMTP_PORT to another one.`);
  }
}

function tellPerson({ http, smtp, authority, mailboxes, tenantId, clientId, clientSecret }: Sandbox, caFile: string) {
  console.log(`
The Postroom sandbox stands in for Microsoft 365. Nothing leaves this machine.
  Inbox   ${http.url}

For a gateway:

M365_MAILBOX=${mailboxes[0]?.address}
M365_SMTP_HOST=${smtp.host}
M365_SMTP_PORT=${smtp.port}
M365_SMTP_CA_FILE=${caFile}
M365_AUTHORITY=${authority}
M365_TENANT_ID=${tenantId}
M365_CLIENT_ID=${clientId}
M365_CLIENT_SECRET=${clientSecret}
# or, instead of the last four, M365_PASSWORD=${mailboxes[0]?.password}
`);
}

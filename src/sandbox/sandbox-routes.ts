import { type BehaviourChange, type Departures, readBehaviourChange, type TokenRule } from './behaviour.ts';
import type { Entra, TokenAnswer } from './entra.ts';
import { type Inbox, parseMessage, type StoredMessage } from './inbox.ts';
import { inboxPage, messagePage, missingPage, PAGE_POLICY, scenariosPage } from './inbox-page.ts';
import { scenarioTable } from './scenarios.ts';
import type { Counters, SandboxStats } from './stats.ts';
import { json, problem, type Routes, type WebAnswer, type WebRequest } from './web.ts';

export interface RoutesOptions {
  inbox: Inbox;
  entra: Entra;
  departures: Departures;
  counters: Counters;
  stats: () => SandboxStats;
  behave: (change: BehaviourChange) => void;
  authority: () => string;
}

/** The sandbox's web side: the inbox to look at, the API for tests, and Entra's two addresses. */
export function sandboxRoutes(options: RoutesOptions): Routes {
  const { inbox, departures } = options;
  return {
    'GET /': () => html(200, inboxPage(inbox.messages())),
    'GET /scenarios': () => html(200, scenariosPage(scenarioTable())),
    'GET /messages/:number': async ({ parameters }) => {
      const message = find(inbox, parameters);
      return message ? html(200, messagePage(message, await parse(message))) : html(404, missingPage());
    },

    'GET /api/messages': () => json(200, { messages: inbox.messages().map(summary) }),
    'DELETE /api/messages': async () => {
      await inbox.clear();
      return { status: 204 };
    },
    'GET /api/messages/:number': async ({ parameters }) => {
      const message = find(inbox, parameters);
      return message ? json(200, await details(message)) : problem(404, 'There is no such message.');
    },
    'GET /api/messages/:number/raw': ({ parameters }) => {
      const message = find(inbox, parameters);
      return message ? rawMessage(message) : problem(404, 'There is no such message.');
    },
    'GET /api/scenarios': () => json(200, { scenarios: scenarioTable() }),
    'GET /api/stats': () => json(200, options.stats()),
    'GET /api/behaviour': () => json(200, departures.current),
    'PUT /api/behaviour': (request) => changeBehaviour(request, options),

    'GET /:tenant/oauth2/v2.0/token': () => atEntrasTime(onlyPost(), options),
    'POST /:tenant/oauth2/v2.0/token': (request) => atEntrasTime(token(request, options), options),
    'GET /:tenant/v2.0/.well-known/openid-configuration': ({ parameters }) =>
      atEntrasTime(discovery(parameters, options), options),
    'GET /:tenant/discovery/v2.0/keys': () => json(200, { keys: [] }),
  };
}

function html(status: number, body: string): WebAnswer {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY },
    body,
  };
}

function find(inbox: Inbox, { number }: Record<string, string>): StoredMessage | undefined {
  return /^\d{1,15}$/.test(number ?? '') ? inbox.find(Number(number)) : undefined;
}

async function parse(message: StoredMessage): ReturnType<typeof parseMessage> {
  return await parseMessage(message.raw);
}

function summary({ raw, ...described }: StoredMessage): object {
  return { ...described, bytes: raw.length };
}

async function details(message: StoredMessage): Promise<object> {
  const email = await parse(message);
  if (!email) return summary(message);
  const attachments = email.attachments.map(({ content, ...described }) => ({
    ...described,
    bytes: typeof content === 'string' ? content.length : content.byteLength,
  }));
  return { ...summary(message), headers: email.headers, text: email.text, html: email.html, attachments };
}

/** As plain text and not as message/rfc822, which browsers would save and mail programs open. */
function rawMessage({ raw, number }: StoredMessage): WebAnswer {
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'content-disposition': `inline; filename="${number}.eml.txt"`,
    'content-security-policy': PAGE_POLICY,
  };
  return { status: 200, headers, body: raw };
}

/** JSON only: a form on a foreign page cannot send that without the browser asking first. */
function changeBehaviour({ headers, body }: WebRequest, { behave, departures }: RoutesOptions): WebAnswer {
  if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) return problem(415, 'Send application/json.');
  const value = parseJson(body);
  if (value === undefined) return problem(400, 'The body is not JSON.');
  const read = readBehaviourChange(value);
  if ('fault' in read) return problem(422, read.fault);
  behave(read.change);
  return json(200, departures.current);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** In Entra’s words, as seen in 2026. */
function onlyPost(): WebAnswer {
  const description = 'AADSTS900561: The endpoint only accepts POST requests. Received a GET request.';
  return json(400, { error: 'invalid_request', error_description: description, error_codes: [900561] });
}

/** Entra's answers tell its own time, which may be made to differ from ours. */
function atEntrasTime(answer: WebAnswer, { departures }: RoutesOptions): WebAnswer {
  const ahead = departures.current.entra?.clockAheadSeconds;
  if (ahead === undefined) return answer;
  const date = new Date(Date.now() + ahead * 1_000).toUTCString();
  return { ...answer, headers: { ...answer.headers, date } };
}

function token({ parameters, headers, body }: WebRequest, options: RoutesOptions): WebAnswer {
  const { counters, departures, entra } = options;
  counters.tokenRequests += 1;
  const rule = departures.takeToken();
  const ordinary = (): TokenAnswer => {
    const { tenant = '' } = parameters;
    const answer = entra.issue({
      tenant,
      form: new URLSearchParams(body.toString('utf8')),
      authorization: headers.authorization,
      url: `http://${headers.host}/${tenant}/oauth2/v2.0/token`,
    });
    if (answer.status === 200) counters.tokensIssued += 1;
    return answer;
  };
  return rule ? tokenByRule(rule, entra, ordinary) : ordinary();
}

function tokenByRule(rule: TokenRule, entra: Entra, ordinary: () => TokenAnswer): WebAnswer {
  const departure = {
    ...(rule.delayMs && { delayMs: rule.delayMs }),
    ...(rule.afterwards && { afterwards: rule.afterwards }),
  };
  const retryAfter = rule.retryAfterSeconds === undefined ? {} : { 'retry-after': String(rule.retryAfterSeconds) };
  const answer = tokenWords(rule, entra) ?? ordinary();
  const status = rule.status ?? answer.status;
  return { ...answer, status, headers: { ...answer.headers, ...retryAfter }, ...departure };
}

/** A body of the rule's own, an Entra error by number, or the HTML page of an overloaded front end. */
function tokenWords({ body, code, status }: TokenRule, entra: Entra): WebAnswer | undefined {
  if (body !== undefined) return { status: 200, headers: { 'content-type': contentType(body) }, body };
  if (code !== undefined) return entra.failure(code) ?? problem(400, `No known reply has AADSTS${code}.`);
  if (status === undefined) return undefined;
  return {
    status,
    headers: { 'content-type': 'text/html' },
    body: `<html><body><h2>HTTP ${status}</h2></body></html>`,
  };
}

function contentType(body: string): string {
  return body.trimStart().startsWith('{') ? 'application/json; charset=utf-8' : 'text/html';
}

/** OpenID Connect Discovery 1.0 §3, as far as a client-credentials client reads it. */
function discovery({ tenant = '' }: Record<string, string>, { authority, entra }: RoutesOptions): WebAnswer {
  if (tenant.toLowerCase() !== entra.tenantId) return problem(400, 'AADSTS90002: Tenant not found.');
  const base = `${authority()}/${tenant}`;
  return json(200, {
    issuer: `${base}/v2.0`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'private_key_jwt'],
    response_types_supported: ['code'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
  });
}

import type { Address, Attachment, Email } from 'postal-mime';
import type { StoredMessage } from './inbox.ts';
import type { ScenarioRow } from './scenarios.ts';

/**
 * For every page. No script at all; styles inline, because the HTML of a message is shown in a frame that inherits this
 * policy; pictures only from the message itself, so that opening one tells nobody.
 */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The list refreshes itself, in seconds, without a script. */
const REFRESH_SECONDS = 4;

const STYLE = `
:root{color-scheme:light dark;--line:light-dark(#d8dde3,#3a4048);--soft:light-dark(#f4f6f8,#1d2126);--dim:light-dark(#59636e,#9aa4af);--link:light-dark(#0550ae,#79b8ff)}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif}
header,main{max-width:60rem;margin:0 auto;padding:0 1rem}
.notice{background:#7a3e00;color:#fff;padding:.5rem 1rem;text-align:center}
header{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;align-items:baseline;padding-block:.75rem}
h1{font-size:1.15rem;margin:0}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
a[aria-current]{color:inherit;font-weight:600}
ul{list-style:none;margin:0;padding:0;border-top:1px solid var(--line)}
li{border-bottom:1px solid var(--line)}
li a{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0 1rem;padding:.6rem .25rem;color:inherit}
li a:hover{background:var(--soft);text-decoration:none}
.subject{font-weight:600;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.who{grid-column:1/-1;color:var(--dim);overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
time,.dim{color:var(--dim);font-size:.9em}
dl{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.15rem 1rem;margin:1rem 0}
dt{color:var(--dim)}
dd{margin:0;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:1rem 0 0;overflow-wrap:anywhere}
h3{font-size:.95rem;margin:1.25rem 0 .35rem;color:var(--dim)}
iframe{width:100%;height:26rem;border:1px solid var(--line);background:#fff;color-scheme:light}
pre{background:var(--soft);border:1px solid var(--line);padding:.75rem;margin:0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:26rem;overflow:auto}
.table{overflow-x:auto}
table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid var(--line);padding:.4rem .75rem .4rem 0;text-align:left;vertical-align:top}
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}
td:first-child code{white-space:nowrap}
@media(max-width:40rem){li a{grid-template-columns:minmax(0,1fr)}tr{display:block;border-bottom:1px solid var(--line);padding:.4rem 0}td{display:block;border:0;padding:0}th{display:none}}
`;

/** Text that may hold anything, made harmless in HTML text and in quoted attributes. */
function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

type Tab = 'inbox' | 'scenarios' | 'message';

function page(title: string, tab: Tab, content: string): string {
  const refresh = tab === 'inbox' ? `<meta http-equiv="refresh" content="${REFRESH_SECONDS}">` : '';
  const link = (to: string, name: string, of: Tab) =>
    `<a href="${to}"${of === tab ? ' aria-current="page"' : ''}>${name}</a>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">${refresh}
<title>${escapeHtml(title)} · Postroom sandbox</title><style>${STYLE}</style></head>
<body><div class="notice">This is the Postroom sandbox, not Microsoft 365. Nothing left this machine.</div>
<header><h1>Postroom sandbox</h1><nav>${link('/', 'Inbox', 'inbox')} · ${link('/scenarios', 'Replies you can ask for', 'scenarios')}</nav></header>
<main>${content}</main></body></html>
`;
}

/** The list, newest first. */
export function inboxPage(messages: readonly StoredMessage[]): string {
  if (messages.length === 0)
    return page('Inbox', 'inbox', '<p class="dim">No mail yet. It will appear here by itself.</p>');
  const items = messages.toReversed().map(listItem).join('\n');
  return page(`Inbox (${messages.length})`, 'inbox', `<ul>${items}</ul>`);
}

function listItem({ number, subject, from, envelope, receivedAt }: StoredMessage): string {
  return `<li><a href="/messages/${number}"><span class="subject">${escapeHtml(subject || '(no subject)')}</span>${time(receivedAt)}<span class="who">${escapeHtml(from)} → ${escapeHtml(envelope.recipients.join(', '))}</span></a></li>`;
}

function time(at: string): string {
  return `<time datetime="${escapeHtml(at)}">${escapeHtml(at.slice(0, 19).replace('T', ' '))} UTC</time>`;
}

/** One message. @param email undefined if it could not be taken apart */
export function messagePage(message: StoredMessage, email: Email | undefined): string {
  const rows: [string, string][] = [
    ['From', email?.from ? named([email.from]) : message.from],
    ['To', email ? named([...(email.to ?? []), ...(email.cc ?? [])]) : message.to.join(', ')],
    ['Envelope', `${message.envelope.reversePath || '<>'} → ${message.envelope.recipients.join(', ')}`],
    ['Mailbox', message.mailbox],
    ['Message-ID', message.messageId],
  ];
  const fields = rows.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join('');
  const raw = `<a href="/api/messages/${message.number}/raw">${message.raw.length.toLocaleString('en')} bytes as received</a>`;
  const head = `<h2>${escapeHtml(message.subject || '(no subject)')}</h2><dl>${fields}<dt>Received</dt><dd>${time(message.receivedAt)} · ${raw}</dd></dl>`;
  return page(
    message.subject,
    'message',
    head + (email ? bodies(email) : '<p>Its MIME structure could not be read.</p>'),
  );
}

/** `Jane Doe <jane@contoso.com>`, as the header has it. */
function named(addresses: Address[]): string {
  const mailboxes = addresses.flatMap((entry) => entry.group ?? [entry]);
  return mailboxes.map(({ name, address }) => (name ? `${name} <${address}>` : address)).join(', ');
}

function bodies({ html, text, attachments }: Email): string {
  const parts: string[] = [];
  if (html) parts.push(`<h3>HTML</h3>${frame(html, attachments)}`);
  if (text) parts.push(`<h3>Text</h3><pre>${escapeHtml(text)}</pre>`);
  if (attachments.length > 0) parts.push(`<h3>Attachments</h3><ul>${attachments.map(attachmentItem).join('')}</ul>`);
  return parts.join('');
}

/** `sandbox` without a word allows nothing: no script, no form, no pop-up, no navigation, an origin of its own. */
function frame(html: string, attachments: Attachment[]): string {
  return `<iframe sandbox title="HTML body" srcdoc="${escapeHtml(withPictures(html, attachments))}"></iframe>`;
}

/** Pictures that the message brings along (`cid:`, RFC 2392) become data URLs. */
function withPictures(html: string, attachments: Attachment[]): string {
  const pictures = new Map(
    attachments
      .filter(({ contentId, mimeType }) => contentId && /^image\/(png|jpeg|gif|webp)$/.test(mimeType))
      .map((attachment) => [attachment.contentId?.replace(/^<|>$/g, ''), attachment]),
  );
  return html.replace(/cid:([^"'\s)>]{1,256})/gi, (url, id: string) => {
    const picture = pictures.get(id);
    return picture ? `data:${picture.mimeType};base64,${bytesOf(picture).toString('base64')}` : url;
  });
}

function bytesOf({ content }: Attachment): Buffer {
  return typeof content === 'string' ? Buffer.from(content, 'base64') : Buffer.from(content as Uint8Array);
}

function attachmentItem(attachment: Attachment): string {
  const { filename, mimeType } = attachment;
  const size = bytesOf(attachment).length.toLocaleString('en');
  return `<li>${escapeHtml(filename ?? '(no name)')} <span class="dim">${escapeHtml(mimeType)}, ${size} bytes</span></li>`;
}

/** What an address can ask for. */
export function scenariosPage(rows: ScenarioRow[]): string {
  const table = (by: ScenarioRow['by'], title: string) =>
    `<h3>${title}</h3><div class="table"><table><tr><th>Address</th><th>What happens</th></tr>${rows
      .filter((row) => row.by === by)
      .map(scenarioRow)
      .join('')}</table></div>`;
  return page(
    'Replies you can ask for',
    'scenarios',
    `<p>The part before the @ chooses what the sandbox does, at any domain, also with a tag: <code>throttled+order-17@example.com</code>. Where <code>[-n]</code> stands, a number may follow: <code>throttled-3@example.com</code>. Every other address gets its mail.</p>${table('recipient', 'As recipient (those after the dot also as sender)')}${table('sender', 'As sender')}`,
  );
}

function scenarioRow({ address, what, reply }: ScenarioRow): string {
  const said = reply ? `<br><code class="dim">${escapeHtml(reply)}</code>` : '';
  return `<tr><td><code>${escapeHtml(address)}</code></td><td>${escapeHtml(what)}${said}</td></tr>`;
}

/** The same for a message that is gone. */
export function missingPage(): string {
  return page('Not here', 'message', '<p>There is no such message. The sandbox keeps the newest 1,000.</p>');
}

/** One part of a form: the header lines and the content. */
export interface Part {
  name: string;
  content: string | Buffer;
  filename?: string;
  contentType?: string;
  /** Instead of the Content-Disposition made of the two. */
  disposition?: string;
  headers?: string[];
}

/** A `multipart/form-data` body, octet by octet, so that a test can write a wrong one. */
export function formOf(parts: readonly Part[], boundary = 'xYzZy'): Buffer {
  const pieces = parts.flatMap(({ name, content, filename, contentType, disposition, headers = [] }) => {
    const file = filename === undefined ? '' : `; filename="${filename}"`;
    const lines = [
      `Content-Disposition: ${disposition ?? `form-data; name="${name}"${file}`}`,
      ...(contentType === undefined ? [] : [`Content-Type: ${contentType}`]),
      ...headers,
    ];
    return [`--${boundary}\r\n${lines.join('\r\n')}\r\n\r\n`, content, '\r\n'];
  });
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece)));
}

export const FORM = 'multipart/form-data; boundary=xYzZy';

export const messagePart = (message: object): Part => ({
  name: 'message',
  content: JSON.stringify(message),
  contentType: 'application/json',
});

import { characterUnfitForName, quote } from './characters.ts';

/** UTF-16 units; the longest that the usual file systems keep is 255 octets. */
const MAX_FILENAME_LENGTH = 255;
/** RFC 6838 §4.2: each half of a media type has at most 127 characters. */
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i;
const MAX_CONTENT_ID_LENGTH = 250;
/** RFC 2392 §2: a content id is an addr-spec in a URL; these characters need no escape in the header or in the HTML. */
const CONTENT_ID = /^[a-z0-9!#$&'*+/=?^_`{|}~.@-]+$/i;

/** @returns undefined if the name may be given to a recipient's computer, else one sentence for the caller */
export function checkFilename(filename: string): string | undefined {
  if (filename.trim() === '') return 'The file name is empty; give one as in report.pdf.';
  if (filename.length > MAX_FILENAME_LENGTH) return `The file name is longer than ${MAX_FILENAME_LENGTH} characters.`;
  const unfit = characterUnfitForName(filename);
  if (unfit) return `The file name ${quote(filename)} contains ${unfit}; remove it.`;
  if (/[/\\]/.test(filename)) return `The file name ${quote(filename)} contains a folder; give the name alone.`;
  if (/^\.{1,2}$/.test(filename.trim()))
    return `${quote(filename)} is a folder, not a file name; give one as in report.pdf.`;
  return undefined;
}

/** @returns undefined for a media type that an attachment may have, else one sentence for the caller */
export function checkContentType(contentType: string): string | undefined {
  if (!MEDIA_TYPE.test(contentType)) {
    return `${quote(contentType)} is not a media type without parameters; write it as in application/pdf.`;
  }
  // Both must not be sent in base64 (RFC 2045 §6.4), and would be read as parts of this message.
  if (isComposite(contentType)) return `${quote(contentType)} cannot be attached; use application/octet-stream.`;
  return undefined;
}

/** `multipart/*` and `message/*` (RFC 2046 §5). */
export function isComposite(contentType: string): boolean {
  return /^(?:multipart|message)\//i.test(contentType);
}

/** @returns undefined for a content id without angle brackets, else one sentence for the caller */
export function checkContentId(contentId: string): string | undefined {
  if (contentId.length <= MAX_CONTENT_ID_LENGTH && CONTENT_ID.test(contentId)) return undefined;
  return `The content id ${quote(contentId)} must be 1 to ${MAX_CONTENT_ID_LENGTH} letters, digits or . _ - @, without < and >.`;
}

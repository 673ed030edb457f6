import { reasonPhrase } from '../http/status.ts';

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeHTML(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] as string);
}

/** The body of an error response: what `BaseHTTPRequestHandler.error_message_format` says. */
export function errorPage(code: number, message: string, explain: string = ''): Buffer {
  const lines = [
    '<!DOCTYPE html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<title>${code} ${escapeHTML(reasonPhrase(code))}</title>`,
    '</head>',
    '<body>',
    `<h1>${code} ${escapeHTML(message)}</h1>`,
    ...(explain === '' ? [] : [`<p>${escapeHTML(explain)}</p>`]),
    '</body>',
    '</html>',
    '',
  ];
  return Buffer.from(lines.join('\n'));
}

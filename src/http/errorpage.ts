import { escapeHTML, htmlPage, pageStyle } from './page.ts';
import { reasonPhrase } from './status.ts';

const STYLE = pageStyle(`
main{max-width:36rem;padding-top:min(20vh,10rem)}
h1{font-size:1.75rem}
`);

/** The body of an error response: what `BaseHTTPRequestHandler.error_message_format` says. */
export function errorPage(code: number, message: string, explain: string = ''): Buffer {
  const heading = `<h1>${code} ${escapeHTML(message)}</h1>`;
  const content = explain === '' ? heading : `${heading}\n<p>${escapeHTML(explain)}</p>`;
  return htmlPage(`${code} ${reasonPhrase(code)}`, STYLE, content);
}

/** What the pages of the server look like: readable on a phone, in light and in dark, no script. */
const STYLE = `
:root{color-scheme:light dark;--ink:#1b1d20;--soft:#59606b;--line:#dfe3e8;--paper:#fff;--link:#0b52c4}
@media(prefers-color-scheme:dark){
:root{--ink:#e7e9ec;--soft:#a2aab6;--line:#33383f;--paper:#15171a;--link:#8fb8ff}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
-webkit-text-size-adjust:100%}
main{max-width:56rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.3;overflow-wrap:anywhere}
p{margin:0;color:var(--soft);overflow-wrap:anywhere}
`;

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** For text and for attributes in double quotes. */
export function escapeHTML(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] as string);
}

/** The style sheet of a page, from what it adds to that of all pages. */
export function pageStyle(own: string = ''): string {
  return STYLE + own;
}

/** An HTML page. `title` is text; `style` and `content`, which goes into `main`, are markup. */
export function htmlPage(title: string, style: string, content: string): Buffer {
  const lines = [
    '<!DOCTYPE html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeHTML(title)}</title>`,
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    '<main>',
    content,
    '</main>',
    '</body>',
    '</html>',
    '',
  ];
  return Buffer.from(lines.join('\n'));
}

// Serves a folder by Bun: `bun bun.js ROOT`.
interface BunFile {
  exists(): Promise<boolean>;
}

declare const Bun: {
  readonly argv: readonly string[];
  file(path: string): BunFile;
  serve(options: { hostname: string; port: number; fetch(request: Request): Response }): {
    readonly port: number;
  };
};

const root = Bun.argv[2] ?? '.';
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request) =>
    new Response(Bun.file(root + new URL(request.url).pathname) as unknown as Blob),
});
console.log(`listening on ${server.port}`);

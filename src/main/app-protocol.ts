// app://assay serves the built window from dist/renderer under a strict content security policy. Nothing else is ever
// loaded: no file:// pages, no remote code, no navigation.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { protocol } from "electron";

export const appOrigin = "app://assay";

// Monaco and the charts set styles from script, hence 'unsafe-inline' for styles alone.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ttf": "font/ttf",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
};

/** Before the app is ready. */
export function declareAppProtocol(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme: "app", privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
  ]);
}

/** Once the app is ready. Only files below `folder` are served. */
export function serveAppProtocol(folder: string): void {
  const root = path.resolve(folder);
  protocol.handle("app", async (request) => {
    const url = new URL(request.url);
    const name = url.pathname === "/" ? "index.html" : decodeURIComponent(url.pathname.slice(1));
    const file = path.resolve(root, name);
    const type = contentTypes[path.extname(file)];
    if (url.origin !== appOrigin && url.host !== "assay") {
      return new Response("Not found", { status: 404 });
    }
    if (!file.startsWith(`${root}${path.sep}`) || type === undefined) {
      return new Response("Not found", { status: 404 });
    }
    try {
      return new Response(new Uint8Array(await readFile(file)), {
        headers: {
          "content-type": type,
          "content-security-policy": contentSecurityPolicy,
          "x-content-type-options": "nosniff",
        },
      });
    } catch {
      return new Response("Not found", { status: 404 });
    }
  });
}

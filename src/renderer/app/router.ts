// Where the window is: `#/runs/<id>`. The hash is the truth, so back and forward are the browser's own.
import { create } from "zustand";

export type Route = { readonly feature: string; readonly rest: readonly string[] };

export function parseRoute(hash: string): Route {
  const parts = hash
    .replace(/^#?\/?/, "")
    .split("/")
    .filter((part) => part !== "");
  const [feature = "home", ...rest] = parts;
  return { feature, rest: rest.map((part) => decodeURIComponent(part)) };
}

export function routeHash(feature: string, ...rest: readonly string[]): string {
  return `#/${[feature, ...rest.map((part) => encodeURIComponent(part))].join("/")}`;
}

export const useRoute = create<Route>(() => parseRoute(window.location.hash));

window.addEventListener("hashchange", () => useRoute.setState(parseRoute(window.location.hash), true));

export function go(feature: string, ...rest: readonly string[]): void {
  window.location.hash = routeHash(feature, ...rest);
}

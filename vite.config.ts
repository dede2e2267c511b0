import path from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const root = path.resolve(import.meta.dirname, "src/renderer");

export default defineConfig({
  root,
  base: "./",
  plugins: [react()],
  worker: { format: "es" },
  build: {
    outDir: path.resolve(import.meta.dirname, "dist/renderer"),
    emptyOutDir: true,
    target: "chrome130",
    // Monaco is one large chunk that is loaded with the recipe view only.
    chunkSizeWarningLimit: 8000,
  },
});

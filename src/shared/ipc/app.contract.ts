// What the frame of the window needs: this machine, the workspace, the settings, paths to open.
import { z } from "zod";
import type { AreaContract } from "./contract.ts";

export const themeSchema = z.enum(["system", "light", "dark"]);
export type Theme = z.infer<typeof themeSchema>;

export const settingsSchema = z.object({
  theme: themeSchema,
  workspace: z.string(),
  /** Models outside the workspace that the user opened, the newest first. */
  openedModels: z.array(z.string()).max(200),
});
export type Settings = z.infer<typeof settingsSchema>;

export const machineSchema = z.object({
  cpuModel: z.string(),
  threads: z.number().int(),
  isa: z.array(z.string()),
  gemm: z.enum(["onednn", "portable"]),
  memoryBytes: z.number(),
  /** GPUs the engine can use; empty until a backend for them is built. */
  gpus: z.array(z.string()),
});

export const appContract = {
  requests: {
    "app.info": {
      input: z.object({}),
      output: z.object({ version: z.string(), platform: z.string(), machine: machineSchema }),
    },
    "app.settings": { input: z.object({}), output: settingsSchema },
    "app.change-settings": { input: settingsSchema.partial(), output: settingsSchema },
    "app.choose-folder": { input: z.object({ title: z.string() }), output: z.object({ path: z.string().nullable() }) },
    "app.choose-files": {
      input: z.object({ title: z.string(), extensions: z.array(z.string()) }),
      output: z.object({ paths: z.array(z.string()) }),
    },
    /** Opens a folder, or the folder of a file, in the system's file manager. Only paths inside the workspace. */
    "app.reveal": { input: z.object({ path: z.string() }), output: z.object({}) },
    /** Bytes free on the workspace's disk, and running and queued counts, for the status line. */
    "app.status": {
      input: z.object({}),
      output: z.object({ freeBytes: z.number(), running: z.number().int(), queued: z.number().int() }),
    },
  },
  events: { "app.settings-changed": settingsSchema },
  streams: {},
} as const satisfies AreaContract;

// Opening a model that lies anywhere on this machine: by the system's dialog or by dropping it on the window.
import { go } from "../../app/router.ts";
import { client } from "../../lib/client.ts";
import { rememberModel } from "./store.ts";

const modelExtensions = ["safetensors", "bin", "pt", "json", "gguf"];

async function open(path: string | null | undefined): Promise<void> {
  if (path !== null && path !== undefined && path !== "") {
    await rememberModel(path);
    go("models", path);
  }
}

export async function chooseModelFolder(): Promise<void> {
  const { path } = await client.request("app.choose-folder", { title: "A folder with config.json and weights" });
  await open(path);
}

export async function chooseModelFile(): Promise<void> {
  const { paths } = await client.request("app.choose-files", {
    title: "Weights: .safetensors, pytorch_model.bin, an index, or .gguf",
    extensions: modelExtensions,
  });
  await open(paths[0]);
}

/** The first of what was dropped; text and pictures from elsewhere have no path and are left alone. */
export async function openDropped(files: readonly object[]): Promise<void> {
  await open(files.map((file) => window.assay.pathOfFile(file)).find((path) => path !== ""));
}

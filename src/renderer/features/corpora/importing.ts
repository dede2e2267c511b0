// Starting imports: from the form, or going on with one that was left unfinished.
import type { CorpusInfo } from "#shared/ipc/corpora.contract";
import { go, routeHash } from "../../app/router.ts";
import { outputOf } from "./corpus-names.ts";
import { emptyImport, useForms } from "./forms.ts";
import { requestOf } from "./import-form.ts";
import { forgetJob, startJob } from "./jobs.ts";
import { loadCorpora } from "./store.ts";

async function run(
  name: string,
  request: ReturnType<typeof requestOf>,
  workers: number,
  restart: boolean,
): Promise<string | null> {
  const result = await startJob("corpora.import", name, { ...request, output: outputOf(name), workers, restart });
  await loadCorpora();
  return result?.output ?? null;
}

/** Whoever has gone elsewhere meanwhile is not called back. */
export async function startImport(): Promise<void> {
  const { import: form } = useForms.getState();
  const output = await run(form.name.trim(), requestOf(form), Number(form.workers), false);
  if (output !== null) {
    if (useForms.getState().import === form) {
      useForms.setState({ import: emptyImport() });
    }
    if (window.location.hash === routeHash("corpora", "import")) {
      go("corpora", output);
    }
    forgetJob("corpora.import", form.name.trim());
  }
}

/** Where it stopped, or from its beginning. */
export async function continueImport(info: CorpusInfo, options: { readonly restart?: boolean } = {}): Promise<void> {
  if (info.unfinished !== null) {
    const workers = Number(emptyImport().workers);
    const output = await run(info.name, info.unfinished, workers, options.restart === true);
    if (output !== null) {
      forgetJob("corpora.import", info.name);
    }
  }
}

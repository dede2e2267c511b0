// Files, folders and addresses to read, as a list one can add to and take from.
import { useId, useState } from "react";
import { client, messageOf } from "../../lib/client.ts";
import { Button } from "../../ui/button.tsx";

/** What can be imported. */
const corpusExtensions = "xml nxml gz tar tgz txt nbib json jsonl ndjson csv tsv parquet pubtator".split(" ");

export function PathsField({
  label,
  help,
  paths,
  takesAddresses = false,
  onChange,
}: {
  readonly label: string;
  readonly help: string;
  readonly paths: readonly string[];
  /** Of servers and object stores too. */
  readonly takesAddresses?: boolean;
  readonly onChange: (paths: readonly string[]) => void;
}) {
  const id = useId();
  const [problem, setProblem] = useState<string | null>(null);
  const [address, setAddress] = useState("");
  const add = async (choose: () => Promise<readonly string[]>): Promise<void> => {
    try {
      onChange([...new Set([...paths, ...(await choose())])]);
      setProblem(null);
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  const addFiles = () =>
    add(async () => (await client.request("app.choose-files", { title: label, extensions: corpusExtensions })).paths);
  const addFolder = () =>
    add(async () => {
      const { path } = await client.request("app.choose-folder", { title: label });
      return path === null ? [] : [path];
    });
  return (
    <div className="form-field">
      <span className="field-label" id={id}>
        {label}
      </span>
      {paths.length === 0 ? null : (
        <ul className="corpus-paths" aria-labelledby={id}>
          {paths.map((path) => (
            <li key={path}>
              <span className="path" title={path}>
                {/* Read from the right, so that a long path keeps its end. */}
                <bdi>{path}</bdi>
              </span>
              <Button
                className="small"
                aria-label={`Remove ${path}`}
                onClick={() => onChange(paths.filter((other) => other !== path))}
              >
                Remove
              </Button>
            </li>
          ))}
        </ul>
      )}
      <div className="button-row">
        <Button onClick={() => void addFiles()}>Add files…</Button>
        <Button onClick={() => void addFolder()}>Add folder…</Button>
      </div>
      {takesAddresses ? (
        <form
          className="paths-address"
          onSubmit={(event) => {
            event.preventDefault();
            const added = address.trim();
            if (!/^(https?|s3):\/\/\S+$/iu.test(added)) {
              setProblem("An address begins with https://, http:// or s3://.");
              return;
            }
            setAddress("");
            void add(() => Promise.resolve([added]));
          }}
        >
          <input
            className="input"
            aria-label="Address"
            placeholder="https://… or s3://bucket/folder/"
            spellCheck={false}
            value={address}
            onChange={(event) => setAddress(event.currentTarget.value)}
          />
          <Button type="submit" disabled={address.trim() === ""}>
            Add address
          </Button>
        </form>
      ) : null}
      <p className={problem === null ? "field-help" : "field-help bad"}>{problem ?? help}</p>
    </div>
  );
}

// Documents as they are read: id, what is known of each, and the beginning of the text, which opens.
import { useState } from "react";
import type { RequestOutput } from "#shared/ipc/contract";
import type { corporaContract } from "#shared/ipc/corpora.contract";
import { formatCount } from "../../lib/format.ts";

export type PreviewDocument = RequestOutput<typeof corporaContract, "corpora.preview">[number];

/** What a text is cut to on its way here. */
const PREVIEW_CHARACTERS = 4000;
/** A text that four lines hold needs no opening. */
const SHORT_CHARACTERS = 320;

const named = ["year", "journal", "language", "source", "license"] as const;

function factsOf({ metadata }: PreviewDocument): readonly string[] {
  const plain = named.flatMap((key) => {
    const value = metadata[key];
    return typeof value === "string" || typeof value === "number" ? [String(value)] : [];
  });
  const mesh = metadata["mesh"];
  return Array.isArray(mesh) && mesh.length > 0 ? [...plain, `${formatCount(mesh.length)} MeSH`] : plain;
}

export function DocumentList({ documents }: { readonly documents: readonly PreviewDocument[] }) {
  return (
    <ol className="documents">
      {documents.map((document) => (
        <Document key={document.id} document={document} />
      ))}
    </ol>
  );
}

function Document({ document }: { readonly document: PreviewDocument }) {
  const [isOpen, setOpen] = useState(false);
  const isShort = document.text.length <= SHORT_CHARACTERS;
  const others = Object.entries(document.metadata);
  return (
    <li className="document">
      <p className="document-head">
        <span className="mono">{document.id}</span>
        {factsOf(document).map((fact) => (
          <span key={fact} className="muted document-fact">
            {fact}
          </span>
        ))}
        <button
          type="button"
          className="text-button document-more"
          aria-expanded={isOpen}
          aria-label={`${isOpen ? "Less" : "More"} of ${document.id}`}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "Less" : "More"}
        </button>
      </p>
      <p className={isOpen || isShort ? "document-text" : "document-text is-cut"}>
        {document.text}
        {isOpen && document.text.length >= PREVIEW_CHARACTERS ? <span className="muted"> … and so on</span> : null}
      </p>
      {isOpen && others.length > 0 ? (
        <dl className="document-fields">
          {others.map(([key, value]) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
      ) : null}
    </li>
  );
}

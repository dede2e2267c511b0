// Entity break rates that were published, to stand beside one's own: #tokens / #words of the entities in the training
// sets (Shin et al. 2020, "BioMegatron: Larger Biomedical Domain Language Model", arXiv 2010.06060, Table 4).

export type PublishedBreakRate = { readonly tokenizer: string; readonly breakRate: number; readonly source: string };

const source = "Shin et al. 2020, Table 4";

const rows: Readonly<Record<string, readonly (readonly [tokenizer: string, breakRate: number])[]>> = {
  "BC5CDR-chem": [
    ["BERT-cased", 3.012],
    ["PubMedBERT-uncased 30k", 1.654],
    ["BioMegatron-bio-30k-cased", 1.753],
    ["BioMegatron-bio-50k-cased", 1.478],
  ],
  "BC5CDR-disease": [
    ["BERT-cased", 2.42],
    ["PubMedBERT-uncased 30k", 1.236],
    ["BioMegatron-bio-30k-cased", 1.272],
    ["BioMegatron-bio-50k-cased", 1.116],
  ],
};

/** Of the data set that a file's path names; none where it names none of them. */
export function publishedBreakRates(file: string): readonly PublishedBreakRate[] {
  const plain = file.toLowerCase().replaceAll(/[^a-z0-9]+/g, "");
  const found = Object.entries(rows).find(([name]) => plain.includes(name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "")));
  return (found?.[1] ?? []).map(([tokenizer, breakRate]) => ({ tokenizer, breakRate, source }));
}

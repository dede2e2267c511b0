// Tables as text that a spreadsheet takes: tabs between cells, a line a row, plain numbers without thin spaces.
export type Cell = string | number | null;

export function tableText(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => (value === null ? "" : String(value).replace(/[\t\n\r]+/g, " "));
  return [head, ...rows].map((row) => row.map(cell).join("\t")).join("\n");
}

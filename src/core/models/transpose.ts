// A matrix the other way round: Conv1D keeps its weights as (in, out), GGUF and nn.Linear as (out, in).

/** Small enough that a block of rows and one of columns stay in the cache. */
const BLOCK = 32;

/** Row-major (rows, columns) to row-major (columns, rows). */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let rowBlock = 0; rowBlock < rows; rowBlock += BLOCK) {
    const rowEnd = Math.min(rowBlock + BLOCK, rows);
    for (let columnBlock = 0; columnBlock < columns; columnBlock += BLOCK) {
      const columnEnd = Math.min(columnBlock + BLOCK, columns);
      for (let row = rowBlock; row < rowEnd; row += 1) {
        for (let column = columnBlock; column < columnEnd; column += 1) {
          result[column * rows + row] = values[row * columns + column] ?? 0;
        }
      }
    }
  }
  return result;
}

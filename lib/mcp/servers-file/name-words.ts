/** The words of a name, in lower case: of `disabledTools`, `disabled-tools` and `disabled_tools` the same two. */
export const wordsOf = (name: string): string[] =>
  name.replace(/([a-z\d])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, '$1$3 $2').toLowerCase().split(/[^a-z\d]+/).filter(Boolean)

/**
 * The known name that `name` most likely is a misspelling of: at most two characters differ, fewer in short names, or
 * only how words are joined. `undefined` when there is none.
 */
export function nearestName (name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z\d]/g, '')
  const near = known
    .map(other => ({ other, far: distance(plain(name), plain(other)) }))
    .filter(({ other, far }) => far <= Math.min(2, Math.floor(other.length / 4)))
  return near.sort((one, other) => one.far - other.far)[0]?.other
}

/** How many characters must be added, removed, replaced, or swapped with the next one. */
function distance (one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 2) return Infinity
  let beforeLast: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1]
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      current.push(Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (isSame ? 0 : 1),
        isSwapped ? at(beforeLast, column - 2) + 1 : Infinity
      ))
    }
    [beforeLast, last] = [last, current]
  }
  return at(last, other.length)
}

const at = (numbers: readonly number[], index: number) => numbers[index] ?? Infinity

import { createHash } from 'node:crypto'

/** Longest name that models' makers take for a function (characters). */
const maxLength = 64
const hashLength = 6

/**
 * Names of the tools' operations, by the tools' own names: of letters, digits, `_` and `-`, beginning with a letter.
 *
 * Generators make one name of `get-sum`, `get_sum` and `getSum`. Where names are alike for them, or like one of
 * `taken`, each ends in a hash of the tool's name, so that a name depends on no order.
 */
export function operationIds (tools: readonly string[], taken: readonly string[]): Map<string, string> {
  const plain = tools.map(tool => ({ tool, id: plainId(tool) }))
  const uses = new Map<string, number>(taken.map(id => [likeness(id), 1]))
  for (const { id } of plain) uses.set(likeness(id), (uses.get(likeness(id)) ?? 0) + 1)
  return new Map(plain.map(({ tool, id }) => {
    const isClear = id !== '' && id.length <= maxLength && uses.get(likeness(id)) === 1
    return [tool, isClear ? id : hashed(id, tool)]
  }))
}

function plainId (tool: string): string {
  const id = tool.replace(/[^A-Za-z0-9_-]+/g, '_').replace(/^[_-]+|[_-]+$/g, '')
  return id === '' || /^[A-Za-z]/.test(id) ? id : `tool_${id}`
}

const likeness = (id: string) => id.replace(/[_-]/g, '').toLowerCase()

const hashed = (id: string, tool: string) =>
  `${id.slice(0, maxLength - hashLength - 1) || 'tool'}_${hashOf(tool)}`

const hashOf = (tool: string) => createHash('sha256').update(tool).digest('hex').slice(0, hashLength)

/** The name of a type for the same: `get-sum` is `GetSum`. */
export const typeName = (id: string): string =>
  id.split(/[_-]+/).map(word => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`).join('')

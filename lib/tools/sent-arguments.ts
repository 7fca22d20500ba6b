import { type JsonDocument, type JsonValue, presentMember } from '../json-text.ts'

/** The arguments that a caller sent: the whole body, or its `params`; none where there are none. */
export function sentArguments (document: JsonDocument, { isWholeBody = false }: { isWholeBody?: boolean | undefined }) {
  if (isWholeBody) return { document, node: document.root }
  const node = presentMember(document.root, 'params')
  return node === null ? noArguments : { document, node }
}

const noMembers = { type: 'object', start: 0, end: 2, members: [] } as const
const noArguments: JsonValue = { document: { text: '{}', root: noMembers }, node: noMembers }

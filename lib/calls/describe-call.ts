import { objectText } from '../json-text.ts'
import { type CallHead, isOver } from './call.ts'
import type { StoredCall } from './stored-call.ts'

type Member = readonly [name: string, text: string]

/** What every description of a call says of it. Its times are ISO 8601, UTC. */
const factsOf = ({ state, id, createdAt, expiresAt }: CallHead & { id: string }): Member[] => [
  ['status', JSON.stringify(state)],
  ['call', JSON.stringify(id)],
  ['created_at', JSON.stringify(new Date(createdAt).toISOString())],
  ['expires_at', JSON.stringify(new Date(expiresAt).toISOString())]
]

/** A call in a list: nothing that its caller or its tool said. */
export const describeHead = (call: CallHead & { id: string }): string => objectText(factsOf(call))

/**
 * A call as JSON text. One that waits has the body of its 202 as `question`, one that is over its answer as `result` or
 * `failure`, unaltered. `kept` is false where an answer is not kept.
 */
export function describeCall (call: StoredCall): string {
  const { state, answer } = call
  const members = factsOf(call)
  if (call.isCancelled) members.push(['cancel', 'true'])
  if (call.progress !== undefined) members.push(['progress', call.progress])
  if (answer !== null) members.push([nameOfAnswer(call), answer.body])
  else if (isOver(call) && (state === 'completed' || state === 'failed')) members.push(['kept', 'false'])
  return objectText(members)
}

function nameOfAnswer ({ state }: CallHead): string {
  if (state === 'input_required') return 'question'
  return state === 'failed' ? 'failure' : 'result'
}

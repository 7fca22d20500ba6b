import { type JsonType, objectText, readJson } from '../json-text.ts'
import type { PreparedCall } from './prepare-call.ts'
import type { Filled } from './parameter-injection.ts'

/** An argument that the caller sent as a reference to a result. */
interface ReferredArgument { name: string, ref: string, pointer: string | null, bytes: number }

/**
 * The reply of a call that is not made, as JSON text: the caller's own arguments as they would be sent, where each
 * argument that the session fills or that refers to a result comes from, and how many there are that callers do not
 * see. No value of the session's is in it.
 */
export function describeCall (
  { exposedName, own, filled, hiddenNames, faults }: PreparedCall, referred: readonly ReferredArgument[] = []
): string {
  return objectText([
    ['status', '"dry_run"'],
    ['tool', JSON.stringify(exposedName)],
    ['arguments', own.trim()],
    ['filled', JSON.stringify(filled.map(describeFilled))],
    ['hidden', String(hiddenNames.length)],
    ...(referred.length === 0 ? [] : [['referred', JSON.stringify(referred.map(describeReferred))] as const]),
    ...(faults.length === 0
      ? []
      : [['faults', JSON.stringify(faults.map(({ pointer, message }) => ({ pointer, message })))] as const])
  ])
}

/** Where a value came from is `null` where that is not known. */
const describeFilled = ({ name, text, origin }: Filled) =>
  ({ name, source: origin, type: typeOf(text), bytes: Buffer.byteLength(text) })

const describeReferred = ({ name, ref, pointer, bytes }: ReferredArgument) => ({ name, ref, pointer, bytes })

const typeOf = (text: string): JsonType | null => readJson(text, 0)?.root.type ?? null

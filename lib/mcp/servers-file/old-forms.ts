import type { EntryError } from './entry-error.ts'
import { settlePrefixes } from './faulty-entry.ts'
import type { ServerSpec } from './server-spec.ts'

/** An entry with a fault, as operators learn of it. */
export interface FaultyEntry {
  name: string
  /** The field and the rule that it breaks. It may name paths and variables, and no secret. */
  reason: string
  /** Its server runs on as the entry was before. */
  keepsOldForm: boolean
}

export interface ServersInUse {
  specs: ServerSpec[]
  faulty: FaultyEntry[]
}

/**
 * The servers of a file that was read again. An entry that became faulty keeps the form in which its server runs: a
 * mistake in a file must not end what works.
 */
export function keepOldForms (specs: readonly ServerSpec[], running: readonly ServerSpec[]): ServersInUse {
  const oldForms = new Map(running.filter(({ kind }) => kind !== 'faulty').map(spec => [spec.name, spec]))
  const reasons = new Map<string, string>()
  const isOldForm = (spec: ServerSpec) => oldForms.get(spec.name) === spec
  const keep = (spec: ServerSpec): ServerSpec => {
    if (spec.kind !== 'faulty') return oldForms.get(spec.name)?.identity === spec.identity ? oldFormOf(spec) : spec
    reasons.set(spec.name, spec.reason)
    return oldFormOf(spec)
  }
  const oldFormOf = (spec: ServerSpec) => oldForms.get(spec.name) ?? spec

  // An old form can clash with a new prefix. The server that loses has an old form, too, or does not run.
  let settled = specs.map(keep)
  for (let clashed = true; clashed;) {
    const faults: EntryError[] = []
    settled = settlePrefixes(settled, fault => faults.push(fault), isOldForm).map(keep)
    clashed = faults.length > 0
  }
  return {
    specs: settled,
    faulty: settled.flatMap(spec => {
      const reason = reasons.get(spec.name)
      return reason === undefined ? [] : [{ name: spec.name, reason, keepsOldForm: spec.kind !== 'faulty' }]
    })
  }
}

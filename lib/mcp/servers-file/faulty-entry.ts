import { isJsonObject } from '../../json.ts'
import type { EntryContext } from './entry-context.ts'
import { EntryError, entryError } from './entry-error.ts'
import { resolvePolicy } from './resolve-policy.ts'
import { type FaultySpec, identityOf, type ServerSpec } from './server-spec.ts'
import { defaultPrefix, findClash, isPrefix } from './tool-names.ts'
import { emptyPolicy, type ServerPolicy } from './value-policy.ts'

/** Begins no name of a tool, and no prefix of another server. */
const noPrefix = '\0'

function specOf (name: string, prefix: string, reason: string, policy: ServerPolicy): FaultySpec {
  const said = { kind: 'faulty' as const, name, prefix, timeouts: {}, reason, policy }
  return { ...said, identity: identityOf(said) }
}

/**
 * The spec of an entry with a fault. It keeps the prefix of its entry, so that the names of other servers' tools do not
 * depend on it, and the arguments that its operator gives to tools, so that no caller sets their values meanwhile.
 */
export function createFaultySpec (name: string, value: unknown, reason: string, context: EntryContext): FaultySpec {
  const entry = isJsonObject(value) ? value : {}
  const prefix = isPrefix(entry.prefix) ? entry.prefix : defaultPrefix(name)
  return specOf(name, prefix, reason, policyOf())

  function policyOf (): ServerPolicy {
    const { host, sensitiveParams, policyDefaults: defaults, serverNames, textAt } = context
    try {
      return resolvePolicy(name, { values: entry.values, tools: entry.tools }, {
        host, sensitiveParams, defaults, serverNames, placeholderNames: [], textAt: path => textAt(name, path)
      })
    } catch (error) {
      if (!(error instanceof EntryError)) throw error
      return emptyPolicy(name)
    }
  }
}

/**
 * The same servers, with names of tools that can be told apart. Of two whose names cannot, the later one becomes
 * faulty, or the one that is faulty already; one that `isSettled` never does.
 */
export function settlePrefixes (
  specs: readonly ServerSpec[],
  onFault: (fault: EntryError) => void,
  isSettled: (spec: ServerSpec) => boolean = () => false
): ServerSpec[] {
  const settled = [...specs]
  for (let clash = findClash(settled); clash !== null; clash = findClash(settled)) {
    const [one, other] = clash
    const [kept, refused] = isSettled(other) || one.kind === 'faulty' ? [other, one] : [one, other]
    const index = settled.indexOf(refused)
    settled[index] = refuse(refused, kept, noPrefix + index, onFault)
  }
  return settled
}

function refuse (
  { name, prefix: said, ...spec }: ServerSpec, kept: ServerSpec, prefix: string, onFault: (fault: EntryError) => void
): FaultySpec {
  if (spec.kind === 'faulty') return specOf(name, prefix, spec.reason, spec.policy)
  const prefixes = `${JSON.stringify(kept.prefix)} and ${JSON.stringify(said)}`
  const rule = `must tell its tools from those of ${JSON.stringify(kept.name)}, but ${prefixes} do not`
  const fault = entryError(name, 'prefix', rule)
  onFault(fault)
  return specOf(name, prefix, fault.reason, emptyPolicy(name))
}

import { unescapeToken } from '../json-pointer.ts'
import type { Session } from '../sessions/session.ts'
import type { CallRecord } from '../sessions/session-record.ts'
import type { ArgumentCheck, ArgumentChecker, ArgumentFault } from './argument-check.ts'
import { unfitArguments } from './call-errors.ts'
import type { CatalogTool } from './tool-catalog.ts'

/**
 * Arguments that need nothing of what the session has cached: its credentials, and what the operator has written. JSON
 * texts by name. Throws MissingCredentialError.
 */
export function fixedArguments ({ credentials, policy }: CatalogTool, session: Session): Map<string, string> {
  const fixed = new Map<string, string>()
  if (credentials.length === 0 && policy.sources.size === 0) return fixed
  const texts = session.credentialTexts()
  for (const name of credentials) {
    const text = texts.get(name)
    if (text !== undefined) fixed.set(name, text)
  }
  for (const [name, source] of policy.sources) {
    if (source.kind === 'operator') fixed.set(name, source.fill(session.credentials, texts))
  }
  return fixed
}

interface CheckedCall {
  tool: CatalogTool
  /** Gets the reason why the arguments are not checked; see ArgumentChecker. */
  onUnusableSchema: (reason: string) => void
}

/** Faults that the call goes on with. Throws ToolArgumentsError where the policy wants arguments to fit. */
export function checkArguments (
  checker: ArgumentChecker,
  { exposedName, tool, onUnusableSchema }: CheckedCall & { exposedName: string },
  args: string
): readonly ArgumentFault[] {
  const { validation } = tool.serverPolicy
  if (validation === 'off') return []
  const { faults, formatFaults } = checker.check(tool.schemaText(), args, onUnusableSchema) ?? noFaults
  // A caller cannot mend what the operator or the session gives, or should have given, and must not see its name.
  const isVisible = ({ argument, pointer }: ArgumentFault) =>
    !tool.hidden.has(argument ?? unescapeToken(pointer.split('/')[1] ?? ''))
  const visible = faults.filter(isVisible)
  if (validation === 'on' && visible.length > 0) throw unfitArguments(exposedName, visible)
  return [...visible, ...formatFaults.filter(isVisible)]
}

/**
 * The caller's arguments that may fill later calls. One that does not fit the tool's schema is kept only when the
 * tool took it: it would make every later call fail.
 */
export function fittingArguments (
  checker: ArgumentChecker,
  { tool, onUnusableSchema, given, request }:
    CheckedCall & { given: ReadonlyMap<string, string>, request: { args: string } },
  outcome: CallRecord['outcome']
): ReadonlyMap<string, string> {
  const kept = new Map([...given].filter(([name]) => !tool.guarded.has(name)))
  if (outcome === 'ok' || kept.size === 0) return kept
  const { faults, formatFaults } = checker.check(tool.schemaText(), request.args, onUnusableSchema) ?? noFaults
  for (const { argument, isMissing } of [...faults, ...formatFaults]) {
    if (argument !== null) kept.delete(argument)
    else if (!isMissing) return new Map() // nobody knows which one it is
  }
  return kept
}

const noFaults: ArgumentCheck = { faults: [], formatFaults: [] }
